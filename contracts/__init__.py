"""What all parties agree on: events, records, messages, folds, duties, and the rule by which a verdict follows.

Pure: imports nothing of the project, does no I/O, reads no clock and draws no random numbers of its own.
"""
