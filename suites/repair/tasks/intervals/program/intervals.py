"""Half-open intervals: (start, end) holds the start but not the end."""


def overlaps(first, second):
    return first[0] < second[1] and second[0] < first[1]


def intersect(first, second):
    """Return what both intervals share, or None."""
    if not overlaps(first, second):
        return None
    return max(first[0], second[0]), min(first[1], second[1])


def merge(intervals):
    """Join intervals that overlap or touch."""
    merged = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            last = merged.pop()
            merged.append((last[0], max(last[1], end)))
        else:
            merged.append((start, end))
    return merged


def covered(intervals):
    """Return the length that the intervals cover together."""
    return sum(end - start for start, end in merge(intervals))
