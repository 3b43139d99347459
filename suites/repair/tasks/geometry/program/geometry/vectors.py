"""Points and vectors in the plane, as pairs of numbers."""


def add(a, b):
    return (a[0] + b[0], a[1] + b[1])


def subtract(a, b):
    """Return the vector that leads from b to a."""
    return (a[0] - b[0], a[1] - b[1])


def cross(a, b):
    """Return the cross product, which is positive if b points to the left of a."""
    return a[0] * b[1] - a[1] * b[0]


def distance(a, b):
    x, y = subtract(a, b)
    return (x * x + y * y) ** 0.5
