from lending.catalogue import Book, Catalogue
from lending.desk import Desk, Refused
from lending.readers import Reader


def make_desk(*titles):
    catalogue = Catalogue()
    for title in titles:
        catalogue.add(title, "Verne")
    return Desk(catalogue)


def refuses(function, *args):
    try:
        function(*args)
    except Refused:
        return True
    return False


def test_more_copies():
    catalogue = Catalogue()
    catalogue.add("Emma", "Austen")
    catalogue.add("Emma", "Austen", copies=2)
    assert catalogue.books["Emma"].copies == 3
    assert Book("Emma", "Austen", 4).available() == 4


def test_authors():
    catalogue = Catalogue()
    for title, author in [("Ulysses", "Joyce"), ("It", "King"), ("Dubliners", "Joyce")]:
        catalogue.add(title, author)
    assert catalogue.by_author("Joyce") == ["Dubliners", "Ulysses"]
    assert catalogue.by_author("King") == ["It"]
    assert catalogue.by_author("It") == []


def test_limit():
    desk, reader = make_desk("a", "b", "c"), Reader("Ann", limit=2)
    desk.lend(reader, "a", 1)
    desk.lend(reader, "b", 1)
    assert refuses(desk.lend, reader, "c", 1)
    desk.give_back(reader, "a", 2)
    desk.lend(reader, "c", 2)
    assert sorted(reader.due) == ["b", "c"]


def test_overdue_from_the_next_day_on():
    desk, reader = make_desk("a", "b", "c"), Reader("Ann")
    for today, title in [(0, "c"), (1, "b"), (0, "a")]:
        desk.lend(reader, title, today)
    assert reader.overdue(14) == []
    assert reader.overdue(15) == ["a", "c"]
    assert reader.overdue(16) == ["a", "b", "c"]


def test_extend_in_time():
    desk, reader = make_desk("a"), Reader("Ann")
    desk.lend(reader, "a", 10)
    desk.extend(reader, "a", 24)
    desk.extend(reader, "a", 38)
    assert reader.due["a"] == 52
    assert refuses(desk.extend, reader, "a", 53)


def test_a_queue_for_another_book():
    desk, reader = make_desk("a", "b"), Reader("Ann")
    desk.lend(reader, "a", 1)
    desk.reserve(Reader("Bob"), "b")
    desk.extend(reader, "a", 3)
    assert reader.due["a"] == 17
    desk.reserve(Reader("Bob"), "a")
    assert refuses(desk.extend, reader, "a", 4)


def test_pay():
    desk, reader = make_desk("a", "b"), Reader("Ann")
    desk.lend(reader, "a", 0)
    desk.give_back(reader, "a", 24)
    assert reader.fees == 20
    assert refuses(desk.lend, reader, "b", 24)
    reader.pay(30)
    assert reader.fees == 0
    assert reader.may_borrow()


def test_first_come_first_served():
    desk, reader = make_desk("a"), Reader("Ann")
    desk.lend(reader, "a", 0)
    desk.reserve(Reader("Bob"), "a")
    desk.reserve(Reader("Cem"), "a")
    assert desk.give_back(reader, "a", 14) == "Bob"
    assert reader.fees == 0
    desk.lend(reader, "a", 14)
    assert desk.give_back(reader, "a", 15) == "Cem"
