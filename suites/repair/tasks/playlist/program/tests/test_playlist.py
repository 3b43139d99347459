from playlist.player import Player
from playlist.tracks import Playlist, Track


def songs():
    return Playlist([Track("Sun", "Ann", 65), Track("Moon", "Bob", 50), Track("Star", "Ann", 70)])


def titles(playlist):
    return [track.title for track in playlist.tracks]


def test_add():
    playlist = songs()
    playlist.add(Track("Rain", "Cid", 30))
    playlist.add(Track("Snow", "Cid", 30), first=True)
    assert titles(playlist) == ["Snow", "Sun", "Moon", "Star", "Rain"]


def test_remove_and_move():
    playlist = songs()
    playlist.move(0, 2)
    assert titles(playlist) == ["Moon", "Star", "Sun"]
    playlist.remove("Star")
    assert titles(playlist) == ["Moon", "Sun"]


def test_length():
    assert songs().length() == "3:05"


def test_numbered():
    assert songs().numbered() == ["1. Sun", "2. Moon", "3. Star"]


def test_display():
    player = Player(songs())
    assert player.display() == "1/3 Sun"


def test_skip():
    player = Player(songs(), repeat=True)
    seen = []
    for _ in range(4):
        seen.append(player.current().title)
        player.skip()
    assert seen == ["Sun", "Moon", "Star", "Sun"]


def test_back():
    player = Player(songs())
    player.skip()
    player.play(20)
    player.back()
    assert (player.current().title, player.elapsed) == ("Moon", 0)
    player.back()
    assert player.current().title == "Sun"
