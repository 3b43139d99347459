from eventlog.event import Event, parse, rank
from eventlog.log import Log


def timed(*times):
    log = Log()
    for time in times:
        log.add(Event(time, "info", str(time)))
    return log


def test_only_the_newest_are_kept():
    log = Log(capacity=2)
    for time in range(5):
        log.add(Event(time, "debug", "tick"))
    assert [event.time for event in log.events] == [3, 4]


def test_at_least():
    log = Log()
    for level in ("info", "error", "debug", "warning"):
        log.add(Event(0, level, level))
    assert [event.text for event in log.at_least("warning")] == ["error", "warning"]
    assert len(log.at_least("debug")) == 4


def test_unknown_levels():
    log = Log()
    log.add(Event(0, "gossip", "a"))
    log.add(Event(1, "warning", "b"))
    assert [event.text for event in log.at_least("info")] == ["b"]
    assert rank("") == rank("debug") == 0


def test_lines_without_sense():
    log = Log()
    assert log.read(["", "7", "8 info", "x y z"]) == 4
    assert log.events == []
    assert log.read(["3 DEBUG all is well"]) == 0
    assert log.events[0].level == "debug"


def test_the_end_does_not_belong_to_it():
    log = timed(10, 20, 30)
    assert [event.time for event in log.between(10, 20)] == [10]
    assert [event.time for event in log.between(20, 31)] == [20, 30]
    assert log.between(10, 10) == []


def test_tags_belong_to_one_event():
    first, second = parse("1 info a"), parse("2 info b")
    first.add_tag("x")
    second.add_tag("y")
    first.add_tag("x")
    assert (first.tags, second.tags) == (["x"], ["y"])


def test_without_a_tag():
    log = Log()
    for time, tags in enumerate((["a"], ["a", "b"], [], ["c"])):
        log.add(Event(time, "info", "text", tags))
    assert [event.time for event in log.without("a")] == [2, 3]
    assert len(log.without("z")) == 4


def test_count_of_nothing():
    assert Log().count() == {}
    assert timed(1, 2, 3).count() == {"info": 3}
