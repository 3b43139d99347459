"""Paths: lists of points that are visited one after the other."""

from geometry.vectors import add, distance, subtract


def moves(points):
    """Return the vector of each step from a point to the next one."""
    return [subtract(end, start) for start, end in zip(points, points[1:])]


def follow(start, steps):
    """Return the points that are visited when the steps are taken."""
    points = [start]
    for step in steps:
        points.append(add(points[-1], step))
    return points


def length(points):
    return sum(distance(start, end) for start, end in zip(points, points[1:]))


def bounds(points):
    """Return the lower left and the upper right corner of the frame around a path."""
    xs = [x for x, _ in points]
    ys = [y for _, y in points]
    return (min(xs), min(ys)), (max(xs), max(ys))
