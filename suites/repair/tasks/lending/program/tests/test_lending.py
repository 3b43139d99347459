from lending.catalogue import Catalogue
from lending.desk import Desk, Refused
from lending.readers import Reader


def make_desk():
    catalogue = Catalogue()
    catalogue.add("Emma", "Austen", copies=2)
    catalogue.add("Persuasion", "Austen")
    catalogue.add("Dracula", "Stoker")
    return Desk(catalogue)


def refuses(function, *args):
    try:
        function(*args)
    except Refused:
        return True
    return False


def test_lend():
    desk, reader = make_desk(), Reader("Ann")
    desk.lend(reader, "Emma", 1)
    assert reader.due == {"Emma": 15}
    assert desk.catalogue.books["Emma"].available() == 1


def test_all_copies_are_lent():
    desk = make_desk()
    desk.lend(Reader("Ann"), "Dracula", 1)
    assert refuses(desk.lend, Reader("Bob"), "Dracula", 1)


def test_by_author():
    assert make_desk().catalogue.by_author("Austen") == ["Emma", "Persuasion"]


def test_overdue():
    desk, reader = make_desk(), Reader("Ann")
    desk.lend(reader, "Emma", 1)
    assert reader.overdue(16) == ["Emma"]
    assert reader.overdue(15) == []


def test_extend_on_the_last_day():
    desk, reader = make_desk(), Reader("Ann")
    desk.lend(reader, "Emma", 1)
    desk.extend(reader, "Emma", 15)
    assert reader.due["Emma"] == 29


def test_extend_while_somebody_waits():
    desk, reader = make_desk(), Reader("Ann")
    desk.lend(reader, "Emma", 1)
    desk.lend(reader, "Dracula", 1)
    desk.reserve(Reader("Bob"), "Dracula")
    assert refuses(desk.extend, reader, "Dracula", 5)
    desk.extend(reader, "Emma", 5)
    assert reader.due == {"Emma": 19, "Dracula": 15}


def test_fees():
    desk, reader = make_desk(), Reader("Ann")
    desk.lend(reader, "Emma", 1)
    desk.give_back(reader, "Emma", 18)
    assert reader.fees == 6
