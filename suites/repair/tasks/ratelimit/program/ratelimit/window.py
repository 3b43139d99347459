"""Sliding windows: so many calls within any period of time."""


class SlidingWindow:
    """Allows `limit` calls within any `period` seconds."""

    def __init__(self, limit, period):
        self.limit = limit
        self.period = period
        self.calls = []

    def update(self, now):
        self.calls = [time for time in self.calls if now - time < self.period]

    def allow(self, now):
        """Note the call and return True, or return False if there were too many."""
        self.update(now)
        if len(self.calls) >= self.limit:
            return False
        self.calls.append(now)
        return True

    def wait(self, now):
        """Return the seconds until the next call is allowed."""
        self.update(now)
        if len(self.calls) < self.limit:
            return 0
        return self.calls[0] + self.period - now


class ClientLimiter:
    """Gives each client a window of its own."""

    def __init__(self, limit, period):
        self.limit = limit
        self.period = period
        self.windows = {}

    def allow(self, client, now):
        if client not in self.windows:
            self.windows[client] = SlidingWindow(self.limit, self.period)
        return self.windows[client].allow(now)

    def blocked(self, now):
        """Return the names of the clients that have to wait."""
        return sorted(client for client, window in self.windows.items() if window.wait(now) > 0)
