"""The base of every record: frozen, keyword-only, and strict about what it does not know."""

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """A frozen record. New fields must have defaults; a field is never retyped."""
