from scoreboard.points import Scoreboard
from scoreboard.ranking import lead, podium, ranking, victories


def make_board(**scores):
    board = Scoreboard()
    for player, games in scores.items():
        for points in games:
            board.record(player, points)
    return board


def test_unknown_players():
    board = Scoreboard()
    assert board.total("eve") == 0
    assert board.average("eve") == 0.0
    assert board.streak("eve", 1) == 0
    assert ranking(board) == []


def test_undo_everything():
    board = make_board(ann=[4, 8])
    assert [board.undo("ann"), board.undo("ann")] == [8, 4]
    assert board.games == 0
    try:
        board.undo("ann")
    except ValueError:
        return
    assert False, "a game was taken back that there was not"


def test_streaks():
    board = make_board(ann=[1, 1, 1], bob=[3, 0, 3], cyd=[0])
    assert board.streak("ann", 1) == 3
    assert board.streak("bob", 2) == 1
    assert board.streak("cyd", 1) == 0


def test_shared_places():
    board = make_board(dan=[1], cyd=[5], bob=[5], ann=[2])
    assert ranking(board) == [(1, "bob", 5), (1, "cyd", 5), (3, "ann", 2), (4, "dan", 1)]


def test_a_crowded_podium():
    board = make_board(ann=[9], bob=[8], cyd=[7], dan=[7], eve=[6])
    assert podium(board) == ["ann", "bob", "cyd", "dan"]


def test_lead_both_ways():
    board = make_board(ann=[2, 2], bob=[9])
    assert lead(board, "bob", "ann") == 5
    assert lead(board, "ann", "bob") == -5


def test_shared_victories():
    boards = [make_board(ann=[3], bob=[3]), make_board(bob=[2], cyd=[1]), make_board()]
    assert victories(boards) == {"ann": 1, "bob": 2, "cyd": 0}


def test_averages():
    board = make_board(ann=[1, 2], bob=[0, 0, 6])
    assert board.average("ann") == 1.5
    assert board.average("bob") == 2.0
