"""A bus line: where it stops, and when."""

from timetable.clock import later, to_minutes, to_text, wait


class Line:
    """A line; `minutes` tells how long the bus takes from the first stop to each stop."""

    def __init__(self, name, minutes):
        self.name = name
        self.minutes = minutes
        self.departures = []

    def add(self, time):
        self.departures.append(time)
        self.departures.sort()

    def add_every(self, step, first, last):
        """Add a departure every so many minutes, from the first to the last."""
        for minutes in range(to_minutes(first), to_minutes(last) + 1, step):
            self.add(to_text(minutes))

    def ride(self, start, goal):
        """Return how many minutes it takes from one stop to another."""
        return self.minutes[goal] - self.minutes[start]

    def times(self, stop):
        return [later(time, self.minutes[stop]) for time in self.departures]

    def next_bus(self, stop, now):
        """Return when the next bus leaves from a stop, or None if it was the last one."""
        for time in self.times(stop):
            if time >= now:
                return time
        return None

    def longest_gap(self):
        """Return the most minutes that lie between two departures."""
        longest = 0
        for before, after in zip(self.departures, self.departures[1:]):
            longest = max(longest, wait(before, after))
        return longest
