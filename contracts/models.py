"""Who thinks with which model, and what every call of one is charged to."""

import hashlib
from typing import Literal

import msgspec

from contracts.chat import EDITS_ONLY, ModelFacts
from contracts.record import Record

EMBEDDED = "embedded"
"""How the model that comes with Ratchet is named."""

ModelRole = Literal["harness", "planner", "patcher", "critic"]
"""Whose thinking a call is."""
MODEL_ROLES: tuple[ModelRole, ...] = ("harness", "planner", "patcher", "critic")


CONTEXT = 128_000
"""Tokens that a model behind an endpoint is taken to have room for."""


def facts_of(spec: str) -> ModelFacts:
    """What a harness is told of a model, as `--model` names it; empty: the embedded one.

    The embedded model only edits, behind an endpoint too (`openai:embedded@URL`); every other is taken to call tools.
    """
    name = spec.partition(":")[2].partition("@http")[0]
    return ModelFacts(tools=True, context=CONTEXT) if name not in ("", EMBEDDED) else EDITS_ONLY


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


class Finding(Record):
    """What was found out about one thing that an endpoint may or may not do."""

    name: str
    state: Literal["honoured", "ignored", "refused", "unknown"]
    seen: str = ""
    """What that rests on."""


DECODING = ("temperature", "top_p", "frequency_penalty", "presence_penalty")


class Capabilities(Record):
    """What an endpoint honours, found out by asking it."""

    model: str
    """As `--model` names it."""
    findings: tuple[Finding, ...]

    @property
    def unsupported(self) -> tuple[str, ...]:
        """Decoding parameters that it does not honour: there is nothing to search in them."""
        return tuple(
            found.name
            for found in self.findings
            if found.name in DECODING and found.state in ("ignored", "refused")
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """What is not sent to it: those parameters, and the reasoning of earlier answers where it takes none."""
        refused = any(found.name == "reasoning" and found.state == "refused" for found in self.findings)
        return (*self.unsupported, "reasoning") if refused else self.unsupported

    @property
    def fingerprint(self) -> str:
        """SHA-256 over what it honours: another one means that something has changed behind the name."""
        states = sorted((found.name, found.state) for found in self.findings)
        return hashlib.sha256(msgspec.json.encode((self.model, states))).hexdigest()
