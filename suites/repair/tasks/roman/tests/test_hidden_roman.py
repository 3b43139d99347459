from roman import NUMERALS, chapters, from_roman, is_roman, to_roman


def test_every_numeral():
    for value, letters in NUMERALS:
        assert to_roman(value) == letters
        assert from_roman(letters) == value


def test_there_and_back():
    for number in range(1, 4000, 37):
        assert from_roman(to_roman(number)) == number


def test_largest_and_smallest():
    assert to_roman(3999) == "MMMCMXCIX"
    assert to_roman(1) == "I"


def test_values():
    assert from_roman("") == 0
    assert from_roman("III") == 3
    assert from_roman("CDXLIV") == 444


def test_letters_out_of_place():
    assert not is_roman("IC")
    assert not is_roman("VX")
    assert not is_roman("MMMM")


def test_not_letters_at_all():
    assert not is_roman("")
    assert not is_roman("12")
    assert not is_roman("X I")
    assert not is_roman("XIZ")


def test_chapters_from_a_number_on():
    assert chapters(["a", "b", "c"], start=8) == ["VIII. a", "IX. b", "X. c"]
    assert chapters([]) == []
