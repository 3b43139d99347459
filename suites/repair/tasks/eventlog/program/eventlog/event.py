"""One event: when it happened, how grave it is, what it says, and its tags."""

LEVELS = ["debug", "info", "warning", "error"]


def rank(level):
    """Return how grave a level is; an unknown one counts as 0."""
    try:
        return LEVELS.index(level)
    except ValueError:
        return 0


class Event:
    def __init__(self, time, level, text, tags=None):
        if tags is None:
            tags = []
        self.time = time
        self.level = level
        self.text = text
        self.tags = tags

    def add_tag(self, tag):
        if tag not in self.tags:
            self.tags.append(tag)

    def render(self):
        return f"{self.time} {self.level.upper()} {self.text}"


def parse(line):
    """Turn '12 error disk full' into an event."""
    time, level, text = line.split(" ", 2)
    return Event(int(time), level.lower(), text)
