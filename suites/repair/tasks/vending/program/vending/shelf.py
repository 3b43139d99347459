"""What a vending machine holds: slots with products in a row."""


class SoldOut(Exception):
    """Raised when a slot is empty."""


class Shelf:
    """A shelf; `slots` holds the products of each slot, and the first one falls out first."""

    def __init__(self, slots=None):
        if slots is None:
            slots = {}
        self.slots = slots

    def fill(self, code, *products):
        self.slots.setdefault(code, []).extend(products)

    def take(self, code):
        """Remove the first product of a slot and return it."""
        try:
            return self.slots[code].pop(0)
        except IndexError:
            raise SoldOut(code) from None

    def empty(self):
        """Return the codes of all empty slots, sorted."""
        return sorted(code for code, products in self.slots.items() if not products)
