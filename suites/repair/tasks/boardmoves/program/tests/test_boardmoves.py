from boardmoves.pieces import king_moves, knight_moves, pawn_attacks, reachable, rook_moves
from boardmoves.squares import is_inside, label, parse


def test_parse():
    assert parse("c2") == (2, 1)
    assert not is_inside((8, 0))


def test_label():
    assert label((2, 1)) == "c2"
    assert label((0, 7)) == "a8"


def test_rook():
    assert len(rook_moves((3, 3))) == 14
    assert rook_moves((0, 0), blocked=[(3, 0), (0, 1)]) == [(1, 0), (2, 0)]


def test_knight():
    assert sorted(knight_moves((0, 0))) == [(1, 2), (2, 1)]
    assert knight_moves((0, 0), blocked=[(2, 1)]) == [(1, 2)]


def test_king():
    assert sorted(king_moves((7, 0))) == [(6, 0), (6, 1), (7, 1)]


def test_pawn():
    assert pawn_attacks((4, 1)) == [(3, 2), (5, 2)]


def test_reachable():
    assert reachable((7, 7), king_moves, 1) == {(6, 7), (7, 6), (6, 6)}
    assert len(reachable((0, 0), king_moves, 2)) == 9
