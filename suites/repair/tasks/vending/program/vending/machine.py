"""Selling from a shelf: prices, inserted money and takings."""

from vending.shelf import SoldOut


class Machine:
    def __init__(self, shelf, prices=None):
        if prices is None:
            prices = {}
        self.shelf = shelf
        self.prices = prices
        self.credit = 0
        self.takings = 0
        self.display = "ready"

    def set_price(self, code, price):
        if price <= 0:
            raise ValueError("a price must be positive")
        self.prices[code] = price

    def insert(self, amount):
        self.credit += amount

    def affordable(self):
        """Return the codes for which the inserted money is enough, sorted."""
        return sorted(code for code, price in self.prices.items() if price <= self.credit)

    def buy(self, code):
        """Return a product, or None; then the display says why, and the credit remains."""
        price = self.prices[code]
        if self.credit < price:
            self.display = f"insert {price - self.credit}"
            return None
        try:
            product = self.shelf.take(code)
        except SoldOut:
            self.display = "sold out"
            return None
        self.credit -= price
        self.takings += price
        self.display = "thank you"
        return product

    def cancel(self):
        """Give back what is left of the inserted money."""
        refund = self.credit
        self.credit = 0
        return refund
