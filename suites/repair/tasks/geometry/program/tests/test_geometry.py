from geometry.paths import bounds, follow, length, moves
from geometry.polygons import area, contains, perimeter, side

SQUARE = [(1, 1), (3, 1), (3, 3), (1, 3)]


def test_length():
    assert length([(0, 0), (3, 4), (3, 10)]) == 11.0


def test_moves():
    assert moves([(1, 1), (4, 2), (4, 0)]) == [(3, 1), (0, -2)]


def test_follow():
    assert follow((1, 1), [(3, 1), (0, -2)]) == [(1, 1), (4, 2), (4, 0)]


def test_bounds():
    assert bounds([(2, 5), (-1, 9), (0, 7)]) == ((-1, 5), (2, 9))


def test_area_and_perimeter():
    assert perimeter(SQUARE) == 8.0
    assert area(SQUARE) == 4.0


def test_side():
    assert side((0, 0), (4, 0), (1, 2)) == 1
    assert side((0, 0), (4, 0), (1, -2)) == -1


def test_a_point_outside():
    assert not contains(SQUARE, (5, 2))
    assert not contains(SQUARE, (2, 0))
