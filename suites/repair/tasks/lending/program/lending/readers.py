"""The readers and what they have at home."""


class Reader:
    """A reader; `due` holds the day on which each borrowed title must be back."""

    def __init__(self, name, limit=3):
        self.name = name
        self.limit = limit
        self.due = {}
        self.fees = 0

    def may_borrow(self):
        return len(self.due) < self.limit and self.fees == 0

    def overdue(self, today):
        """Return the titles that should have come back before today, sorted."""
        return sorted(title for title, day in self.due.items() if day < today)

    def pay(self, amount):
        self.fees -= min(amount, self.fees)
