from tictactoe.board import Board, TakenError
from tictactoe.play import choose, status, turn, winning_square


def test_put():
    board = Board()
    board.put(4, "X")
    assert board.free() == [0, 1, 2, 3, 5, 6, 7, 8]
    try:
        board.put(4, "O")
    except TakenError:
        return
    assert False, "a square was taken twice"


def test_no_winner():
    assert Board().winner() is None
    assert Board("XX.OO....").winner() is None


def test_winner_in_a_row():
    assert Board("...OOOX.X").winner() == "O"


def test_winner_on_a_diagonal():
    assert Board("..XOX.XO.").winner() == "X"


def test_turn():
    assert turn(Board()) == "X"
    assert turn(Board("X........")) == "O"


def test_status():
    assert status(Board("XXXOO....")) == "X wins"
    assert status(Board("XOXXOOOXX")) == "draw"
    assert status(Board("XO.......")) == "X to move"


def test_choose_a_square():
    assert winning_square(Board("X.O.O.X.X"), "X") == 7
    assert choose(Board("X.O...OX.")) == 4
