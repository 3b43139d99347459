"""`ratchet cost`: what calls of models came to, by whatever they were charged to."""

import json
import time
from pathlib import Path

import click

from agents.cli.common import USAGE, fail, json_option, store_option
from agents.models.costs import GROUPS, Cost
from eventstore.options import LedgerCommand

MANY = 40
"""Groups that are shown where nothing else is said."""


@click.command(cls=LedgerCommand)
@click.option(
    "--by",
    type=click.Choice(list(GROUPS)),
    default="role",
    show_default=True,
    help="What the calls are grouped by.",
)
@click.option("--campaign", default="", help="Only this campaign's calls  [default: all]")
@click.option(
    "--most", type=click.IntRange(1), default=MANY, show_default=True, help="Groups shown, the dearest first."
)
@click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="Where further prices stand  [default: ratchet.toml, if it is here]",
)
@store_option
@json_option
def cost(by: str, campaign: str, most: int, config_file: Path | None, store: Path, as_json: bool) -> None:
    """Show what calls of models cost: by role, round, candidate, task, episode, model, campaign or outcome.

    Only models behind an endpoint cost something, and only their calls are kept.

    Exit codes: 0 done, 2 wrong usage, or no call on record, 3 the ledger is away, 4 it is damaged.
    """  # fmt: skip
    import msgspec

    from agents.config import ConfigUnreadable, read_config
    from agents.models.costs import elsewhere, grouped, kept_changes, read_calls, total
    from agents.models.prices import PriceBook, PricesUnreadable
    from eventstore.audit.archive import opened

    try:
        book = PriceBook.load(read_config(config_file).prices)
    except (ConfigUnreadable, PricesUnreadable) as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    with opened(store) as archive:
        calls = list(read_calls(archive, campaign))
        kept = kept_changes(archive, campaign)
    if not calls:
        which = f"campaign {campaign!r} of {store}" if campaign else str(store)
        reason = (
            f"{which} has no call of a model behind an endpoint on record; `ratchet run --model …` makes some"
        )
        fail(reason, code=USAGE, kind="no_calls", as_json=as_json)
    groups, whole = grouped(calls, by), total(calls)
    others = elsewhere(calls, book, time.time())
    if as_json:
        facts = {
            "total": msgspec.to_builtins(whole),
            "by": by,
            "groups": msgspec.to_builtins(groups[:most]),
            "groups_left_out": max(0, len(groups) - most),
            "kept": kept,
            "cost_per_kept": whole.cost / kept if kept else None,
            "elsewhere": others,
        }
        click.echo(json.dumps(facts))
        return
    _show(groups, whole, by, most)
    if whole.unsent:
        click.echo(f"not sent, as the endpoint was down: {whole.unsent:,} calls")
    if kept:
        click.echo(f"kept changes: {kept}, ${whole.cost / kept:.4f} each")
    if others:
        said = ", ".join(f"${amount:.4f} with {name}" for name, amount in others.items())
        click.echo(f"the same tokens elsewhere: {said}")


def _show(groups: list[Cost], whole: Cost, by: str, most: int) -> None:
    from eventstore.audit import terminal

    names = (
        by, "calls", "failed", "tokens in", "cached", "tokens out", "cost", "$ / M tokens", "tokens/s", "median", "p99"
    )  # fmt: skip
    rows = [
        (
            row.label,
            f"{row.calls - row.unsent:,}",
            f"{row.unanswered - row.unsent:,}",
            f"{row.usage.input_tokens:,}",
            f"{row.cache_hits:.0%}",
            f"{row.usage.output_tokens:,}",
            f"${row.cost:.4f}",
            f"{row.blended:.3f}",
            f"{row.tokens_per_second:.0f}",
            f"{row.median_seconds:.2f} s",
            f"{row.p99_seconds:.2f} s",
        )
        for row in (*groups[:most], whole)
    ]
    spared = {names.index(name) for name in ("failed", "$ / M tokens", "tokens/s", "p99")}
    terminal.put(terminal.draw_table(names, rows, numbers=range(1, len(names)), spared=spared))
    if len(groups) > most:
        click.echo(f"{len(groups) - most} more groups; --most shows them")
