"""A cache that forgets what was not used for the longest time."""

from collections import OrderedDict


class LRUCache:
    """Keeps at most `capacity` values; the least recently used one has to go first."""

    def __init__(self, capacity):
        if capacity < 1:
            raise ValueError("capacity must be at least 1")
        self.capacity = capacity
        self.items = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self):
        return len(self.items)

    def __contains__(self, key):
        return key in self.items

    def get(self, key, default=None):
        if key not in self.items:
            self.misses += 1
            return default
        self.hits += 1
        self.items.move_to_end(key)
        return self.items[key]

    def put(self, key, value):
        self.items[key] = value
        self.items.move_to_end(key)
        while len(self.items) > self.capacity:
            self.items.popitem(last=False)

    def remove(self, key):
        """Forget a key; tell whether it was there."""
        if key in self.items:
            del self.items[key]
            return True
        return False

    def keys(self):
        """Return the keys, the least recently used one first."""
        return list(self.items)

    def hit_rate(self):
        total = self.hits + self.misses
        if total == 0:
            return 0.0
        return self.hits / total


def cached(function, capacity=128):
    """Return a function that remembers the results of its latest calls."""
    cache = LRUCache(capacity)

    def wrapper(*args):
        if args in cache:
            return cache.get(args)
        value = function(*args)
        cache.put(args, value)
        return value

    return wrapper
