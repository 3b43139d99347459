"""Polynomials as lists of coefficients: [5, 0, 2] stands for 5 + 2x^2."""


def trim(coefficients):
    """Return a copy without the zeros at the end."""
    result = list(coefficients)
    while result and result[-1] == 0:
        result.pop()
    return result


def degree(coefficients):
    """Return the highest power, or -1 for the zero polynomial."""
    return len(trim(coefficients)) - 1


def add(left, right):
    result = [0] * max(len(left), len(right))
    for power, coefficient in enumerate(left):
        result[power] += coefficient
    for power, coefficient in enumerate(right):
        result[power] += coefficient
    return trim(result)


def scale(coefficients, factor):
    return [coefficient * factor for coefficient in coefficients]


def subtract(left, right):
    return add(left, scale(right, -1))


def multiply(left, right):
    result = [0] * (len(left) + len(right))
    for i, first in enumerate(left):
        for j, second in enumerate(right):
            result[i + j] += first * second
    return trim(result)


def raise_to(base, exponent):
    """Multiply a polynomial by itself."""
    if exponent == 0:
        return [1]
    return multiply(base, raise_to(base, exponent - 1))
