"""What a person decides: `ratchet approve`, `deny`, `revert`."""

import json
from pathlib import Path
from typing import Any

import anyio
import click

from agents.cli.common import UNAVAILABLE, USAGE, fail, json_option, store_option, user_name
from agents.cli.session import writable_ledger
from contracts import events as e
from contracts.lineage import Lineage


class Declined(Exception):
    """Raised when a decision does not fit the ledger's state; the message says what would."""


def _decide(store: Path, bus: str, lineage: str, make: Any, as_json: bool) -> None:
    from bus.errors import BusError
    from eventstore.errors import Conflict, LedgerError

    async def decide() -> tuple[e.Event, int]:
        from agents.cli.request import lineage_state

        stream = f"lineage/{lineage}"
        async with writable_ledger(store, bus) as ledger:
            while True:
                state = await lineage_state(ledger, lineage)
                event: e.Event = make(state)
                who = f"operator:{user_name()}"
                duty = f"{stream}@{state.version}/operator"
                new = e.encode(event, duty=duty, index=0, actor=who, correlation=_campaign(state))
                try:
                    appended = await ledger.append(stream, state.version, [new])
                except Conflict:
                    continue
                return event, appended.position

    try:
        event, position = anyio.run(decide)
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
    """Set the head back to VERSION: v0, v1 … (see `ratchet versions`), seed, or a hash of 6 characters or more.

    Nothing is deleted: the reset is an event like any other, and running agents take the harness up at once.
    """

    def make(state: Lineage) -> e.Event:
        tree = _version_tree(state, version)
        if tree == state.head:
            raise Declined(f"{version} is the head already")
        return e.HeadReset(tree=tree, reason=reason)

    _decide(store, bus, lineage, make, as_json)


def _version_tree(state: Lineage, name: str) -> str:
    if not state.versions:
        raise Declined("this lineage holds no harness yet; `ratchet run` begins one")
    if name == "seed":
        return state.seed_tree
    if name.startswith("v") and name[1:].isdigit() and int(name[1:]) < len(state.versions):
        return state.versions[int(name[1:])].tree
    matches = {v.tree for v in state.versions if len(name) >= 6 and v.tree.startswith(name)}
    if len(matches) != 1:
        known = ", ".join(f"v{v.number} ({v.tree[:12]})" for v in state.versions)
        raise Declined(f"there is no version {name!r}; there are {known}")
    return matches.pop()
