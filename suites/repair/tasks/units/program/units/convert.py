"""Conversion between units of length and of time."""

UNITS = {
    "mm": ("length", 1),
    "cm": ("length", 10),
    "m": ("length", 1000),
    "km": ("length", 1000000),
    "s": ("time", 1),
    "min": ("time", 60),
    "h": ("time", 3600),
}


def lookup(unit):
    """Return what a unit measures, and its factor."""
    try:
        return UNITS[unit]
    except KeyError:
        raise ValueError(f"unknown unit: {unit}")


def convert(amount, source, target):
    """Convert an amount from the source unit to the target unit."""
    source_kind, source_factor = lookup(source)
    target_kind, target_factor = lookup(target)
    if source_kind != target_kind:
        raise ValueError(f"cannot convert {source} to {target}")
    return amount * source_factor / target_factor


def split(amount, unit, targets):
    """Split an amount into whole numbers of the target units, from large to small."""
    rest = amount
    parts = []
    for target in targets:
        whole = int(convert(rest, unit, target))
        parts.append((whole, target))
        rest -= convert(whole, target, unit)
    return parts
