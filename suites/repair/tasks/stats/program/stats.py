"""Plain statistics of lists of numbers."""


def mean(values):
    if not values:
        return 0.0
    return sum(values) / len(values)


def median(values):
    """Return the middle value, or the mean of the two in the middle."""
    if not values:
        return 0.0
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 == 1:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def variance(values):
    """Return the sample variance, which is 0 for fewer than two values."""
    if len(values) < 2:
        return 0.0
    center = mean(values)
    total = sum((value - center) ** 2 for value in values)
    freedom = len(values) - 1
    return total / freedom


def deviation(values):
    return variance(values) ** 0.5


def mode(values):
    """Return the most frequent value; of several, the smallest."""
    counts = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    best = None
    for value in sorted(counts):
        if best is None or counts[value] > counts[best]:
            best = value
    return best


def normalize(values):
    """Map the values to the range from 0 to 1."""
    low = min(values)
    high = max(values)
    if low == high:
        return [0.0 for _ in values]
    return [(value - low) / (high - low) for value in values]


def summary(values):
    return {
        "count": len(values),
        "mean": mean(values),
        "median": median(values),
        "deviation": deviation(values),
    }
