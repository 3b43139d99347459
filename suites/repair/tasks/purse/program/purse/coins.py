"""Making up amounts from coins."""

COINS = (200, 100, 50, 20, 10, 5, 2, 1)


def change(amount, coins=None):
    """Add coins for an amount to a list, large ones first, and return the list."""
    if coins is None:
        coins = []
    for value in COINS:
        while amount >= value:
            coins.append(value)
            amount -= value
    return coins


def ways(amount, values):
    """Count the ways to make up an amount from coins of the given values."""
    if amount == 0:
        return 1
    if amount < 0 or not values:
        return 0
    return ways(amount - values[0], values) + ways(amount, values[1:])


def fewest(amount, values):
    """Return how many coins an amount takes at least, or None if it is not possible."""
    best = [0]
    for part in range(1, amount + 1):
        counts = []
        for value in values:
            if value <= part and best[part - value] is not None:
                counts.append(best[part - value] + 1)
        best.append(min(counts) if counts else None)
    return best[amount]
