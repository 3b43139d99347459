"""Whose turn it is, how a game stands, and which square to choose."""

from tictactoe.board import EMPTY, LINES, Board

BEST_FIRST = (4, 0, 2, 6, 8, 1, 3, 5, 7)


def turn(board):
    """Return the mark that is put next; X begins."""
    if board.squares.count("X") > board.squares.count("O"):
        return "O"
    return "X"


def status(board):
    if board.winner():
        return f"{board.winner()} wins"
    if board.is_full():
        text = "draw"
    else:
        text = f"{turn(board)} to move"
    return text


def winning_square(board, mark):
    """Return a free square that gives this mark a full line, or None."""
    for line in LINES:
        marks = [board.squares[number] for number in line]
        if marks.count(mark) == 2 and EMPTY in marks:
            return line[marks.index(EMPTY)]
    return None


def choose(board):
    """Win if possible, keep the other player from it otherwise, and else take the best free square."""
    mine = turn(board)
    theirs = "O" if mine == "X" else "X"
    for mark in (mine, theirs):
        square = winning_square(board, mark)
        if square is not None:
            return square
    return min(board.free(), key=BEST_FIRST.index)


def play(moves):
    """Put the marks in turn, and stop when somebody wins."""
    board = Board()
    for number in moves:
        board.put(number, turn(board))
        if board.winner():
            break
    return board
