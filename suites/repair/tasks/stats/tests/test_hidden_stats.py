from stats import deviation, mean, median, mode, normalize, summary, variance


def test_mean_of_nothing():
    assert mean([]) == 0.0


def test_mean_of_few():
    assert mean([5]) == 5.0
    assert mean([-1, 1]) == 0.0


def test_median_of_few():
    assert median([]) == 0.0
    assert median([8]) == 8
    assert median([8, 2]) == 5.0


def test_variance_of_few():
    assert variance([]) == 0.0
    assert variance([3]) == 0.0
    assert variance([1, 3]) == 2.0


def test_deviation():
    assert deviation([4, 4, 4]) == 0.0
    assert deviation([1, 1, 7]) == 12**0.5


def test_mode_of_equals():
    assert mode([2, 1, 2, 1]) == 1
    assert mode([]) is None


def test_normalize_equal_values():
    assert normalize([4, 4]) == [0.0, 0.0]
    assert normalize([-1, 3, 0, 1]) == [0.0, 1.0, 0.25, 0.5]


def test_summary():
    assert summary([1, 2, 6, 3]) == {"count": 4, "mean": 3.0, "median": 2.5, "deviation": (14 / 3) ** 0.5}
    assert summary([])["mean"] == 0.0
