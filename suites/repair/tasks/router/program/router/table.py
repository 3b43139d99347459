"""The table of all routes."""

from router.paths import match


class NotFound(Exception):
    """Raised when there is no such page."""


class Route:
    def __init__(self, name, pattern, method):
        self.name = name
        self.pattern = pattern
        self.method = method


class Router:
    def __init__(self):
        self.routes = []

    def add(self, name, pattern, method="GET"):
        self.routes.append(Route(name, pattern, method))

    def resolve(self, method, path):
        """Return the name of the first route that fits, and its parameters."""
        for route in self.routes:
            params = match(route.pattern, path)
            if params is not None and route.method == method:
                return route.name, params
        raise NotFound(path)

    def find(self, name):
        for route in self.routes:
            if route.name == name:
                return route
        raise NotFound(name)
