"""Tracks and lists of them."""


class Track:
    def __init__(self, title, artist, seconds):
        self.title = title
        self.artist = artist
        self.seconds = seconds


def clock(seconds):
    """Turn 125 into '2:05'."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes}:{rest:02}"


class Playlist:
    def __init__(self, tracks):
        self.tracks = list(tracks)

    def add(self, track, first=False):
        """Put the track at the end, or at the beginning if it comes first."""
        if first:
            self.tracks.insert(0, track)
        else:
            self.tracks.append(track)

    def remove(self, title):
        self.tracks = [track for track in self.tracks if track.title != title]

    def move(self, old, new):
        """Take the track at the old place and put it at the new one."""
        track = self.tracks.pop(old)
        self.tracks.insert(new, track)

    def length(self):
        return clock(sum(track.seconds for track in self.tracks))

    def numbered(self):
        """Return the titles with their numbers: 1, 2, 3 and so on."""
        return [f"{index + 1}. {track.title}" for index, track in enumerate(self.tracks)]
