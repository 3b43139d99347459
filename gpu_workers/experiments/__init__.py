"""Experiments as batched array work: data prepared per fold, fits stacked, cells kept."""
