from bowling import frame_starts, parse, score, strikes, totals


def test_parse():
    assert parse("4- 81") == [4, 0, 8, 1]


def test_parse_strike_and_spare():
    assert parse("X 9/ 4/") == [10, 9, 1, 4, 6]


def test_frame_starts():
    assert frame_starts([1, 2, 10, 3, 4]) == [0, 2, 3]


def test_score_without_bonus():
    assert score([3, 4] * 10) == 70


def test_score_with_a_spare():
    assert score([7, 3, 5, 2]) == 22


def test_totals():
    assert totals([1, 2, 3, 4, 5, 0]) == [3, 10, 15]


def test_strikes():
    assert strikes([10, 1, 2, 10]) == 2
