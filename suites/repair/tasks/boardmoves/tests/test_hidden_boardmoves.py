from boardmoves.pieces import bishop_moves, king_moves, knight_moves, pawn_attacks, reachable, rook_moves
from boardmoves.squares import label, parse


def test_names_outside_the_board():
    for text in ("i1", "a0", "h9", "a10"):
        try:
            parse(text)
        except ValueError:
            continue
        assert False, f"{text} was accepted"


def test_there_and_back():
    for text in ("a1", "b7", "e4", "h8", "g1"):
        assert label(parse(text)) == text


def test_rook_and_bishop():
    assert len(rook_moves((0, 7))) == 14
    assert sorted(bishop_moves((2, 0))) == [(0, 2), (1, 1), (3, 1), (4, 2), (5, 3), (6, 4), (7, 5)]


def test_pieces_in_the_way():
    assert bishop_moves((0, 0), blocked=[(2, 2), (5, 5)]) == [(1, 1)]
    assert rook_moves((7, 7), blocked=[(7, 6), (5, 7)]) == [(6, 7)]


def test_knight_and_king():
    assert len(knight_moves((4, 4))) == 8
    assert len(king_moves((4, 4))) == 8
    assert king_moves((0, 0), blocked=[(1, 0), (0, 1)]) == [(1, 1)]


def test_a_blocked_knight():
    assert knight_moves((7, 7), blocked=[(6, 5), (7, 6)]) == [(5, 6)]


def test_pawns_at_the_edge():
    assert pawn_attacks((0, 3)) == [(1, 4)]
    assert pawn_attacks((7, 1)) == [(6, 2)]
    assert pawn_attacks((3, 7)) == []


def test_two_moves():
    assert reachable((3, 3), lambda square: [], 0) == {(3, 3)}
    near = {(0, 0), (0, 2), (2, 0), (3, 1), (1, 3), (3, 3)}
    far = {(0, 4), (2, 4), (4, 0), (4, 2)}
    assert reachable((0, 0), knight_moves, 2) == near | far
