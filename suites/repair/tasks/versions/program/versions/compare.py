"""Which version is newer."""

from versions.parse import parse


def compare(left, right):
    """Return -1 if left is older than right, 1 if it is newer, and 0 if they are equal."""
    first = parse(left)
    second = parse(right)
    if first < second:
        return -1
    if first > second:
        return 1
    return 0


def latest(texts):
    """Return the newest of the versions, or None if there are none."""
    best = None
    for text in texts:
        if best is None or compare(text, best) > 0:
            best = text
    return best


def is_compatible(installed, wanted):
    """Tell whether the installed version can stand in for the wanted one."""
    if parse(installed)[0] != parse(wanted)[0]:
        return False
    return compare(installed, wanted) >= 0
