from playlist.player import Player
from playlist.tracks import Playlist, Track, clock


def letters(text, seconds=10):
    return Playlist([Track(letter, "choir", seconds) for letter in text])


def spelled(playlist):
    return "".join(track.title for track in playlist.tracks)


def test_clock():
    assert clock(0) == "0:00"
    assert clock(59) == "0:59"
    assert clock(60) == "1:00"
    assert letters("abcdefg").length() == "1:10"


def test_add_to_an_empty_list():
    playlist = letters("")
    for letter in "abc":
        playlist.add(Track(letter, "choir", 5))
    playlist.add(Track("z", "choir", 5), first=True)
    assert spelled(playlist) == "zabc"


def test_rearranging():
    playlist = letters("abcab")
    playlist.remove("b")
    assert spelled(playlist) == "aca"
    playlist.move(2, 0)
    playlist.move(0, 1)
    assert spelled(playlist) == "aac"


def test_numbers():
    assert letters("").numbered() == []
    assert letters("xy").numbered() == ["1. x", "2. y"]


def test_display_of_the_last_track():
    player = Player(letters("abcd"))
    for _ in range(9):
        player.skip()
    assert player.display() == "4/4 d"


def test_play_over_the_end_of_a_track():
    player = Player(letters("abc"))
    player.play(9)
    assert (player.index, player.elapsed) == (0, 9)
    player.play(12)
    assert (player.index, player.elapsed) == (2, 1)


def test_back_at_the_first_track():
    player = Player(letters("abc"))
    player.back()
    assert (player.index, player.elapsed) == (0, 0)
    player.skip()
    player.back()
    assert player.index == 0


def test_back_after_three_seconds():
    for seconds, index in ((3, 1), (4, 2)):
        player = Player(letters("abc"))
        player.skip()
        player.skip()
        player.play(seconds)
        player.back()
        assert (player.index, player.elapsed) == (index, 0)
