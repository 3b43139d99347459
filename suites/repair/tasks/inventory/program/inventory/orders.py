"""Orders of customers, and orders to suppliers."""


class Order:
    def __init__(self, customer):
        self.customer = customer
        self.lines = {}

    def add(self, name, quantity=1):
        self.lines[name] = self.lines.get(name, 0) + quantity

    def total(self, stock):
        """Return the price of the whole order."""
        return sum(stock.items[name].price * quantity for name, quantity in self.lines.items())


def missing(order, stock):
    """Return the names of items that cannot be delivered in full."""
    names = []
    for name, quantity in order.lines.items():
        if quantity > stock.items[name].quantity:
            names.append(name)
    return names


def refill(stock):
    """Return how much of each low item to order, so that twice the minimum is there."""
    return {name: 2 * stock.items[name].minimum - stock.items[name].quantity for name in stock.low()}
