from bowling import frame_score, frame_starts, is_spare, is_strike, parse, score, strikes, totals


def test_nothing_rolled():
    assert parse("") == []
    assert score([]) == 0
    assert totals([]) == []


def test_misses():
    assert parse("-- 9- -9") == [0, 0, 9, 0, 0, 9]
    assert score([0] * 20) == 0


def test_spares_on_the_sheet():
    assert parse("-/ 5/ 8/") == [0, 10, 5, 5, 8, 2]


def test_strike_or_spare():
    assert is_strike([10, 0], 0)
    assert not is_spare([10, 0], 0)
    assert is_spare([4, 6], 0)
    assert not is_spare([4, 5], 0)


def test_bonus_of_a_frame():
    assert frame_score([10, 3, 4, 9], 0) == 17
    assert frame_score([6, 4, 8, 1], 0) == 18
    assert frame_score([6, 3, 8, 1], 0) == 9


def test_a_perfect_game():
    assert score([10] * 12) == 300
    assert strikes([10] * 12) == 10


def test_totals_frame_by_frame():
    assert totals([9, 0, 0, 9, 1, 1]) == [9, 18, 20]
    assert totals([2, 2] * 10) == [4, 8, 12, 16, 20, 24, 28, 32, 36, 40]


def test_at_most_ten_frames():
    assert frame_starts([1] * 22) == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    assert len(frame_starts([10] * 12)) == 10
