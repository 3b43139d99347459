"""Squares of a chess board as pairs of column and row, each from 0 to 7."""

SIZE = 8
LETTERS = "abcdefgh"


def is_inside(square):
    column, row = square
    return 0 <= column < SIZE and 0 <= row < SIZE


def parse(text):
    """Turn a name such as 'c2' into a square."""
    square = (LETTERS.index(text[0]), int(text[1:]) - 1)
    if not is_inside(square):
        raise ValueError(f"no such square: {text}")
    return square


def label(square):
    """Return the name of a square, such as 'c2'."""
    column, row = square
    return LETTERS[column] + str(row + 1)


def shift(square, step):
    return square[0] + step[0], square[1] + step[1]


def ray(square, step, blocked):
    """Return the squares in one direction, up to the edge or to the first blocked square."""
    found = []
    square = shift(square, step)
    while is_inside(square) and square not in blocked:
        found.append(square)
        square = shift(square, step)
    return found
