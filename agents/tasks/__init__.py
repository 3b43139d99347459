"""Tasks and suites on disk: what a directory has to hold, and how it becomes records."""
