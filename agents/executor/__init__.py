"""The executor's role."""
