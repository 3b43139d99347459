"""The state of a lineage: what decisions need, and no more; the whole past stays in the ledger."""

import hashlib
from typing import Literal

import msgspec

from contracts import events as e
from contracts.gate import Verdict
from contracts.record import Record
from contracts.settings import CampaignSettings, Spent, SuiteManifest

HISTORY = 64
"""How many closed rounds, and lessons, the state remembers; the ledger remembers all."""
PLACES = 6
"""How many places of a task the state remembers."""
ARCHIVE = 128
"""How many raced and inert candidates the state remembers, for grafts and so that nothing is repeated: those of
some ten rounds."""


class Review(Record):
    """What the critic said of a change before it was measured."""

    approved: bool
    sampled: bool = False
    """Rejected, and measured all the same."""
    reason: str = ""


class Candidate(Record):
    """A change on its way through a round."""

    number: int
    plan: e.Plan
    status: Literal["planned", "proposed", "rejected", "inert"] = "planned"
    tree: str = ""
    growth: int = 0
    """By how much it is more complex than the incumbent."""
    effect: float | None = None
    """Mean difference in the race."""
    rejection: str = ""
    """Why the patcher could not make it, if a model wrote it."""
    review: Review | None = None

    @property
    def unreviewed(self) -> bool:
        """Whether the critic has yet to look at it: only at what a model wrote."""
        return self.status == "proposed" and self.plan.free and self.review is None


class Approval(Record):
    """A question to a person."""

    id: str
    deadline: float
    status: Literal["open", "granted", "denied"] = "open"
    by: str = ""


class Round(Record):
    """The round that is under way."""

    number: int
    tree: str
    traceparent: str = ""
    """Of the span that opened the round: the root of the round's trace."""
    executed: bool = False
    incumbent_means: tuple[float, ...] = ()
    """Mean score of the incumbent per practice task in this round's first stage."""
    seeds: tuple[str, ...] = ()
    failures: tuple[e.FailureCluster, ...] | None = None
    candidates: tuple[Candidate, ...] = ()
    planned: bool = False
    raced: bool = False
    best: int = -1
    verdict: Verdict | None = None
    """What the gate says of the best candidate."""
    flips: tuple[str, ...] = ()
    """Practice tasks that did better in the confirmation, by more than half a solved task-seed in ten."""
    approval: Approval | None = None
    decision: Literal["", "kept", "reverted", "inconclusive"] = ""
    reason: str = ""
    null_measured: bool = False
    lesson: str = ""
    fault: str = ""
    """Why the round cannot come to a verdict, if it cannot."""


class RoundSummary(Record):
    """What a round came to: a line of the report."""

    campaign: str
    number: int
    tree: str
    """The incumbent."""
    decision: str
    title: str = ""
    surface: str = ""
    arm: str = ""
    effect: float = 0.0
    low: float = 0.0
    high: float = 0.0
    p: float = 1.0
    incumbent_mean: float = 0.0
    reason: str = ""


class Arm(Record):
    """What a kind of change has yielded so far: the planner's bandit."""

    planned: int = 0
    inert: int = 0
    """How many of them did nothing at all."""
    raced: int = 0
    effect: float = 0.0
    """Sum of the differences seen in races."""
    probed: int = 0
    """How many were probed only, and did not race."""
    shown: float = 0.0
    """Sum of the differences that their probes showed."""
    confirmed: int = 0
    confirmed_effect: float = 0.0
    """Sum of the differences seen in confirmations, on fresh seeds."""
    kept: int = 0
    credit: float = 0.0
    """Sum of the credit that its predictions earned."""


class Branch(Record):
    """A raced candidate; if it was not kept, or was lost again, it may be grafted later."""

    round: int
    parent: str
    tree: str
    plan: e.Plan
    effect: float


class Fixes(Record):
    """How often a kind of edit was tried on practice tasks, and how often it made failing tests pass."""

    tried: int = 0
    helped: int = 0


class Version(Record):
    """A harness that has been the head."""

    number: int
    tree: str
    position: int
    """Ledger position of the event that made it the head."""
    round: int
    """Round that brought it; 0 for the seed, -1 for a reset by a person."""
    reason: str


class Release(Record):
    """A release check that is under way."""

    check: int
    base: str
    tree: str


class Campaign(Record):
    """A campaign, from request to end."""

    id: str
    settings: CampaignSettings
    suite: SuiteManifest
    fingerprint: str
    model: str = "embedded"
    status: Literal["requested", "running", "paused", "finished"] = "requested"
    start_tree: str = ""
    started_at: float = 0.0
    last_at: float = 0.0
    paused_reason: str = ""
    rounds_done: int = 0
    round: Round | None = None
    release: Release | None = None
    release_checked: bool = False
    spent: Spent = Spent()
    reason: str = ""
    exhausted: str = ""
    """Why its budget covers no further call of a model, once that is so."""


class Lineage(Record):
    """The state of one lineage."""

    version: int = 0
    hash: bytes = b""
    """Chain hash of the last event folded: what the next one has to point to."""
    position: int = 0
    head: str = ""
    seed_tree: str = ""
    versions: tuple[Version, ...] = ()
    campaign: Campaign | None = None
    """The campaign under way, or the last one."""
    campaigns: int = 0
    history: tuple[RoundSummary, ...] = ()
    """The latest closed rounds."""
    arms: dict[str, Arm] = {}
    archive: tuple[Branch, ...] = ()
    lessons: tuple[str, ...] = ()
    """Blobs of the campaign memory, one a round, over all campaigns: the latest ones."""
    fixes: dict[str, Fixes] = {}
    """By kind of edit."""
    places: dict[str, tuple[str, ...]] = {}
    """Task → lines (`path:line`) at which some episode's edit made failing tests pass: up to `PLACES` a task."""
    releases: int = 0
    """Release checks so far."""
    released: str = ""
    """Tree of the last release, or the seed's."""
    nulls: int = 0
    """A/A arms that came to a verdict."""
    nulls_kept: int = 0
    unknown: int = 0
    """Events that this version could not understand."""


def state_hash(state: Lineage) -> str:
    """SHA-256 over the canonical bytes of a state, with everything empty left out.

    So a later version may give the state new fields, empty until an event fills them, and the hashes that were
    recorded before still come out.
    """
    return hashlib.sha256(msgspec.msgpack.encode(_bare(state), order="deterministic")).hexdigest()


def _bare(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        fields = ((name, _bare(getattr(value, name))) for name in value.__struct_fields__)
        return {name: bare for name, bare in fields if bare not in (None, "", b"", 0, False, [], {})}
    if isinstance(value, tuple):
        return [_bare(item) for item in value]
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items()}
    return value
