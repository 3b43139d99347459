from geometry.paths import bounds, follow, length, moves
from geometry.polygons import area, contains, edges, perimeter, side
from geometry.vectors import add, cross, distance, subtract

TRIANGLE = [(0, 0), (8, 0), (0, 6)]


def test_vectors():
    assert add((1, 2), (3, -5)) == (4, -3)
    assert subtract((1, 2), (3, -5)) == (-2, 7)
    assert distance((1, 1), (-2, 5)) == 5.0


def test_cross():
    assert cross((1, 0), (0, 1)) == 1
    assert cross((2, 3), (4, 5)) == -2


def test_path_without_steps():
    assert moves([(3, 3)]) == []
    assert follow((3, 3), []) == [(3, 3)]
    assert length([(3, 3)]) == 0


def test_following_the_moves():
    for points in ([(0, 0), (1, 2), (-3, 3)], [(5, 1), (5, 2), (5, 1)]):
        assert follow(points[0], moves(points)) == points


def test_bounds_of_lines():
    assert bounds([(4, 4)]) == ((4, 4), (4, 4))
    assert bounds([(0, 3), (10, 3)]) == ((0, 3), (10, 3))
    assert bounds([(2, -8), (2, 8)]) == ((2, -8), (2, 8))


def test_triangle():
    assert edges(TRIANGLE) == [((0, 0), (8, 0)), ((8, 0), (0, 6)), ((0, 6), (0, 0))]
    assert perimeter(TRIANGLE) == 24.0


def test_area_does_not_depend_on_the_place():
    for x, y in ((0, 0), (5, 2), (-7, 3)):
        assert area([add(corner, (x, y)) for corner in TRIANGLE]) == 24.0


def test_inside_and_border():
    assert contains(TRIANGLE, (1, 1))
    assert contains(TRIANGLE, (4, 3))
    assert not contains(TRIANGLE, (5, 3))
    assert side((8, 0), (0, 6), (4, 3)) == 0
