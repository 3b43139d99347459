"""The monitor's role."""
