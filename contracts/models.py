"""Who thinks with which model, and what every call of one is charged to."""

from typing import Literal

from contracts.record import Record

EMBEDDED = "embedded"
"""How the model that comes with Ratchet is named."""

ModelRole = Literal["harness", "planner", "patcher", "critic"]
"""Whose thinking a call is."""
MODEL_ROLES: tuple[ModelRole, ...] = ("harness", "planner", "patcher", "critic")


class Models(Record):
    """The model of every role, as `--model` names it. Empty: the embedded one for the harness, none for the others."""

    harness: str = ""
    planner: str = ""
    patcher: str = ""
    critic: str = ""

    def of(self, role: ModelRole) -> str:
        """A role's model; empty where the role thinks without an endpoint."""
        return str(getattr(self, role))

    @property
    def named(self) -> tuple[str, ...]:
        """Every model behind an endpoint, each once."""
        return tuple(dict.fromkeys(spec for role in MODEL_ROLES if (spec := self.of(role))))


class Charge(Record):
    """What a call is charged to. Told by whoever asks; no part of what is asked."""

    campaign: str = ""
    """Empty outside of campaigns."""
    round: int = 0
    candidate: int = -1
    """Number of the candidate within its round; -1: the incumbent, or none."""
    role: ModelRole = "harness"
    task: str = ""
    """Id of the task, for calls of a harness."""
    episode: str = ""
    """Id of the episode's job, for calls of a harness."""
