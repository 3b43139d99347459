"""A board of nine squares, numbered from 0 to 8, row by row."""

EMPTY = "."
LINES = (
    (0, 1, 2),
    (3, 4, 5),
    (6, 7, 8),
    (0, 3, 6),
    (1, 4, 7),
    (2, 5, 8),
    (0, 4, 8),
    (2, 4, 6),
)


class TakenError(Exception):
    """Raised when a mark is put on a square that has one."""


class Board:
    def __init__(self, squares=EMPTY * 9):
        self.squares = list(squares)

    def free(self):
        """Return the numbers of the squares without a mark."""
        return [number for number, mark in enumerate(self.squares) if mark == EMPTY]

    def put(self, number, mark):
        if self.squares[number] != EMPTY:
            raise TakenError(number)
        self.squares[number] = mark

    def is_full(self):
        return not self.free()

    def winner(self):
        """Return the mark that fills a line, or None."""
        for line in LINES:
            first, second, third = [self.squares[number] for number in line]
            if first == second == third and first != EMPTY:
                return first
        return None
