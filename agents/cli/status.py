"""`ratchet status`: what is under way, who is at work, and what waits for a person."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import click
import msgspec

from agents.cli.common import UNAVAILABLE, USAGE, fail, json_option, store_option
from contracts.calls import Calls, calls_stream, fold
from contracts.ledger import stream_events
from contracts.lineage import Lineage

if TYPE_CHECKING:
    from eventstore.snapshots import Source

_LISTEN = 2.5
"""Seconds to listen for signs of life; agents send one every two."""


@click.command()
@click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
@click.option("--bus", "bus", envvar="RATCHET_BUS", default="", help="URL of the bus, nats://…")
@store_option
@json_option
def status(lineage: str, bus: str, store: Path, as_json: bool) -> None:
    """Show the campaign, the round, the agents that are alive, and approvals that wait."""
    from bus.errors import BusError
    from eventstore.errors import LedgerError

    try:
        facts = anyio.run(_look, store, bus, lineage)
    except LedgerError as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except BusError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _show(facts)


async def _look(store: Path, bus: str, lineage: str) -> dict[str, Any]:
    from agents.cli.session import running_bus
    from bus.errors import BusError
    from contracts.subjects import BEATS
    from eventstore.client import LedgerClient
    from eventstore.errors import LedgerUnavailable
    from eventstore.sqlite import SqliteStore

    connection = await running_bus(store, bus)
    if connection is None:
        async with SqliteStore.read_only(store) as opened:
            return _facts(lineage, *await _state(opened, lineage), [], running=False)
    seen: dict[str, dict[str, Any]] = {}

    async def beat(message: Any) -> None:
        found = msgspec.json.decode(message.data)
        seen[found["instance"]] = found

    async with connection:
        await connection.listen(f"{BEATS}.>", beat)
        try:
            found = await _state(LedgerClient(connection, patience=2.0), lineage)
        except (LedgerUnavailable, BusError):
            async with SqliteStore.read_only(store) as opened:
                found = await _state(opened, lineage)
        await anyio.sleep(_LISTEN)
    agents = sorted(seen.values(), key=lambda agent: str(agent["instance"]))
    return _facts(lineage, *found, agents, running=True)


async def _state(source: "Source", lineage: str) -> tuple[Lineage, Calls]:
    """The lineage, and what calls of models its campaign has made."""
    from agents.cli.request import lineage_state

    state, calls = await lineage_state(source, lineage), Calls()
    if state.campaign is not None and state.campaign.settings.models.named:
        async for envelope in stream_events(source, calls_stream(state.campaign.id)):
            calls = fold(calls, envelope)
    return state, calls


def _facts(
    lineage: str, state: Lineage, calls: Calls, agents: list[dict[str, Any]], *, running: bool
) -> dict[str, Any]:
    campaign = state.campaign
    facts: dict[str, Any] = {
        "lineage": lineage,
        "bus": running,
        "agents": agents,
        "head": state.head,
        "versions": len(state.versions),
        "events": state.version,
        "unknown_events": state.unknown,
        "campaign": None,
    }
    if campaign is None:
        return facts
    round_ = campaign.round
    approval = round_.approval if round_ else None
    facts["campaign"] = {
        "id": campaign.id,
        "status": campaign.status,
        "reason": campaign.reason or campaign.paused_reason,
        "rounds_done": campaign.rounds_done,
        "rounds": campaign.settings.rounds,
        "kept": sum(h.decision == "kept" for h in state.history if h.campaign == campaign.id),
        "round": round_.number if round_ else None,
        "candidates": [
            {"title": c.plan.title, "status": c.status, "effect": c.effect}
            for c in (round_.candidates if round_ else ())
        ],
        "spent": msgspec.to_builtins(campaign.spent),
        "paid": calls.cost if calls.number else None,
    }
    if approval is not None and approval.status == "open":
        facts["approval"] = {"id": approval.id, "seconds_left": round(approval.deadline - time.time(), 1)}
    return facts


def _show(facts: dict[str, Any]) -> None:
    campaign = facts["campaign"]
    if not facts["head"]:
        click.echo("nothing yet: `ratchet run repair` begins a campaign")
    if campaign:
        click.echo(
            f"{campaign['id']}: {campaign['status']}, {campaign['rounds_done']} of {campaign['rounds']} rounds, "
            f"{campaign['kept']} changes kept"
        )
        if campaign["reason"]:
            click.echo(f"  {campaign['reason']}")
        if campaign["round"]:
            click.echo(f"  round {campaign['round']}:")
        for candidate in campaign["candidates"]:
            effect = "" if candidate["effect"] is None else f", {candidate['effect']:+.3f} in the race"
            click.echo(f"    {candidate['title']}: {candidate['status']}{effect}")
        spent = campaign["spent"]
        click.echo(
            f"  spent: {spent['episodes']} episodes, {spent['model_calls']} model calls, "
            f"{spent['tokens']} tokens" + ("" if campaign["paid"] is not None else f", ${spent['cost']:.2f}")
        )
        if campaign["paid"] is not None:
            worth = f"the episodes are worth ${spent['cost']:.2f}, with answers that were shared"
            click.echo(f"  paid for calls of models: ${campaign['paid']:.4f} ({worth})")
    if "approval" in facts:
        approval = facts["approval"]
        click.echo(
            f"waits for a person ({approval['seconds_left']:.0f} s left): "
            f"ratchet approve {approval['id']}   or   ratchet deny {approval['id']}"
        )
    click.echo(f"head {facts['head'][:12] or '-'}, {facts['events']} events, {facts['versions']} versions")
    if facts["unknown_events"]:
        click.echo(
            f"{facts['unknown_events']} events of unknown types are set aside; a newer Ratchet knows them"
        )
    if not facts["bus"]:
        click.echo("no bus runs on this store")
    for agent in facts["agents"]:
        click.echo(f"  {agent['instance']}: {', '.join(agent['busy']) or 'idle'}")
