"""A calculator that remembers what it computed."""

from calc.parser import evaluate


class Session:
    def __init__(self):
        self.history = []

    def run(self, text):
        value = evaluate(text)
        self.history.append((text, value))
        return value

    def last(self):
        """Return the latest value, or None before the first one."""
        if not self.history:
            return None
        return self.history[-1][1]

    def undo(self):
        if self.history:
            self.history.pop()
        return self.last()
