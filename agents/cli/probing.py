"""`ratchet doctor --model`: what an endpoint honours, as a table, and on record in the store."""

import json
import time
from functools import partial
from pathlib import Path

import anyio
import click
import msgspec

from agents.cli.common import UNAVAILABLE, USAGE, fail, user_name
from agents.models.probed import probe_stream
from contracts import events as e
from contracts.models import Capabilities


def probe_model(spec: str, config_file: Path | None, store: Path, *, as_json: bool) -> None:
    """Ask an endpoint what it honours, say so, and record it. Ends the process when that cannot be done."""
    from rich.console import Console

    from agents.config import ConfigUnreadable, read_config
    from agents.models.endpoint import parse
    from agents.models.errors import ModelError, RequestRefusedError
    from agents.models.gateway.ways import Ways
    from agents.models.probe import Probe

    try:
        parse(spec)
        ways = Ways(read_config(config_file))
        probe = Probe(partial(ways.client, spec), spec)
    except (ConfigUnreadable, RequestRefusedError) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    except ModelError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    began = time.monotonic()
    try:
        with Console(stderr=True).status(f"asking {spec}") as status:
            found = probe.run(lambda what: status.update(f"asking {spec}: {what}"))
    except ModelError as error:
        fail(str(error), code=UNAVAILABLE, kind=type(error).__name__, as_json=as_json)
    cost = ways.to(spec).price.cost(probe.usage)
    recorded = anyio.run(_record, store, found)
    if as_json:
        facts = msgspec.to_builtins(found) | {
            "fingerprint": found.fingerprint, "unsupported": found.unsupported, "calls": probe.calls, "cost": cost,
            "recorded": recorded,
        }  # fmt: skip
        click.echo(json.dumps(facts))
        return
    _show(found)
    seconds = time.monotonic() - began
    click.echo(f"\n{probe.calls} calls in {seconds:.0f} s, ${cost:.4f}; fingerprint {found.fingerprint[:12]}")
    if found.unsupported:
        click.echo(f"not searched in campaigns with this model: {', '.join(found.unsupported)}")
    if recorded:
        click.echo(f"recorded in {store}")
    else:
        click.echo(f"not recorded, as there is no store {store} yet: `ratchet run` makes one")


def _show(found: Capabilities) -> None:
    from eventstore.audit import terminal

    rows = [(each.name, each.state, each.seen) for each in found.findings]
    terminal.put(terminal.draw_table(("what", "is", "seen"), rows, folded=(2,)))


async def _record(store: Path, found: Capabilities) -> bool:
    """Append what was found to the store's ledger; False where there is none."""
    from agents.cli.session import writable_ledger
    from eventstore.errors import LedgerError

    if not (store / "ledger.db").exists():
        return False
    event = e.ModelProbed(
        model=found.model,
        fingerprint=found.fingerprint,
        findings=found.findings,
        unsupported=found.unsupported,
    )
    stream = probe_stream(found.model)
    try:
        async with writable_ledger(store) as ledger:
            version = (await ledger.read(stream)).head
            new = e.encode(
                event,
                duty=f"{stream}/{version}",
                index=0,
                actor=f"operator:{user_name()}",
                correlation=stream,
            )
            await ledger.append(stream, version, [new])
    except LedgerError as error:
        click.echo(f"Warning: not recorded: {error}", err=True)
        return False
    return True
