"""A player that goes through a playlist."""


class Player:
    def __init__(self, playlist, repeat=False):
        self.playlist = playlist
        self.repeat = repeat
        self.index = 0
        self.elapsed = 0

    def current(self):
        return self.playlist.tracks[self.index]

    def display(self):
        """Return which track is playing, such as '2/12 Yesterday'."""
        total = len(self.playlist.tracks)
        return f"{self.index + 1}/{total} {self.current().title}"

    def skip(self):
        """Go to the next track; after the last one start again or stay there."""
        if self.index < len(self.playlist.tracks) - 1:
            self.index += 1
        elif self.repeat:
            self.index = 0
        self.elapsed = 0

    def back(self):
        """Start the track again; in its first 3 seconds go to the one before, if any."""
        if self.elapsed <= 3 and self.index > 0:
            self.index -= 1
        self.elapsed = 0

    def play(self, seconds):
        """Play on for some seconds, over the ends of tracks."""
        self.elapsed += seconds
        while self.elapsed >= self.current().seconds:
            rest = self.elapsed - self.current().seconds
            self.skip()
            self.elapsed = rest
