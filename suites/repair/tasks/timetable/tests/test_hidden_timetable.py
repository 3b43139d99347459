from timetable.clock import DAY, later, to_minutes, to_text, wait
from timetable.line import Line


def test_there_and_back():
    for minutes in (0, 9, 60, 719, DAY - 1):
        assert to_minutes(to_text(minutes)) == minutes


def test_over_midnight():
    assert to_text(DAY) == "00:00"
    assert later("22:30", 100) == "00:10"
    assert later("09:05", 0) == "09:05"


def test_wait_for_long_and_not_at_all():
    assert wait("12:00", "12:00") == 0
    assert wait("06:00", "22:00") == 16 * 60
    assert wait("22:00", "06:00") == 8 * 60


def test_rides():
    line = Line("1", {"a": 0, "b": 4, "c": 11})
    assert line.ride("a", "c") == 11
    assert line.ride("a", "b") == 4
    assert line.ride("b", "b") == 0


def test_sorted_departures():
    line = Line("1", {"a": 0})
    for time in ("12:00", "05:10", "23:59"):
        line.add(time)
    assert line.departures == ["05:10", "12:00", "23:59"]
    assert Line("2", {}).departures == []


def test_the_last_departure():
    line = Line("1", {"a": 0, "b": 5})
    line.add_every(30, "21:00", "22:00")
    assert line.departures[-1] == "22:00"
    assert line.next_bus("b", "21:40") == "22:05"
    line.add_every(30, "23:00", "23:29")
    assert line.departures[-1] == "23:00"


def test_a_bus_right_now():
    line = Line("1", {"a": 0, "b": 12})
    line.add("10:00")
    assert line.next_bus("b", "10:12") == "10:12"
    assert line.next_bus("b", "10:13") is None
    assert line.times("a") == ["10:00"]


def test_longest_gap():
    line = Line("1", {"a": 0})
    assert line.longest_gap() == 0
    for time in ("08:00", "08:10", "09:40", "10:00"):
        line.add(time)
    assert line.longest_gap() == 90
