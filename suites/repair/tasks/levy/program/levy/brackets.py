"""Income tax by brackets, with rates in percent."""

FREE = 10000
BRACKETS = [(20000, 10), (50000, 25)]
TOP_RATE = 40


def taxable(income):
    """Return what is left of an income after the free amount."""
    return max(income - FREE, 0)


def tax(amount):
    """Return the tax on a taxable amount: each part is taxed at the rate of its bracket."""
    total = 0
    lower = 0
    for upper, rate in BRACKETS:
        if amount <= upper:
            return total + (amount - lower) * rate / 100
        total += (upper - lower) * rate / 100
        lower = upper
    return total + (amount - lower) * TOP_RATE / 100


def marginal_rate(amount):
    """Return the rate of the bracket that a taxable amount ends in."""
    for upper, rate in BRACKETS:
        if amount <= upper:
            return rate
    return TOP_RATE
