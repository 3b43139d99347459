from matrix import add, identity, is_symmetric, multiply, power, shape, trace, transpose


def refuses(function, left, right):
    try:
        function(left, right)
    except ValueError:
        return True
    return False


def test_shapes():
    assert shape([[1, 2, 3]]) == (1, 3)
    assert shape([[1], [2]]) == (2, 1)


def test_transpose_rows_and_columns():
    assert transpose([[1, 2, 3]]) == [[1], [2], [3]]
    assert transpose([[1], [2], [3]]) == [[1, 2, 3]]


def test_transpose_twice():
    matrix = [[1, 2], [3, 4], [5, 6]]
    assert transpose(transpose(matrix)) == matrix


def test_symmetry():
    assert is_symmetric([[1, 2], [2, 5]])
    assert not is_symmetric([[1, 2], [3, 5]])


def test_shapes_must_fit():
    assert refuses(add, [[1, 2]], [[1], [2]])
    assert refuses(multiply, [[1, 2]], [[1, 2]])


def test_multiply_tall_by_wide():
    assert multiply([[1], [2], [3]], [[4, 5]]) == [[4, 5], [8, 10], [12, 15]]


def test_multiply_wide_by_tall():
    assert multiply([[1, 2, 3], [4, 5, 6]], [[1, 0], [0, 1], [2, 2]]) == [[7, 8], [16, 17]]


def test_power_and_trace():
    assert power([[2, 0], [0, 3]], 0) == identity(2)
    assert power([[2, 0], [0, 3]], 3) == [[8, 0], [0, 27]]
    assert trace([[1, 9], [9, 2]]) == 3
