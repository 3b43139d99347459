from scoreboard.points import Scoreboard
from scoreboard.ranking import lead, podium, ranking, victories


def make_board(**scores):
    board = Scoreboard()
    for player, games in scores.items():
        for points in games:
            board.record(player, points)
    return board


def test_total_and_average():
    board = make_board(ann=[4, 8])
    assert board.total("ann") == 12
    assert board.average("ann") == 6.0


def test_undo():
    board = make_board(ann=[4, 8], bob=[5])
    assert board.games == 3
    assert board.undo("ann") == 8
    assert board.total("ann") == 4
    assert board.games == 2


def test_streak():
    assert make_board(ann=[5, 7, 1, 6, 9, 5, 2]).streak("ann", 5) == 3


def test_ranking():
    board = make_board(ann=[4, 8], bob=[20], cyd=[6, 6])
    assert ranking(board) == [(1, "bob", 20), (2, "ann", 12), (2, "cyd", 12)]


def test_podium():
    board = make_board(ann=[1], bob=[2], cyd=[3], dan=[4])
    assert podium(board) == ["dan", "cyd", "bob"]


def test_lead():
    board = make_board(ann=[10], bob=[3])
    assert lead(board, "ann", "bob") == 7


def test_victories():
    boards = [make_board(ann=[3], bob=[1]), make_board(ann=[5], bob=[2])]
    assert victories(boards) == {"ann": 2, "bob": 0}
