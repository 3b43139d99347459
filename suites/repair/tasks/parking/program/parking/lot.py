"""Which cars are in the lot, and since when; times are minutes."""


class LotFull(Exception):
    """Raised when there is no place for another car."""


class Lot:
    def __init__(self, capacity):
        self.capacity = capacity
        self.entered = {}

    def is_full(self):
        return len(self.entered) >= self.capacity

    def enter(self, plate, time):
        if plate in self.entered:
            raise ValueError(f"{plate} is in already")
        if self.is_full():
            raise LotFull(plate)
        self.entered[plate] = time

    def leave(self, plate, time):
        """Let a car out and return how many minutes it stayed."""
        if plate not in self.entered:
            raise ValueError(f"{plate} is not here")
        return time - self.entered.pop(plate)
