"""What a campaign is asked to do: recorded in its first event, so that every later decision follows from it."""

from typing import Literal

from contracts.chat import ModelFacts
from contracts.gate import GateSettings
from contracts.models import Models
from contracts.record import Record


class Limits(Record):
    """What a campaign may spend; 0 means no limit of that kind."""

    episodes: int = 0
    tokens: int = 0
    cost: float = 0.0
    """US dollars."""
    round_cost: float = 0.0
    """US dollars that one round may spend on models."""
    role_cost: dict[str, float] = {}
    """US dollars that a role may spend on models: a role of `contracts.models` → its share."""
    seconds: float = 0.0
    """Wall-clock time since the campaign started."""


class Spent(Record):
    """What has been spent."""

    episodes: int = 0
    model_calls: int = 0
    test_runs: int = 0
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    """Sandbox and model time of all episodes, added up; not reproducible, and no part of any decision."""

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            episodes=self.episodes + other.episodes,
            model_calls=self.model_calls + other.model_calls,
            test_runs=self.test_runs + other.test_runs,
            tokens=self.tokens + other.tokens,
            cost=self.cost + other.cost,
            seconds=self.seconds + other.seconds,
        )


class TaskRef(Record):
    """A task of a suite: where its text lies in the ledger, and which cluster it belongs to."""

    id: str
    package: str
    blob: str


class SuiteManifest(Record):
    """The tasks of a campaign: those that the loop may learn from, and those that only a release may touch."""

    name: str
    digest: str
    """Over every task and its side, collected ones too: measures of unlike digests are never compared."""
    practice: tuple[TaskRef, ...]
    sealed: tuple[TaskRef, ...] = ()
    base: str = ""
    """Digest of the suite without the collected tasks; empty where there are none."""
    collected: tuple[str, ...] = ()
    """Ids of those practice tasks that were collected from failed submissions."""


class CampaignSettings(Record):
    """The whole of what the operator asked for."""

    rounds: int = 6
    seed: int = 1
    gate: GateSettings = GateSettings()
    plans: int = 20
    """Changes planned in a round: more than can race. Those that turn out to change nothing are dropped before."""
    probes: int = 8
    """Episodes that tell whether a change does anything at all, and whether it is promising."""
    release_seeds: int = 20
    """Seeds per sealed task and arm in a release check."""
    null_every: int = 10
    """Measure an A/A arm in every n-th round; 0: never."""
    ablate_every: int = 8
    """Try in every n-th round what the harness loses without one of its changes; 0: never."""
    stagnation: int = 4
    """Rounds without a kept change after which the planner takes wider steps; 0: never."""
    approve: Literal["never", "keeps"] = "never"
    """Whether a person is asked before a change is kept."""
    approve_seconds: float = 3600.0
    """Silence for this long denies."""
    limits: Limits = Limits()
    fixed: tuple[str, ...] = ()
    """Decoding parameters that are not searched, since the harness's model does not honour them."""
    facts: ModelFacts | None = None
    """What the harness is told of its model; None: what the model's name says."""
    models: Models = Models()
