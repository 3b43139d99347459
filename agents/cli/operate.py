"""What a person decides: `ratchet approve`, `deny`, `revert`, `fork`."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias

import anyio
import click

from agents.cli.common import UNAVAILABLE, USAGE, fail, json_option, store_option, user_name
from agents.cli.session import writable_ledger
from contracts import events as e
from contracts.lineage import Lineage

Act: TypeAlias = Callable[[Any, Lineage, str], Awaitable[tuple[e.Event, int] | None]]
"""From a ledger, a lineage's state and its stream: what was appended and where; None to be asked again."""


class Declined(Exception):
    """Raised when a decision does not fit the ledger's state; the message says what would."""


def _decide(store: Path, bus: str, lineage: str, make: Callable[[Lineage], e.Event], as_json: bool) -> None:
    """Append what follows from a lineage's state to the lineage."""

    async def decide(ledger: Any, state: Lineage, stream: str) -> tuple[e.Event, int] | None:
        from eventstore.errors import Conflict

        event = make(state)
        who = f"operator:{user_name()}"
        duty = f"{stream}@{state.version}/operator"
        new = e.encode(event, duty=duty, index=0, actor=who, correlation=_campaign(state))
        try:
            return event, (await ledger.append(stream, state.version, [new])).position
        except Conflict:
            return None

    _carry_out(store, bus, lineage, decide, as_json)


def _carry_out(store: Path, bus: str, lineage: str, act: Act, as_json: bool) -> None:
    """Act on a lineage's state, again when it has changed meanwhile, and tell what was stored."""
    from bus.errors import BusError
    from eventstore.errors import LedgerError

    async def carry_out() -> tuple[e.Event, int]:
        from agents.cli.request import lineage_state

        async with writable_ledger(store, bus) as ledger:
            while True:
                done = await act(ledger, await lineage_state(ledger, lineage), f"lineage/{lineage}")
                if done is not None:
                    return done

    try:
        event, position = anyio.run(carry_out)
    except Declined as error:
        fail(str(error), code=USAGE, kind="declined", as_json=as_json)
    except LedgerError as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except BusError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    kind = type(event).__name__
    click.echo(
        json.dumps({"type": kind, "position": position}) if as_json else f"{kind} at position {position}"
    )


def _campaign(state: Lineage) -> str:
    return state.campaign.id if state.campaign else ""


def _open_approval(state: Lineage, name: str) -> str:
    round_ = state.campaign.round if state.campaign else None
    approval = round_.approval if round_ else None
    if approval is None or approval.status != "open":
        raise Declined("nothing waits for approval; `ratchet status` shows what is under way")
    if approval.id != name:
        raise Declined(f"{name!r} does not wait for approval; {approval.id!r} does")
    return approval.id


_bus = click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
_lineage = click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
_note = click.option("--note", default="", help="Why; goes into the ledger.")


@click.command()
@click.argument("approval", metavar="ID")
@_note
@_lineage
@_bus
@store_option
@json_option
def approve(approval: str, note: str, lineage: str, bus: str, store: Path, as_json: bool) -> None:
    """Let the change be kept that waits for approval ID (`ratchet status` names it)."""
    _decide(
        store, bus, lineage,
        lambda state: e.ApprovalGranted(approval=_open_approval(state, approval), by=user_name(), note=note), as_json,
    )  # fmt: skip


@click.command()
@click.argument("approval", metavar="ID")
@_note
@_lineage
@_bus
@store_option
@json_option
def deny(approval: str, note: str, lineage: str, bus: str, store: Path, as_json: bool) -> None:
    """Do not let the change be kept that waits for approval ID."""
    _decide(
        store, bus, lineage,
        lambda state: e.ApprovalDenied(approval=_open_approval(state, approval), by=user_name(), note=note), as_json,
    )  # fmt: skip


@click.command()
@click.argument("version")
@click.option("--reason", required=True, help="Why; goes into the ledger.")
@_lineage
@_bus
@store_option
@json_option
def revert(version: str, reason: str, lineage: str, bus: str, store: Path, as_json: bool) -> None:
    """Set the head back to VERSION: v0, v1 … (see `ratchet versions`), seed, released, or 6 characters of a hash.

    Nothing is deleted: the reset is an event like any other, and running agents take the harness up at once.
    """
    if not reason.strip():
        raise click.BadParameter("say why: it goes into the ledger", param_hint="--reason")

    def make(state: Lineage) -> e.Event:
        tree = _version_tree(state, version)
        if tree == state.head:
            raise Declined(f"{version} is the head already")
        return e.HeadReset(tree=tree, reason=reason)

    _decide(store, bus, lineage, make, as_json)


@click.command()
@click.argument("version")
@click.option("--name", required=True, help="Name of the new lineage.")
@click.option("--reason", default="", help="Why; goes into the ledger.")
@_lineage
@_bus
@store_option
@json_option
def fork(*, version: str, name: str, reason: str, lineage: str, bus: str, store: Path, as_json: bool) -> None:
    """Begin a lineage NAME from VERSION of another one: v0, v1 …, seed, head, released, or 6 characters of a hash.

    Both share what was before, and nothing is copied. `ratchet run SUITE --lineage NAME` works on it; release checks
    that the parent has made count for the fork, too.
    """

    async def begin(ledger: Any, state: Lineage, _stream: str) -> tuple[e.Event, int]:
        from eventstore.errors import Conflict

        tree = _version_tree(state, version)
        number = max((v.number for v in state.versions if v.tree == tree), default=-1)
        if number < 0:  # the seed of a lineage that is a fork itself
            raise Declined(f"{version} was never the head of {lineage}; fork the lineage whose head it was")
        event = e.HarnessForked(
            tree=tree,
            parent=lineage,
            version=number,
            seed=state.seed_tree,
            checks=state.releases,
            reason=reason,
        )
        stream = f"lineage/{name}"
        new = e.encode(
            event,
            duty=f"{stream}/fork/{lineage}/{tree}",
            index=0,
            actor=f"operator:{user_name()}",
            correlation=stream,
        )
        try:
            return event, (await ledger.append(stream, 0, [new])).position
        except Conflict:
            raise Declined(f"there is a lineage {name!r} already: choose another name") from None

    if not name or any(char.isspace() or char in "/\\\x00" for char in name):
        fail(f"{name!r} is no name for a lineage: want a word without '/'", code=USAGE, as_json=as_json)
    _carry_out(store, bus, lineage, begin, as_json)


def _version_tree(state: Lineage, name: str) -> str:
    if not state.versions:
        raise Declined("this lineage holds no harness yet; `ratchet run` begins one")
    named = {"seed": state.seed_tree, "head": state.head, "released": state.released}
    if named.get(name):
        return named[name]
    if name.startswith("v") and name[1:].isdigit() and int(name[1:]) < len(state.versions):
        return state.versions[int(name[1:])].tree
    matches = {v.tree for v in state.versions if len(name) >= 6 and v.tree.startswith(name)}
    if len(matches) != 1:
        known = ", ".join(f"v{v.number} ({v.tree[:12]})" for v in state.versions)
        raise Declined(f"there is no version {name!r}; there are {known}")
    return matches.pop()
