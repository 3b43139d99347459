from tictactoe.board import Board, TakenError
from tictactoe.play import choose, play, status, turn, winning_square


def test_full_boards():
    assert not Board("XOXOX.OXO").is_full()
    assert Board("XOXXOOOXX").is_full()
    assert Board("XOXXOOOXX").free() == []


def test_a_refused_mark_changes_nothing():
    board = Board("X........")
    try:
        board.put(0, "O")
    except TakenError:
        pass
    assert "".join(board.squares) == "X........"


def test_rows_and_columns():
    assert Board("OO.XXX...").winner() == "X"
    assert Board("O.XOX.OX.").winner() == "O"
    assert Board("O.XO.X..X").winner() == "X"


def test_both_diagonals():
    assert Board("X.OOX...X").winner() == "X"
    assert Board("XXO.O.O.X").winner() == "O"


def test_a_draw_has_no_winner():
    assert Board("XOXXOOOXX").winner() is None
    assert Board("X...O...X").winner() is None


def test_turns_in_a_game():
    assert turn(Board("XOX......")) == "O"
    assert turn(Board("XOXO.....")) == "X"
    assert "".join(play([0, 3, 1, 4, 2, 8]).squares) == "XXXOO...."


def test_how_the_game_stands():
    assert status(Board("X...O....")) == "X to move"
    assert status(Board("OXOXXOXOX")) == "draw"
    assert status(Board("OOOXX.X..")) == "O wins"


def test_squares_to_choose():
    assert winning_square(Board("...X.XO.O"), "X") == 4
    assert winning_square(Board("XO......."), "X") is None
    assert choose(Board("XO.....XO")) == 4
    assert choose(Board("OX.XX.O..")) == 5
