"""A lineage: one harness and everything that ever happened to it, folded from its stream of the ledger."""

from contracts.lineage.evolve import evolve, fold
from contracts.lineage.state import (
    ARCHIVE,
    PLACES,
    Approval,
    Arm,
    Branch,
    Campaign,
    Candidate,
    Fixes,
    Lineage,
    Release,
    Review,
    Round,
    RoundSummary,
    Version,
    state_hash,
)

__all__ = [
    "ARCHIVE",
    "PLACES",
    "Approval",
    "Arm",
    "Branch",
    "Campaign",
    "Candidate",
    "Fixes",
    "Lineage",
    "Release",
    "Review",
    "Round",
    "RoundSummary",
    "Version",
    "evolve",
    "fold",
    "state_hash",
]
