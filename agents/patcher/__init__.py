"""The patcher's role."""
