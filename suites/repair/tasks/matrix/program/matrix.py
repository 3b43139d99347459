"""Matrices as lists of rows."""


def shape(matrix):
    """Return the numbers of rows and columns."""
    return len(matrix), len(matrix[0])


def zeros(rows, columns):
    return [[0] * columns for _ in range(rows)]


def identity(size):
    result = zeros(size, size)
    for index in range(size):
        result[index][index] = 1
    return result


def transpose(matrix):
    rows, columns = shape(matrix)
    result = zeros(columns, rows)
    for row in range(rows):
        for column in range(columns):
            result[column][row] = matrix[row][column]
    return result


def add(left, right):
    if shape(left) != shape(right):
        raise ValueError("shapes differ")
    rows, columns = shape(left)
    result = zeros(rows, columns)
    for row in range(rows):
        for column in range(columns):
            result[row][column] = left[row][column] + right[row][column]
    return result


def multiply(left, right):
    rows, inner = shape(left)
    height, columns = shape(right)
    if inner != height:
        raise ValueError("shapes do not fit")
    result = zeros(rows, columns)
    for row in range(rows):
        for column in range(columns):
            for index in range(inner):
                result[row][column] += left[row][index] * right[index][column]
    return result


def power(matrix, exponent):
    result = identity(len(matrix))
    for _ in range(exponent):
        result = multiply(result, matrix)
    return result


def trace(matrix):
    """Return the sum of the diagonal."""
    return sum(matrix[index][index] for index in range(len(matrix)))


def is_symmetric(matrix):
    return matrix == transpose(matrix)
