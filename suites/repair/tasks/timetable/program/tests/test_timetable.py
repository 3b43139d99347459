from timetable.clock import later, to_minutes, to_text, wait
from timetable.line import Line


def make_line():
    line = Line("7", {"Depot": 0, "Market": 6, "Station": 15})
    for time in ("09:30", "07:45", "08:00"):
        line.add(time)
    return line


def test_to_minutes():
    assert to_minutes("00:10") == 10
    assert to_minutes("07:45") == 465


def test_to_text():
    assert to_text(465) == "07:45"
    assert later("23:50", 15) == "00:05"


def test_wait():
    assert wait("07:40", "08:05") == 25
    assert wait("23:50", "00:10") == 20


def test_ride():
    assert make_line().ride("Market", "Station") == 9


def test_add():
    assert make_line().departures == ["07:45", "08:00", "09:30"]


def test_add_every():
    line = Line("8", {"Depot": 0})
    line.add_every(20, "06:00", "07:00")
    assert line.departures == ["06:00", "06:20", "06:40", "07:00"]


def test_next_bus():
    assert make_line().next_bus("Market", "07:50") == "07:51"
    assert make_line().next_bus("Market", "07:52") == "08:06"
    assert make_line().next_bus("Market", "09:37") is None
