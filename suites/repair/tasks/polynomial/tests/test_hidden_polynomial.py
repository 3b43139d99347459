from polynomial.arithmetic import add, degree, multiply, raise_to, scale, subtract, trim
from polynomial.calculus import area, derivative, evaluate, integral, tangent


def test_degree_of_constants():
    assert degree([7]) == 0
    assert degree([0, 0]) == -1
    assert degree([1, 3, 0]) == 1


def test_terms_cancel():
    assert subtract([1, 2, 3], [5, 1, 3]) == [-4, 1]
    assert subtract([4, 2], [4, 2]) == []
    assert add([0, 5], [2, -5]) == [2]


def test_products():
    assert multiply([2, 3], [4]) == [8, 12]
    assert multiply([1, 2, 1], [1, 1]) == [1, 3, 3, 1]
    assert multiply([1, 2], []) == []


def test_powers():
    assert raise_to([1, 1], 0) == [1]
    assert raise_to([0, 3], 1) == [0, 3]
    assert raise_to([0, 2], 4) == [0, 0, 0, 0, 16]


def test_scale_and_trim():
    numbers = [1, -2, 0]
    assert scale(numbers, 3) == [3, -6, 0]
    assert trim(numbers) == [1, -2]
    assert numbers == [1, -2, 0]


def test_derivative_and_integral():
    assert derivative([7, 3, 5]) == [3, 10]
    assert derivative([7]) == []
    assert integral([3, 10], 7) == [7, 3, 5]
    assert evaluate([], 4) == 0


def test_areas():
    assert area([6], 2, 4) == 12
    assert area([0, 0, 3], 0, 2) == 8
    assert area([1], 5, 4) == -1


def test_tangents():
    assert tangent([1, 2, 1], -1) == []
    assert tangent([8], 2) == [8]
    assert tangent([3, 2], 5) == [3, 2]
