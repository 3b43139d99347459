"""Working hours and what they are worth."""

FULL_WEEK = 40


def shift(start, end, pause=0):
    """Return the hours from start to end o'clock; a night shift ends on the next day."""
    if end < start:
        end += 24
    return end - start - pause


def gross(hours, rate):
    """Return the pay for a week; what exceeds a full week is paid half as much again."""
    pay = hours * rate
    if hours > FULL_WEEK:
        pay += (hours - FULL_WEEK) * rate / 2
    return pay
