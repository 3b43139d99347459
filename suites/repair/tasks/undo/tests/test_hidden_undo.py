from undo.commands import Delete, Group, Insert
from undo.history import History


def test_undo_step_by_step():
    history = History("abc")
    for command in (Insert(3, "def"), Delete(0, 2), Insert(1, "--")):
        history.execute(command)
    assert history.document == "c--def"
    seen = []
    for _ in range(3):
        history.undo()
        seen.append(history.document)
    assert seen == ["cdef", "abcdef", "abc"]


def test_delete_in_the_middle():
    command = Delete(2, 3)
    assert command.apply("0123456") == "0156"
    assert command.removed == "234"
    assert command.revert("0156") == "0123456"


def test_redo_step_by_step():
    history = History()
    history.execute(Insert(0, "one"))
    history.execute(Insert(3, " two"))
    assert history.undo() and history.undo()
    assert history.document == ""
    assert history.redo()
    assert history.document == "one"
    assert history.redo()
    assert history.document == "one two"
    assert len(history.done) == 2


def test_redo_is_at_its_end():
    history = History()
    assert not history.redo()
    history.execute(Insert(0, "x"))
    history.undo()
    history.execute(Insert(0, "y"))
    assert not history.redo()
    assert history.document == "y"


def test_undo_of_an_empty_history():
    history = History()
    assert not history.undo()
    assert history.undone == []


def test_group_of_dependent_changes():
    group = Group("wrap", [Insert(0, "("), Insert(4, ")"), Delete(1, 1)])
    history = History("abc")
    history.execute(group)
    assert history.document == "(bc)"
    history.undo()
    assert history.document == "abc"


def test_labels_in_order():
    history = History()
    assert history.labels() == []
    for position, letter in enumerate("xyz"):
        history.execute(Insert(position, letter))
    assert history.labels() == ["insert z", "insert y", "insert x"]
    history.undo()
    assert history.labels() == ["insert y", "insert x"]
