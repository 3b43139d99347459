"""Polygons, given by their corners against the clock."""

from geometry.paths import length
from geometry.vectors import cross, subtract


def edges(corners):
    return list(zip(corners, corners[1:] + corners[:1]))


def perimeter(corners):
    return length(corners + corners[:1])


def area(corners):
    return sum(cross(start, end) for start, end in edges(corners)) / 2


def side(start, end, point):
    """Return 1 if the point is to the left of the line, -1 if to the right, 0 if on it."""
    turn = cross(subtract(end, start), subtract(point, start))
    if turn == 0:
        return 0
    return 1 if turn > 0 else -1


def contains(corners, point):
    """Tell whether a point is inside a convex polygon or on its border."""
    return all(side(start, end, point) >= 0 for start, end in edges(corners))
