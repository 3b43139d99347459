from intervals import intersect, merge, overlaps
from schedule import Schedule


def test_overlaps():
    assert overlaps((1, 4), (3, 6))
    assert not overlaps((1, 3), (3, 6))


def test_intersect():
    assert intersect((1, 4), (3, 6)) == (3, 4)


def test_merge():
    assert merge([(5, 7), (1, 3), (2, 4)]) == [(1, 4), (5, 7)]


def test_merge_neighbors():
    assert merge([(1, 3), (3, 6)]) == [(1, 6)]


def test_book():
    schedule = Schedule(8, 18)
    assert schedule.book("Ann", 9, 11)
    assert not schedule.book("Bob", 10, 12)
    assert not schedule.book("Eve", 17, 19)


def test_who_is_there():
    schedule = Schedule(8, 18)
    schedule.book("Ann", 9, 11)
    assert schedule.at(9) == "Ann"
    assert schedule.at(11) is None


def test_first_free():
    schedule = Schedule(8, 18)
    schedule.book("Ann", 8, 11)
    schedule.book("Bob", 12, 14)
    assert schedule.first_free(1) == 11
    assert schedule.first_free(3) == 14
