"""What people read of a ledger, from its file alone: history, replay, checks, reports."""
