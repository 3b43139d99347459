from units.convert import convert, lookup, split
from units.quantity import Quantity, parse, symbol


def refuses(*args):
    try:
        convert(*args)
    except ValueError:
        return True
    return False


def test_there_and_back():
    for units in (["mm", "cm", "m", "km"], ["s", "min", "h"]):
        for unit in units:
            assert convert(convert(5, units[-1], unit), unit, units[-1]) == 5
            assert convert(7, unit, unit) == 7


def test_hours():
    assert convert(1.5, "h", "s") == 5400
    assert Quantity(45, "min").to("h").show() == "0.75 h"


def test_time_is_not_a_length():
    assert refuses(1, "m", "min")
    assert lookup("cm") == ("length", 10)


def test_unknown_units():
    assert refuses(1, "parsec", "m")
    assert refuses(1, "m", "parsec")


def test_symbols():
    assert [symbol(word) for word in ("mm", "h", "hours")] == ["mm", "h", "h"]
    assert parse("90 s").to("min").show() == "1.5 min"


def test_split_lengths():
    assert split(2345, "mm", ["m", "cm", "mm"]) == [(2, "m"), (34, "cm"), (5, "mm")]
    assert split(7, "cm", ["m", "cm"]) == [(0, "m"), (7, "cm")]


def test_split_into_one_unit():
    assert split(150, "s", ["min"]) == [(2, "min")]
    assert split(5, "m", []) == []


def test_longer():
    assert Quantity(2, "m").is_longer(Quantity(199, "cm"))
    assert not Quantity(2, "m").is_longer(Quantity(200, "cm"))
    assert not Quantity(59, "s").is_longer(Quantity(1, "min"))
