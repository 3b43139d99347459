"""The planner's role."""
