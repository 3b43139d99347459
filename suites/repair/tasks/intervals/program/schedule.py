"""Bookings of one room in one day."""

from intervals import covered, overlaps


class Schedule:
    def __init__(self, opens, closes):
        self.opens = opens
        self.closes = closes
        self.bookings = {}

    def book(self, name, start, end):
        """Book the room; tell whether it was free."""
        if start < self.opens or end > self.closes:
            return False
        for booked in self.bookings.values():
            if overlaps(booked, (start, end)):
                return False
        self.bookings[name] = (start, end)
        return True

    def cancel(self, name):
        self.bookings.pop(name, None)

    def at(self, time):
        """Return who has the room at a time, or None."""
        for name, (start, end) in self.bookings.items():
            if start <= time and time < end:
                return name
        return None

    def first_free(self, duration):
        """Return the first start at which the room is free for long enough, or None."""
        start = self.opens
        for booked in sorted(self.bookings.values()):
            if start + duration <= booked[0]:
                return start
            start = booked[1]
        if start + duration <= self.closes:
            return start
        return None

    def load(self):
        """Return the share of the day that is booked."""
        return covered(self.bookings.values()) / (self.closes - self.opens)
