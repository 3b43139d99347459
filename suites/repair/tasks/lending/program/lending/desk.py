"""The desk, where books are lent and given back."""

DAYS = 14
DAILY_FEE = 2


class Refused(Exception):
    """Raised when a book cannot be lent, or cannot be kept for longer."""


class Desk:
    def __init__(self, catalogue):
        self.catalogue = catalogue
        self.waiting = {}

    def lend(self, reader, title, today):
        book = self.catalogue.books[title]
        if book.available() == 0 or not reader.may_borrow():
            raise Refused(title)
        book.lent += 1
        reader.due[title] = today + DAYS

    def reserve(self, reader, title):
        """Put a reader at the end of the queue for a title."""
        self.waiting.setdefault(title, []).append(reader.name)

    def extend(self, reader, title, today):
        """Let a reader keep a book that is not overdue, unless somebody waits for it."""
        if reader.due[title] < today:
            raise Refused(title)
        if self.waiting.get(title):
            raise Refused(title)
        reader.due[title] = today + DAYS

    def give_back(self, reader, title, today):
        """Take a book back and return who is the next to get it, or None."""
        day = reader.due.pop(title)
        if day < today:
            reader.fees += (today - day) * DAILY_FEE
        self.catalogue.books[title].lent -= 1
        queue = self.waiting.get(title, [])
        return queue.pop(0) if queue else None
