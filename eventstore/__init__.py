"""The ledger: append-only streams of events and content-addressed blobs, kept in one SQLite file.

`eventstore.sqlite.SqliteStore` is the store, `eventstore.client.LedgerClient` the same protocols over the
bus, and `eventstore.testing.MemoryStore` the same in memory. This module imports nothing, for quick starts.
"""
