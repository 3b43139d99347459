"""`ratchet.toml`: which model each role thinks with, what endpoints allow, what calls cost, what may be spent."""

import math
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from agents.models.prices import PriceBook, PricesUnreadable
from contracts.chat import ModelFacts
from contracts.models import MODEL_ROLES, facts_of

NAME = "ratchet.toml"


class ConfigUnreadable(Exception):
    """Raised when the file cannot be used; the message names the place in it and what would do."""


class EndpointConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an endpoint allows, by its base URL."""

    key_env: str = ""
    """Name of the variable that holds the key; empty: one of the usual ones."""
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 8
    """Calls at once."""
    max_tokens: int = 4096
    """Tokens of an answer where the caller says nothing."""
    timeout: float = 120.0
    """Seconds for one answer."""
    outage: float = 300.0
    """Seconds without any answer after which a campaign is paused; until then its calls wait."""
    context: int = 0
    """Tokens that a conversation and its answer may have; 0: `contracts.models.CONTEXT`."""
    tools: bool | None = None
    """Whether its models call tools; nothing said: as was found out, else they are taken to."""
    extra: dict[str, Any] = {}
    """Fields that go into the body of every request as they are."""


class ModelsConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model of each role, and the default of all."""

    default: str = ""
    harness: str = ""
    planner: str = ""
    patcher: str = ""
    critic: str = ""


class BudgetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars that may be spent on models."""

    run: float = 0.0
    round: float = 0.0
    harness: float = 0.0
    planner: float = 0.0
    patcher: float = 0.0
    critic: float = 0.0

    @property
    def roles(self) -> dict[str, float]:
        """What each role may spend, where that is said."""
        return {role: limit for role in MODEL_ROLES if (limit := getattr(self, role))}


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    models: ModelsConfig = ModelsConfig()
    endpoints: dict[str, EndpointConfig] = {}
    """Base URL → what the endpoint there allows."""
    budget: BudgetConfig = BudgetConfig()
    prices: list[dict[str, Any]] = []
    """Entries that come before those of the price book."""

    def endpoint(self, url: str) -> EndpointConfig:
        """What is said of an endpoint, or the defaults."""
        found = {name.rstrip("/"): each for name, each in self.endpoints.items()}
        return found.get(url.rstrip("/"), EndpointConfig())

    def facts(self, spec: str) -> ModelFacts | None:
        """What a harness is to be told of a model, where something is said of its endpoint."""
        allowed, known = self.endpoint(spec.rpartition("@")[2]), facts_of(spec)
        if allowed.tools is None and not allowed.context:
            return None
        tools = known.tools if allowed.tools is None else allowed.tools
        return ModelFacts(tools=tools, context=allowed.context or known.context)

    def astray(self, url: str) -> str:
        """An entry that means the server of an endpoint, and not the endpoint: its path is another; or nothing."""
        server = urlsplit(url).netloc
        if url.rstrip("/") in {name.rstrip("/") for name in self.endpoints}:
            return ""
        return next((name for name in self.endpoints if urlsplit(name).netloc == server), "")


def read_config(path: Path | None = None) -> Config:
    """The file that is named, or the one in this folder, or nothing but defaults.

    Raises:
        ConfigUnreadable: a file that was named is not there, or what stands in it is not understood.
    """
    file = path or Path(NAME)
    if path is None and not file.exists():
        return Config()
    try:
        found = msgspec.toml.decode(file.read_bytes(), type=Config)
    except OSError as error:
        raise ConfigUnreadable(f"{file} cannot be read ({error.strerror})") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise ConfigUnreadable(f"{file}: {error}; see docs/models.md for what may stand there") from error
    for url, each in found.endpoints.items():
        if min(each.requests_per_minute, each.tokens_per_minute) < 0 or each.concurrency < 1:
            raise ConfigUnreadable(f"{file}: endpoints.{url!r}: limits are 0 or more, concurrency 1 or more")
        if each.max_tokens < 1 or not 0 < each.timeout < math.inf or not 0 <= each.outage < math.inf:
            raise ConfigUnreadable(
                f"{file}: endpoints.{url!r}: max_tokens and timeout are numbers above 0, outage is 0 or more"
            )
        if each.context and each.context <= each.max_tokens:
            raise ConfigUnreadable(
                f"{file}: endpoints.{url!r}: context holds an answer of max_tokens ({each.max_tokens}) and what comes "
                "before it, so it is above that"
            )
    for name in BudgetConfig.__struct_fields__:
        if not 0 <= getattr(found.budget, name) < math.inf:
            raise ConfigUnreadable(
                f"{file}: budget.{name} is no amount of dollars; leave it out for no limit"
            )
    try:
        PriceBook.load(found.prices)
    except PricesUnreadable as error:
        raise ConfigUnreadable(f"{file}: {error}") from error
    return found
