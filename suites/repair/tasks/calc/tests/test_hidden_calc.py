from calc.parser import evaluate
from calc.scanner import scan
from calc.session import Session


def refuses(text):
    try:
        evaluate(text)
    except ValueError:
        return True
    return False


def test_scan_without_spaces():
    assert scan("12*(3.25-4)") == [12.0, "*", "(", 3.25, "-", 4.0, ")"]
    assert scan("  ") == []


def test_from_left_to_right():
    assert evaluate("10 - 4 - 3") == 3.0
    assert evaluate("2 * 3 - 4 * 5") == -14.0


def test_fractions():
    assert evaluate("1 / 4") == 0.25
    assert evaluate("9 / 2 / 3") == 1.5
    assert evaluate("1.5 / 2 + 1") == 1.75


def test_nested_brackets():
    assert evaluate("((1 + 2) * (3 + 4))") == 21.0
    assert evaluate("-(2 - 5)") == 3.0


def test_negative_numbers():
    assert evaluate("-3 + 5") == 2.0
    assert evaluate("4 * -2") == -8.0


def test_what_is_not_an_expression():
    assert refuses("")
    assert refuses("1 +")
    assert refuses("1 2")
    assert refuses("* 3")
    assert refuses("3 % 2")


def test_brackets_must_be_closed():
    assert refuses("(1 + 2")
    assert refuses("2 * (3 - (1)")


def test_undo():
    session = Session()
    assert session.last() is None
    session.run("1 + 1")
    session.run("2 * 8")
    assert session.last() == 16.0
    assert session.undo() == 2.0
    assert session.undo() is None
    assert session.undo() is None
