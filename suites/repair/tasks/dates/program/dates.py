"""Date arithmetic in the Gregorian calendar; a date is year, month and day."""

MONTHS = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
WEEKDAYS = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in_month(year, month):
    if month == 2 and is_leap(year):
        return 29
    return MONTHS[month - 1]


def day_of_year(year, month, day):
    """Return 1 for the first of January."""
    for earlier in range(1, month):
        day += days_in_month(year, earlier)
    return day


def day_number(year, month, day):
    """Return the number of the day, counted from the first of January of year 1."""
    past = year - 1
    leap_days = past // 4 - past // 100 + past // 400
    return past * 365 + leap_days + day_of_year(year, month, day)


def weekday(year, month, day):
    return WEEKDAYS[(day_number(year, month, day) - 1) % 7]


def days_between(first, second):
    return day_number(*second) - day_number(*first)


def next_day(year, month, day):
    if day < days_in_month(year, month):
        return year, month, day + 1
    if month < 12:
        return year, month + 1, 1
    return year + 1, 1, 1


def add_months(year, month, day, count):
    """Move by whole months; a day that does not exist becomes the last of its month."""
    months = year * 12 + month - 1 + count
    year = months // 12
    month = months % 12 + 1
    return year, month, min(day, days_in_month(year, month))
