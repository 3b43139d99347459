"""A log of events that keeps only the newest ones."""

from eventlog.event import parse, rank


class Log:
    def __init__(self, capacity=100):
        self.capacity = capacity
        self.events = []

    def add(self, event):
        self.events.append(event)
        if len(self.events) > self.capacity:
            self.events.pop(0)

    def read(self, lines):
        """Add an event per line, and return how many lines made no sense."""
        bad = 0
        for line in lines:
            try:
                self.add(parse(line))
            except ValueError:
                bad += 1
        return bad

    def at_least(self, level):
        """Return the events that are as grave as the level or graver."""
        return [event for event in self.events if rank(event.level) >= rank(level)]

    def between(self, start, end):
        """Return the events from the start on and before the end."""
        return [event for event in self.events if start <= event.time < end]

    def without(self, tag):
        """Return the events that do not have the tag."""
        return [event for event in self.events if tag not in event.tags]

    def count(self):
        """Return the number of events for each level that occurs."""
        counts = {}
        for event in self.events:
            counts[event.level] = counts.get(event.level, 0) + 1
        return counts
