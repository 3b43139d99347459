"""Who comes before whom."""


def ranking(board):
    """Return place, player and total of each player, the best one first; equal totals share a place."""
    players = sorted(board.scores, key=lambda player: (-board.total(player), player))
    rows = []
    for index, player in enumerate(players):
        total = board.total(player)
        place = index + 1
        if rows and rows[-1][2] == total:
            place = rows[-1][0]
        rows.append((place, player, total))
    return rows


def podium(board):
    """Return the players on the first three places."""
    return [player for place, player, _ in ranking(board) if place <= 3]


def lead(board, player, other):
    """Return by how many points a player is ahead of another one."""
    return board.total(player) - board.total(other)


def victories(boards):
    """Count on how many of the boards each player has the first place."""
    counts = {}
    for board in boards:
        for place, player, _ in ranking(board):
            counts.setdefault(player, 0)
            if place == 1:
                counts[player] += 1
    return counts
