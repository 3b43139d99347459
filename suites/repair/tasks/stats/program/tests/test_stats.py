from stats import mean, median, mode, normalize, summary, variance


def test_mean():
    assert mean([1, 2, 6]) == 3.0


def test_median():
    assert median([9, 1, 5]) == 5
    assert median([4, 1, 3, 2]) == 2.5


def test_variance():
    assert variance([2, 4, 6]) == 4.0


def test_mode():
    assert mode([3, 1, 3, 2]) == 3
    assert mode([7, 7, 4, 4, 9]) == 4


def test_normalize():
    assert normalize([10, 20, 15]) == [0.0, 1.0, 0.5]


def test_summary_of_nothing():
    assert summary([]) == {"count": 0, "mean": 0.0, "median": 0.0, "deviation": 0.0}
