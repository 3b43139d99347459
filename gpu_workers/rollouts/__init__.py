"""Rollouts: policies in many copies of small environments at once, stepped as array operations."""
