from eventlog.event import Event, parse, rank
from eventlog.log import Log


def filled(*events):
    log = Log()
    for event in events:
        log.add(event)
    return log


def test_parse():
    event = parse("12 Error disk is full")
    assert (event.time, event.level, event.text) == (12, "error", "disk is full")
    assert event.render() == "12 ERROR disk is full"


def test_rank():
    assert rank("error") > rank("warning") > rank("info")
    assert rank("nonsense") == 0


def test_read():
    log = Log()
    assert log.read(["1 info start", "later info no time", "5 error stop"]) == 1
    assert [event.text for event in log.events] == ["start", "stop"]


def test_between():
    log = filled(Event(1, "info", "a"), Event(5, "info", "b"), Event(9, "info", "c"))
    assert [event.text for event in log.between(1, 9)] == ["a", "b"]


def test_add_tag():
    first = Event(1, "info", "a")
    second = Event(2, "info", "b")
    first.add_tag("disk")
    assert first.tags == ["disk"]
    assert second.tags == []


def test_without():
    log = filled(Event(1, "info", "a", ["disk"]), Event(2, "info", "b", ["net"]))
    assert [event.text for event in log.without("disk")] == ["b"]


def test_count():
    log = filled(Event(1, "info", "a"), Event(2, "error", "b"), Event(3, "info", "c"))
    assert log.count() == {"info": 2, "error": 1}
