"""The evaluator's role."""
