from polynomial.arithmetic import add, degree, multiply, raise_to
from polynomial.calculus import area, evaluate, tangent


def test_degree():
    assert degree([5, 0, 2]) == 2


def test_add():
    assert add([1, 2], [3, 0, 4]) == [4, 2, 4]
    assert add([1, 2, 3], [0, 0, -3]) == [1, 2]


def test_multiply():
    assert multiply([1, 1], [-1, 1]) == [-1, 0, 1]


def test_raise_to():
    assert raise_to([1, 1], 2) == [1, 2, 1]


def test_evaluate():
    assert evaluate([5, 0, 2], 3) == 23


def test_area():
    assert area([0, 2], 1, 3) == 8


def test_tangent():
    assert tangent([0, 0, 1], 3) == [-9, 6]
    assert tangent([4, 0, -1], 0) == [4]
