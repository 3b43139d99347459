"""The cli's role."""
