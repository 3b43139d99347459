"""What a stay costs, in cents."""

FREE_MINUTES = 15
HOUR_PRICE = 200
DAY_HOURS = 6
DAY_PRICE = 1000
MEMBER_PERCENT = 80


def started_hours(minutes):
    return (minutes + 59) // 60


def price(minutes):
    """Return the price by the hour, or the price of a day for long stays."""
    if minutes <= FREE_MINUTES:
        return 0
    hours = started_hours(minutes)
    if hours >= DAY_HOURS:
        return DAY_PRICE
    return hours * HOUR_PRICE


def member_price(minutes):
    return price(minutes) * MEMBER_PERCENT // 100
