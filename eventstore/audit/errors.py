"""What can go wrong when somebody looks something up.

LedgerError
└── NotInLedger     what was asked for is not in the ledger
"""

from collections.abc import Sequence

from eventstore.errors import LedgerError

_LISTED = 12


class NotInLedger(LedgerError):
    """Raised when a ledger does not hold what was asked for; the message names what it does hold."""

    def __init__(self, what: str, known: Sequence[str] = (), *, of: str = "") -> None:
        names = ", ".join(known[:_LISTED])
        if len(known) > _LISTED:
            names = f"{', '.join(known[: _LISTED - 1])} … {known[-1]}"
        there = f": there is {names}" if known else f": there is no {of}" if of else ""
        super().__init__(f"{what} is not in this ledger{there}")
        self.what = what
        self.known = tuple(known)
