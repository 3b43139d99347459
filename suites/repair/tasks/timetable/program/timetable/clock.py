"""Times of day, as text and as minutes after midnight."""

DAY = 24 * 60


def to_minutes(text):
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


def to_text(minutes):
    hours, rest = divmod(minutes % DAY, 60)
    return f"{hours:02}:{rest:02}"


def later(text, minutes):
    """Return the time so many minutes later, on the next day if need be."""
    return to_text(to_minutes(text) + minutes)


def wait(now, then):
    """Return the minutes from now to then, which is tomorrow if it is over for today."""
    return (to_minutes(then) - to_minutes(now)) % DAY
