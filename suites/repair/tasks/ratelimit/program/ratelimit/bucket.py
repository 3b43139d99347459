"""A bucket of tokens: bursts are fine as long as the average is not too high."""


class TokenBucket:
    """Holds up to `capacity` tokens and gains `rate` of them per second."""

    def __init__(self, capacity, rate):
        self.capacity = capacity
        self.rate = rate
        self.tokens = capacity
        self.updated = 0

    def update(self, now):
        gained = (now - self.updated) * self.rate
        self.tokens = min(self.capacity, self.tokens + gained)
        self.updated = now

    def allow(self, now, cost=1):
        """Take the tokens and return True, or return False if there are too few."""
        self.update(now)
        if cost > self.tokens:
            return False
        self.tokens -= cost
        return True

    def wait(self, now, cost=1):
        """Return the seconds until there are enough tokens."""
        self.update(now)
        if cost <= self.tokens:
            return 0
        return (cost - self.tokens) / self.rate
