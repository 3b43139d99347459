"""The critic's role."""
