from calc.parser import evaluate
from calc.scanner import scan
from calc.session import Session


def test_scan():
    assert scan("1 + 2.5") == [1.0, "+", 2.5]


def test_plus_and_minus():
    assert evaluate("8 - 3 + 2") == 7.0


def test_times_comes_first():
    assert evaluate("2 + 3 * 4") == 14.0


def test_division():
    assert evaluate("7 / 2") == 3.5


def test_brackets():
    assert evaluate("(2 + 3) * 4") == 20.0
    try:
        evaluate("(2 + 3")
    except ValueError:
        return
    assert False, "an open bracket was accepted"


def test_session_remembers():
    session = Session()
    session.run("2 * 3")
    assert session.last() == 6.0


def test_unknown_characters():
    try:
        evaluate("2 $ 3")
    except ValueError:
        return
    assert False, "an unknown character was accepted"
