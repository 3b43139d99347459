"""Roman numerals."""

NUMERALS = [
    (1000, "M"),
    (900, "CM"),
    (500, "D"),
    (400, "CD"),
    (100, "C"),
    (90, "XC"),
    (50, "L"),
    (40, "XL"),
    (10, "X"),
    (9, "IX"),
    (5, "V"),
    (4, "IV"),
    (1, "I"),
]
VALUES = {letters: value for value, letters in NUMERALS if len(letters) == 1}


def to_roman(number):
    """Return a number from 1 to 3999 in Roman letters."""
    if number < 1 or number > 3999:
        raise ValueError(f"out of range: {number}")
    result = ""
    for value, letters in NUMERALS:
        while number >= value:
            result += letters
            number -= value
    return result


def from_roman(text):
    """Return the value of Roman letters."""
    total = 0
    previous = 0
    for letter in reversed(text):
        value = VALUES[letter]
        if value < previous:
            total -= value
        else:
            total += value
        previous = value
    return total


def is_roman(text):
    """Tell whether the text is a number as a Roman would have written it."""
    if not text:
        return False
    for letter in text:
        if letter not in VALUES:
            return False
    number = from_roman(text)
    if number > 3999:
        return False
    return to_roman(number) == text


def chapters(titles, start=1):
    """Number the titles of a book's chapters."""
    return [f"{to_roman(number)}. {title}" for number, title in enumerate(titles, start)]
