"""The books of the library."""


class Book:
    def __init__(self, title, author, copies=1):
        self.title = title
        self.author = author
        self.copies = copies
        self.lent = 0

    def available(self):
        return self.copies - self.lent


class Catalogue:
    def __init__(self):
        self.books = {}

    def add(self, title, author, copies=1):
        """Add a book, or more copies of a book that is there."""
        if title in self.books:
            self.books[title].copies += copies
        else:
            self.books[title] = Book(title, author, copies)

    def by_author(self, author):
        """Return the titles of an author's books, sorted."""
        return sorted(book.title for book in self.books.values() if book.author == author)
