"""Values, slopes and areas of polynomials."""

from polynomial.arithmetic import trim


def evaluate(coefficients, x):
    value = 0
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def derivative(coefficients):
    return [power * coefficient for power, coefficient in enumerate(coefficients)][1:]


def integral(coefficients, constant=0):
    return [constant] + [coefficient / (power + 1) for power, coefficient in enumerate(coefficients)]


def area(coefficients, start, end):
    """Return the area below the curve from start to end."""
    whole = integral(coefficients)
    return evaluate(whole, end) - evaluate(whole, start)


def tangent(coefficients, x):
    """Return the line that touches the curve at x."""
    slope = evaluate(derivative(coefficients), x)
    result = [evaluate(coefficients, x) - slope * x, slope]
    return trim(result)
