"""`--model` and `ratchet.toml`: which model each role thinks with, for the commands that run episodes or campaigns."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import click
import msgspec

from agents.cli.common import UNAVAILABLE, USAGE, fail
from agents.config import Config, read_config
from contracts.chat import ModelFacts
from contracts.models import EMBEDDED, MODEL_ROLES, Models
from contracts.record import Record
from contracts.settings import CampaignSettings, Limits

if TYPE_CHECKING:
    from agents.models.sources import ModelSource

RECORDED = "recorded:"
"""What names a store whose calls answer."""
REACH = 10.0
"""Seconds for a connection to an endpoint."""


class ModelsUnknown(Exception):
    """Raised when what `--model` or `ratchet.toml` say cannot be used; the message says what would do."""


class Chosen(Record):
    """Which models think, and where their answers come from."""

    models: Models
    recorded: Path | None = None
    """A store whose calls answer; None: the endpoints themselves."""
    fixed: tuple[str, ...] | None = None
    """Decoding parameters that the recorded campaign did not search."""
    facts: ModelFacts | None = None
    """What the harness is to be told of its model, if ratchet.toml or the record say anything."""


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--model and --config, for a campaign."""
    whose = "for all roles, or for one: harness, planner, patcher, critic"
    return _options(command, "[ROLE=]MODEL", whose, "Models, endpoints, prices and budgets")


