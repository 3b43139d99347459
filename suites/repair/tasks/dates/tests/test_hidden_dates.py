from dates import add_months, day_number, day_of_year, days_between, days_in_month, is_leap, next_day, weekday


def test_centuries():
    assert [is_leap(year) for year in (1600, 1700, 1900, 2000)] == [True, False, False, True]


def test_february():
    assert [days_in_month(year, 2) for year in (2023, 2024, 2100, 2400)] == [28, 29, 28, 29]


def test_last_day_of_the_year():
    assert day_of_year(2023, 12, 31) == 365
    assert day_of_year(2022, 1, 1) == 1


def test_day_number():
    assert day_number(1, 1, 1) == 1
    assert day_number(1970, 1, 1) == 719163


def test_weekdays():
    assert weekday(1969, 7, 20) == "Sun"
    assert weekday(2001, 1, 1) == "Mon"


def test_days_between_years():
    assert days_between((1999, 1, 1), (2001, 1, 1)) == 731
    assert days_between((2021, 5, 5), (2021, 5, 5)) == 0
    assert days_between((2021, 5, 5), (2021, 4, 30)) == -5


def test_walk_through_a_year():
    date = (2023, 1, 1)
    for _ in range(365):
        date = next_day(*date)
    assert date == (2024, 1, 1)


def test_add_months_across_years():
    assert add_months(2023, 1, 31, 1) == (2023, 2, 28)
    assert add_months(2023, 3, 10, -3) == (2022, 12, 10)
    assert add_months(2023, 12, 1, 12) == (2024, 12, 1)
