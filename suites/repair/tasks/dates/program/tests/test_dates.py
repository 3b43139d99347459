from dates import add_months, day_of_year, days_between, days_in_month, is_leap, next_day, weekday


def test_leap_years():
    assert is_leap(2024)
    assert not is_leap(2025)
    assert not is_leap(1900)


def test_days_in_month():
    assert days_in_month(2023, 2) == 28
    assert days_in_month(2023, 12) == 31


def test_day_of_year():
    assert day_of_year(2023, 3, 1) == 60


def test_weekday():
    assert weekday(2026, 11, 23) == "Mon"


def test_days_between():
    assert days_between((2023, 12, 30), (2024, 1, 2)) == 3


def test_next_day():
    assert next_day(2023, 4, 30) == (2023, 5, 1)


def test_add_months():
    assert add_months(2023, 11, 15, 3) == (2024, 2, 15)
