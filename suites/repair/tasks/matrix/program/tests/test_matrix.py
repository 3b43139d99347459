from matrix import add, identity, multiply, power, trace, transpose


def test_transpose_a_square():
    assert transpose([[1, 2], [3, 4]]) == [[1, 3], [2, 4]]


def test_transpose_a_wide_matrix():
    assert transpose([[1, 2, 3], [4, 5, 6]]) == [[1, 4], [2, 5], [3, 6]]


def test_add():
    assert add([[1, 2]], [[10, 20]]) == [[11, 22]]


def test_multiply_squares():
    assert multiply([[1, 2], [3, 4]], [[0, 1], [1, 0]]) == [[2, 1], [4, 3]]


def test_multiply_row_by_column():
    assert multiply([[1, 2, 3]], [[4], [5], [6]]) == [[32]]


def test_power():
    assert power([[1, 1], [1, 0]], 5) == [[8, 5], [5, 3]]


def test_trace():
    assert trace(identity(4)) == 4
