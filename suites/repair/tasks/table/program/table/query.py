"""Questions to the rows of a table."""


def select(rows, name, value):
    """Return the rows that hold `value` in a column."""
    return [row for row in rows if row[name] == value]


def column(rows, name):
    return [row[name] for row in rows]


def longest(rows, name):
    """Return the row with the longest text in a column; of equal ones the first."""
    if not rows:
        return None
    best = rows[0]
    for row in rows[1:]:
        if len(row[name]) > len(best[name]):
            best = row
    return best
