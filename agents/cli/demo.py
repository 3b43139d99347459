"""`ratchet demo`: a short campaign that shows the whole loop; what `make demo` runs."""

from pathlib import Path

import click

from agents.cli.common import json_option, store_option

SECONDS = 160.0
SEED = 4
"""One of the half that end with a claim, of the seeds that were measured (docs/results.md)."""


@click.command()
@click.option("--seed", type=int, default=SEED, show_default=True, help="What all randomness follows from.")
@click.option("--rounds", type=click.IntRange(1), default=20, show_default=True, help="Rounds at the most.")
@click.option(
    "--seconds", type=click.FloatRange(10), default=SECONDS, show_default=True, help="Time to spend."
)
@store_option
@json_option
def demo(seed: int, rounds: int, seconds: float, store: Path, as_json: bool) -> None:
    """Run a short campaign on the built-in suite `repair`, from the naive seed to a report (about three minutes).

    Every demo gets a store of its own below STORE; one that was interrupted is resumed.
    """
    from agents.cli.run import run_campaign
    from agents.tasks.suite import load_suite, thinned
    from contracts.gate import GateSettings
    from contracts.settings import CampaignSettings, Limits

    settings = CampaignSettings(
        rounds=rounds,
        seed=seed,
        gate=GateSettings(candidates=6, race_seeds=1, confirm_seeds=4),
        plans=12,
        probes=4,
        release_seeds=1,
        null_every=0,
        limits=Limits(seconds=seconds),
    )
    folder = _folder(store / "demos", seed)
    click.echo(f"store: {folder}", err=True)
    # One task of every package, so that there is time for a few rounds; all sealed ones, for what is claimed.
    suite = thinned(load_suite("repair"), practice=1, sealed=3)
    run_campaign(suite, settings, store=folder, collected=False, as_json=as_json)


def _folder(base: Path, seed: int) -> Path:
    """The last demo of this seed if it has not written its report, else a new folder."""
    number = 1
    while (base / f"seed-{seed}-{number}").exists():
        if not (base / f"seed-{seed}-{number}" / "report" / "report.md").exists():
            break
        number += 1
    return base / f"seed-{seed}-{number}"
