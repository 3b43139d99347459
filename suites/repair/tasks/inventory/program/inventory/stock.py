"""What lies in the warehouse."""


class OutOfStock(Exception):
    """Raised when more is taken out than there is."""


class Item:
    def __init__(self, name, price, quantity=0, minimum=0):
        self.name = name
        self.price = price
        self.quantity = quantity
        self.minimum = minimum

    def value(self):
        return self.price * self.quantity

    def is_low(self):
        return self.quantity < self.minimum


class Stock:
    def __init__(self):
        self.items = {}

    def add(self, name, price, quantity=0, minimum=0):
        self.items[name] = Item(name, price, quantity, minimum)

    def put(self, name, quantity):
        self.items[name].quantity += quantity

    def take(self, name, quantity):
        item = self.items[name]
        if quantity > item.quantity:
            raise OutOfStock(name)
        item.quantity -= quantity

    def value(self):
        return sum(item.value() for item in self.items.values())

    def low(self):
        """Return the names of items of which there is too little."""
        return sorted(item.name for item in self.items.values() if item.is_low())
