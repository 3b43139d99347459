"""A wallet full of coins."""

from purse.coins import COINS, change


class Wallet:
    def __init__(self, coins=None):
        if coins is None:
            coins = []
        self.coins = coins

    def total(self):
        return sum(self.coins)

    def put(self, value):
        if value not in COINS:
            raise ValueError(f"not a coin: {value}")
        self.coins.append(value)

    def pay(self, amount):
        """Take out coins for exactly this amount, large ones first, and return them."""
        paid = []
        for value in sorted(self.coins, reverse=True):
            if sum(paid) + value <= amount:
                paid.append(value)
        if sum(paid) != amount:
            raise ValueError(f"cannot pay {amount}")
        for value in paid:
            self.coins.remove(value)
        return paid

    def swap(self):
        """Swap the coins for as few as possible of the same value."""
        self.coins = change(self.total())