def harness_model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--model and --config, for a command that runs episodes itself."""
    return _options(command, "MODEL", "for the harness", "The harness's model, endpoints and prices")


def _options(command: Callable[..., Any], form: str, whose: str, holds: str) -> Callable[..., Any]:
    command = click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path, dir_okay=False),
        default=None,
        help=f"{holds}  [default: ratchet.toml, if it is here]",
    )(command)
    return click.option(
        "--model",
        "model_words",
        multiple=True,
        metavar=form,
        help=f"embedded, openai:NAME@BASE_URL, anthropic:NAME@BASE_URL, or recorded:STORE; {whose}. "
        "The key is taken from the environment. [default: what ratchet.toml says, else embedded]",
    )(command)


def read_models(
    words: tuple[str, ...], file: Path | None, roles: tuple[str, ...] = MODEL_ROLES
) -> tuple[Config, Chosen]:
    """What the command line and the file say together; the command line comes first.

    Args:
        words: what `--model` was given, in order.
        file: `--config`.
        roles: those that the command line may name.

    Raises:
        ConfigUnreadable: the file cannot be used.
        ModelsUnknown: a model or a role is not understood.
        LedgerError: the store of a record cannot be read.
    """
    for word in words:
        _check(word, roles)
    config = read_config(file)
    said: dict[str, str] = {}
    for word in words:
        role, given, model = word.partition("=")
        if given and role in MODEL_ROLES:
            said[role] = model
        elif given and role.isidentifier():
            raise ModelsUnknown(f"{role!r} is no role: want one of {', '.join(MODEL_ROLES)}")
        else:
            said["default"] = word
    records = [
        word for word in words if word.partition("=")[2].startswith(RECORDED) or word.startswith(RECORDED)
    ]
    if records:
        if len(words) > 1:
            raise ModelsUnknown("a record answers for all roles: give --model recorded:STORE by itself")
        return config, _recorded(Path(records[0].partition(RECORDED)[2]))
    found = {role: _resolved(role, said, config) for role in MODEL_ROLES}
    models = Models(**found)
    return config, Chosen(models=models, facts=config.facts(models.harness) if models.harness else None)


def harness_source(words: tuple[str, ...], file: Path | None, counts: bytes) -> "ModelSource":
    """Where the harness's model comes from, for a command that runs episodes itself.

    Raises as `read_models` does, and EndpointMisconfiguredError where the model's key is not there.
    """
    from agents.models.gateway.ways import Ways
    from agents.models.sources import ModelSource

    config, chosen = read_models(words, file, ("harness",))
    spec = chosen.models.harness
    if not spec:
        return ModelSource(counts=counts)
    if chosen.recorded is None:
        Ways(config).client(spec)  # raises where its key is missing
    return ModelSource(spec=spec, recorded=str(chosen.recorded or ""), config=config)


def with_budgets(limits: Limits, config: Config) -> Limits:
    """A campaign's limits with the file's budgets; what the command line says of the run comes first."""
    budget = config.budget
    return msgspec.structs.replace(
        limits, cost=limits.cost or budget.run, round_cost=budget.round, role_cost=budget.roles
    )


def look_at_models(config: Config, chosen: Chosen, limits: Limits, *, as_json: bool) -> None:
    """End the command, before anything is begun, where no model can be asked, or no budget in dollars can hold."""
    if chosen.recorded is not None:
        return
    if unknown := _unpriced(config, chosen.models):
        said = f"no price is known for {unknown}"
        remedy = "give it under [[prices]] in ratchet.toml (docs/models.md)"
        if limits.cost or limits.round_cost or limits.role_cost:
            reason = f"{said}, so a budget in dollars cannot hold: {remedy}"
            fail(reason, code=USAGE, kind="no_price", as_json=as_json)
        click.echo(f"Warning: {said}, so its calls count as free: {remedy}", err=True)
    if reason := _unreachable(chosen.models):
        fail(reason, code=UNAVAILABLE, kind="unreachable", as_json=as_json)


def gateway_options(file: Path | None, chosen: Chosen) -> tuple[str, ...]:
    """What the gateway is started with."""
    found: list[str] = []
    if file is not None:
        found += ["--config", str(file)]
    if chosen.recorded is not None:
        found += ["--recorded", str(chosen.recorded)]
    return tuple(found)


def key_variables(config: Config) -> tuple[str, ...]:
    """Every variable of the environment that may hold a key."""
    from agents.models.endpoint import KEYS

    named = (endpoint.key_env for endpoint in config.endpoints.values())
    return tuple(dict.fromkeys((*KEYS, *(name for name in named if name))))


def _check(word: str, roles: tuple[str, ...]) -> None:
    """Raise ModelsUnknown for a word of the command line that names nothing, or a role that has no model here."""
    role, given, model = word.partition("=")
    named = role if given and role in MODEL_ROLES else ""
    if not (model if named else word).strip().removeprefix(RECORDED):
        raise ModelsUnknown(
            f"--model {word!r} names no model (is a variable empty?): give embedded, openai:NAME@BASE_URL, "
            "anthropic:NAME@BASE_URL or recorded:STORE, or leave it out"
        )
    if named and named not in roles:
        raise ModelsUnknown(
            f"--model {named}=… means nothing here: episodes are run, and only the harness asks its model. "
            "Give --model MODEL"
        )


def _resolved(role: str, said: dict[str, str], config: Config) -> str:
    """A role's model: what the command line says of it, then of all; then what the file says.

    Patches are written by the planner's model where nothing is said of the patcher itself.
    """
    from agents.models.endpoint import parse
    from agents.models.errors import RequestRefusedError

    names = (role, "planner") if role == "patcher" else (role,)
    options = (
        *(said.get(name) for name in names), said.get("default"),
        *(getattr(config.models, name) for name in names), config.models.default,
    )  # fmt: skip
    word = next((option for option in options if option), EMBEDDED)
    if word == EMBEDDED:
        return ""
    try:
        endpoint = parse(word)
    except RequestRefusedError as error:
        raise ModelsUnknown(str(error)) from error
    if other := config.astray(endpoint.url):
        raise ModelsUnknown(
            f"{word} is asked at {endpoint.url}, and ratchet.toml says what is allowed at {other}: give the same "
            "address in both, or its key and limits would not hold"
        )
    return word


def _recorded(store: Path) -> Chosen:
    """The models of the campaign whose calls a store holds."""
    import anyio

    from agents.cli.request import lineage_state
    from eventstore.sqlite import SqliteStore

    async def look() -> CampaignSettings:
        async with SqliteStore.read_only(store) as ledger:
            for stream, _ in await ledger.streams("lineage/"):
                campaign = (await lineage_state(ledger, stream.partition("/")[2])).campaign
                if campaign is not None and campaign.settings.models.named:
                    return campaign.settings
        raise ModelsUnknown(f"{store} holds no campaign with a model behind an endpoint, so no calls either")

    settings = anyio.run(look)
    return Chosen(models=settings.models, recorded=store, fixed=settings.fixed, facts=settings.facts)


def _unpriced(config: Config, models: Models) -> str:
    """Names of models that the price book does not have; "" for none."""
    from agents.models.endpoint import parse
    from agents.models.prices import PriceBook

    book, now = PriceBook.load(config.prices), time.time()
    names = {parse(spec).name for spec in models.named}
    return ", ".join(sorted(name for name in names if not book.price(name, now).known))


def _unreachable(models: Models) -> str:
    """Why nothing can be asked at the address of a model; "" where something listens at all of them.

    Nothing is said of an address that is reached by a proxy.
    """
    from agents.models.endpoint import parse

    for spec in models.named:
        parts = urlsplit(parse(spec).url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        if parts.scheme in getproxies() and not proxy_bypass(host):
            continue
        try:
            socket.create_connection((host, port), REACH).close()
        except OSError as error:
            return (
                f"nothing answers at {host}, port {port}, where {spec} is to be ({error}): see that it runs"
            )
    return ""
