"""Where the pieces can go."""

from boardmoves.squares import is_inside, ray, shift

STRAIGHT = [(1, 0), (0, 1), (-1, 0), (0, -1)]
DIAGONAL = [(1, 1), (-1, 1), (-1, -1), (1, -1)]
LEAPS = [(2, 1), (1, 2), (-1, 2), (-2, 1), (-2, -1), (-1, -2), (1, -2), (2, -1)]


def slide(square, steps, blocked):
    moves = []
    for step in steps:
        moves.extend(ray(square, step, blocked))
    return moves


def leap(square, steps, blocked):
    targets = [shift(square, step) for step in steps]
    return [target for target in targets if is_inside(target) and target not in blocked]


def rook_moves(square, blocked=()):
    return slide(square, STRAIGHT, blocked)


def bishop_moves(square, blocked=()):
    return slide(square, DIAGONAL, blocked)


def knight_moves(square, blocked=()):
    return leap(square, LEAPS, blocked)


def king_moves(square, blocked=()):
    return leap(square, STRAIGHT + DIAGONAL, blocked)


def pawn_attacks(square):
    """Return the squares on which a white pawn can take a piece."""
    column, row = square
    targets = [(side, row + 1) for side in (column - 1, column + 1)]
    return [target for target in targets if is_inside(target)]


def reachable(square, moves, count):
    """Return the squares on which a piece can stand after exactly so many moves."""
    if count == 0:
        return {square}
    found = set()
    for target in moves(square):
        found |= reachable(target, moves, count - 1)
    return found
