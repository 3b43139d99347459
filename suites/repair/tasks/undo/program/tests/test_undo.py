from undo.commands import Delete, Group, Insert
from undo.history import History


def test_insert_and_undo():
    history = History("held")
    history.execute(Insert(3, "lo worl"))
    assert history.document == "hello world"
    assert history.undo()
    assert history.document == "held"


def test_delete_and_undo():
    history = History("hello world")
    history.execute(Delete(5, 6))
    assert history.document == "hello"
    history.undo()
    assert history.document == "hello world"


def test_nothing_to_undo():
    history = History("text")
    assert not history.undo()
    assert history.document == "text"


def test_nothing_to_redo():
    history = History("text")
    history.execute(Insert(0, "my "))
    assert not history.redo()
    assert history.document == "my text"


def test_undo_after_redo():
    history = History("a")
    history.execute(Insert(1, "b"))
    history.undo()
    assert history.redo()
    assert history.document == "ab"
    assert history.undo()
    assert history.document == "a"


def test_group():
    replace = Group("replace", [Delete(0, 3), Insert(0, "dog")])
    assert replace.apply("cat food") == "dog food"
    assert replace.revert("dog food") == "cat food"


def test_labels():
    history = History("word")
    history.execute(Delete(0, 1))
    history.execute(Insert(0, "W"))
    assert history.labels() == ["insert W", "delete 1"]
