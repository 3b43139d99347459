from intervals import covered, intersect, merge, overlaps
from schedule import Schedule


def test_overlaps_both_ways():
    assert overlaps((1, 9), (3, 4)) and overlaps((3, 4), (1, 9))
    assert not overlaps((3, 6), (1, 3)) and not overlaps((0, 1), (5, 6))


def test_nothing_shared():
    assert intersect((1, 2), (2, 3)) is None
    assert intersect((0, 10), (2, 3)) == (2, 3)


def test_merge_a_chain():
    assert merge([(4, 6), (0, 2), (2, 4)]) == [(0, 6)]
    assert merge([(0, 2), (2, 4), (5, 6), (6, 7)]) == [(0, 4), (5, 7)]


def test_merge_inside():
    assert merge([(0, 9), (1, 2), (3, 4)]) == [(0, 9)]
    assert merge([]) == []
    assert covered([(0, 2), (1, 4), (6, 7)]) == 5


def test_bookings_may_touch():
    schedule = Schedule(8, 12)
    assert schedule.book("Ann", 8, 10)
    assert schedule.book("Bob", 10, 12)
    assert schedule.load() == 1.0
    assert schedule.first_free(1) is None


def test_every_hour():
    schedule = Schedule(8, 14)
    schedule.book("Ann", 8, 10)
    schedule.book("Bob", 10, 11)
    schedule.book("Eve", 12, 14)
    names = [schedule.at(hour) for hour in range(7, 15)]
    assert names == [None, "Ann", "Ann", "Bob", None, "Eve", "Eve", None]


def test_free_before_and_after():
    schedule = Schedule(8, 18)
    assert schedule.first_free(10) == 8
    schedule.book("Ann", 10, 13)
    assert schedule.first_free(2) == 8
    assert schedule.first_free(3) == 13
    assert schedule.first_free(6) is None


def test_cancel():
    schedule = Schedule(8, 12)
    schedule.book("Ann", 9, 10)
    assert schedule.at(8) is None and schedule.at(10) is None
    schedule.cancel("Ann")
    schedule.cancel("Bob")
    assert schedule.load() == 0.0
    assert schedule.book("Bob", 9, 10)
