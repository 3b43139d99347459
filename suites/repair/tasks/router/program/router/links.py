"""Links with a query behind the path."""

from router.paths import fill


def parse_query(text):
    """Return the list of values for each name in a text like 'a=1&b=2&a=3'."""
    values = {}
    for pair in text.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            values.setdefault(name, []).append(value)
    return values


def open_link(router, link):
    """Return the name of the page, its parameters, and the query."""
    path, _, query = link.partition("?")
    name, params = router.resolve("GET", path)
    return name, params, parse_query(query)


def make_link(router, name, params, query=""):
    """Return the link to the page of this name."""
    route = router.find(name)
    link = fill(route.pattern, params)
    if query:
        link += "?" + query
    return link
