"""Points of players, game by game."""


class Scoreboard:
    def __init__(self):
        self.scores = {}
        self.games = 0

    def record(self, player, points):
        self.scores.setdefault(player, []).append(points)
        self.games += 1

    def undo(self, player):
        """Take back the latest game of a player, and return its points."""
        if not self.scores.get(player):
            raise ValueError(f"nothing to undo for {player}")
        self.games -= 1
        return self.scores[player].pop()

    def total(self, player):
        return sum(self.scores.get(player, []))

    def average(self, player):
        points = self.scores.get(player, [])
        if not points:
            return 0.0
        return sum(points) / len(points)

    def streak(self, player, minimum):
        """Return the length of the longest series of games with at least so many points."""
        longest = 0
        length = 0
        for points in self.scores.get(player, []):
            if points < minimum:
                length = 0
            else:
                length += 1
            longest = max(longest, length)
        return longest
