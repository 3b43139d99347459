"""Amounts together with their units."""

from units.convert import convert

NAMES = {
    "metres": "m",
    "kilometres": "km",
    "seconds": "s",
    "minutes": "min",
    "hours": "h",
}


def symbol(word):
    """Return the symbol for the name of a unit; other words are symbols already."""
    try:
        return NAMES[word]
    except KeyError:
        return word


class Quantity:
    def __init__(self, amount, unit):
        self.amount = amount
        self.unit = unit

    def to(self, unit):
        return Quantity(convert(self.amount, self.unit, unit), unit)

    def plus(self, other):
        """Return the sum in the unit of this quantity."""
        return Quantity(self.amount + other.to(self.unit).amount, self.unit)

    def is_longer(self, other):
        return self.amount > other.to(self.unit).amount

    def show(self):
        return f"{self.amount:g} {self.unit}"


def parse(text):
    """Read text such as '3 km' or '2.5 hours'."""
    number, word = text.split()
    return Quantity(float(number), symbol(word))
