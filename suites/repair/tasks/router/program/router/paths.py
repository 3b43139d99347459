"""Paths, and patterns such as /users/:id that they follow."""


def split(path):
    return [part for part in path.split("/") if part]


def match(pattern, path):
    """Return what the path has for the names in the pattern, or None if it does not fit."""
    wanted = split(pattern)
    given = split(path)
    if len(wanted) != len(given):
        return None
    params = {}
    for want, part in zip(wanted, given):
        if want.startswith(":"):
            params[want[1:]] = part
        elif want != part:
            return None
    return params


def fill(pattern, params):
    """Put values in the place of the names in the pattern."""
    parts = []
    for part in split(pattern):
        if part.startswith(":"):
            part = str(params[part[1:]])
        parts.append(part)
    return "/" + "/".join(parts)
