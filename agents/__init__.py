"""The agents and what they stand on. Imports nothing, so that `python -m agents.ROLE` starts clean."""
