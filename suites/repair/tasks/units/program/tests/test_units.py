from units.convert import convert, split
from units.quantity import Quantity, parse


def test_lengths():
    assert convert(3, "km", "m") == 3000
    assert convert(25, "mm", "cm") == 2.5


def test_times():
    assert convert(2, "h", "min") == 120
    assert convert(90, "s", "min") == 1.5


def test_unknown_unit():
    try:
        convert(1, "m", "league")
    except ValueError:
        return
    assert False, "an unknown unit was accepted"


def test_split():
    assert split(3725, "s", ["h", "min", "s"]) == [(1, "h"), (2, "min"), (5, "s")]


def test_parse_a_symbol():
    assert parse("3 km").show() == "3 km"


def test_parse_a_name():
    assert parse("2.5 metres").show() == "2.5 m"


def test_plus():
    assert Quantity(2, "m").plus(Quantity(50, "cm")).show() == "2.5 m"
