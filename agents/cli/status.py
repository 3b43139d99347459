"""`ratchet status`: what is under way, who is at work, and what waits for a person."""

import json
import time
from pathlib import Path
from typing import Any

import anyio
import click
import msgspec

from agents.cli.common import UNAVAILABLE, USAGE, fail, json_option, store_option
from contracts.lineage import Lineage

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
        state, agents, running = anyio.run(_look, store, bus, lineage)
    except LedgerError as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except BusError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    facts = _facts(lineage, state, agents, running)
    if as_json:
        click.echo(json.dumps(facts))
    else:
        _show(facts)


async def _look(store: Path, bus: str, lineage: str) -> tuple[Lineage, list[dict[str, Any]], bool]:
    from agents.cli.request import lineage_state
    from agents.cli.session import running_bus
    from bus.errors import BusError
    from contracts.subjects import BEATS
    from eventstore.client import LedgerClient
    from eventstore.errors import LedgerUnavailable
    from eventstore.sqlite import SqliteStore

    connection = await running_bus(store, bus)
    if connection is None:
        async with SqliteStore.read_only(store) as opened:
            return await lineage_state(opened, lineage), [], False
    seen: dict[str, dict[str, Any]] = {}

    async def beat(message: Any) -> None:
        found = msgspec.json.decode(message.data)
        seen[found["instance"]] = found

    async with connection:
        await connection.listen(f"{BEATS}.>", beat)
        try:
            state = await lineage_state(LedgerClient(connection, patience=2.0), lineage)
        except (LedgerUnavailable, BusError):
            async with SqliteStore.read_only(store) as opened:
                state = await lineage_state(opened, lineage)
        await anyio.sleep(_LISTEN)
    return state, sorted(seen.values(), key=lambda found: str(found["instance"])), True


def _facts(lineage: str, state: Lineage, agents: list[dict[str, Any]], running: bool) -> dict[str, Any]:
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
            f"{spent['tokens']} tokens, ${spent['cost']:.2f}"
        )
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
