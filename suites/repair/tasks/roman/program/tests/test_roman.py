from roman import chapters, from_roman, is_roman, to_roman


def test_large_numbers():
    assert to_roman(1994) == "MCMXCIV"
    assert to_roman(2026) == "MMXXVI"


def test_from_roman():
    assert from_roman("XIV") == 14
    assert from_roman("MCMXC") == 1990


def test_out_of_range():
    for number in (0, 4000):
        try:
            to_roman(number)
        except ValueError:
            continue
        assert False, f"{number} was accepted"


def test_is_roman():
    assert is_roman("XLII")
    assert not is_roman("IIII")


def test_other_letters_are_not_roman():
    assert not is_roman("HELLO")
    assert not is_roman("xii")


def test_chapters():
    assert chapters(["Dawn", "Noon"]) == ["I. Dawn", "II. Noon"]
