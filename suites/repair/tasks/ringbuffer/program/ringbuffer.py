"""A buffer of fixed size: when it is full, a new item takes the place of the oldest."""


class RingBuffer:
    def __init__(self, size):
        if size <= 0:
            raise ValueError("size must be positive")
        self.size = size
        self.slots = [None] * size
        self.start = 0
        self.count = 0

    def is_full(self):
        return self.count == self.size

    def push(self, item):
        end = (self.start + self.count) % self.size
        self.slots[end] = item
        if self.is_full():
            self.start = (self.start + 1) % self.size
        else:
            self.count += 1

    def pop(self):
        """Remove and return the oldest item."""
        if self.count == 0:
            raise IndexError("the buffer is empty")
        item = self.slots[self.start]
        self.slots[self.start] = None
        self.start = (self.start + 1) % self.size
        self.count -= 1
        return item

    def to_list(self):
        """Return the items, oldest first."""
        return [self.slots[(self.start + step) % self.size] for step in range(self.count)]

    def latest(self, amount):
        """Return the newest items, in the order in which they came."""
        if amount <= 0:
            return []
        return self.to_list()[-amount:]

    def average(self):
        """Return the mean of the items, or 0 if there are none."""
        items = self.to_list()
        if not items:
            return 0
        return sum(items) / len(items)
