"""`ratchet bisect`: in which version a task began to pass or to fail."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from agents.cli.common import (
    FAILED,
    USAGE,
    fail,
    json_option,
    no_sandbox_option,
    processes_option,
    running_episodes,
    store_option,
)

if TYPE_CHECKING:
    from contracts.tasks import GradedTask
    from eventstore.audit.bisection import Turn
    from eventstore.audit.rounds import History, VersionHistory


@click.command()
@click.option("--task", "name", required=True, help="Id of the task.")
@click.option("--from", "start", default="v0", show_default=True, metavar="VERSION", help="Where to begin.")
@click.option("--to", "end", default="head", show_default=True, metavar="VERSION", help="What to explain.")
@click.option(
    "--seeds", type=click.IntRange(1), default=8, show_default=True, help="Episodes a version, at least."
)
@click.option(
    "--passing",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.5,
    show_default=True,
    help="Mean score from which a version counts as passing.",
)
@click.option("--lineage", default="main", show_default=True, help="Name of the harness's lineage.")
@processes_option
@no_sandbox_option
@store_option
@json_option
def bisect(
    *,
    name: str,
    start: str,
    end: str,
    seeds: int,
    passing: float,
    lineage: str,
    processes: int | None,
    no_sandbox: bool,
    store: Path,
    as_json: bool,
) -> None:
    """Find the version in which a task began to pass or to fail, by halving.

    Scores come from the ledger; episodes run only for versions of which it holds fewer than --seeds. Nothing is
    written. An episode is a matter of luck as well, so look at the means, and ask for more seeds where they are close.

    Exit codes: 0 found, 1 both ends stand alike, 2 wrong usage or input, 3 no sandbox, 130 interrupted.
    """
    from agents.cli.harness import choose
    from agents.executor.local import LocalExecutors
    from agents.models.sources import ModelSource
    from agents.models.store import embedded_model
    from contracts.jobs import EpisodeJob
    from contracts.statistics import derive_seed
    from eventstore.audit.bisection import Standing, search
    from eventstore.errors import LedgerError

    try:
        known = _known(store, name, lineage, (start, end))
        counts = choose(store, "head", lineage).counts
    except LedgerError as error:
        fail(str(error), code=USAGE, kind=type(error).__name__, as_json=as_json)
    if not known.versions:
        reason = (
            f"{start} does not come before {end}, so there is nothing between: give other --from and --to"
        )
        fail(reason, code=USAGE, as_json=as_json)
    fingerprint = embedded_model(counts).fingerprint
    tasks = {known.task.digest: known.task}
    with LocalExecutors(ModelSource(counts=counts), tasks, processes=processes, unsafe=no_sandbox) as pool:

        def measure(version: "VersionHistory") -> Standing:
            scores = list(known.scores.get(version.tree, ()))
            had = len(scores)
            jobs = [
                EpisodeJob(
                    task=known.task.digest,
                    task_id=name,
                    tree=version.tree,
                    seed=derive_seed("bisect", index),
                    fingerprint=fingerprint,
                )
                for index in range(seeds - had)
            ]
            if jobs and not as_json:
                click.echo(f"{version.name}: {len(jobs)} episodes …", err=True)
            scores += [result.score for result in pool.run(known.trees[version.tree], jobs)]
            return Standing(version=version, scores=tuple(scores), recorded=had)

        with running_episodes(
            interrupted="nothing was written",
            fault="the infrastructure failed, so there is no score",
            as_json=as_json,
        ):
            turn = search(known.versions, measure, passing)
    _show(turn, name, passing, as_json=as_json)
    if turn.first is None:
        raise SystemExit(FAILED)


class _Known(NamedTuple):
    """What the ledger knows for the question."""

    task: "GradedTask"
    versions: "Sequence[VersionHistory]"
    """From the one to begin with to the one to explain; empty where they are not in that order."""
    scores: dict[str, list[float]]
    trees: dict[str, dict[str, bytes]]


def _known(store: Path, name: str, lineage: str, ends: tuple[str, str]) -> _Known:
    import msgspec

    from contracts.tasks import GradedTask
    from eventstore.audit.archive import files, opened
    from eventstore.audit.bisection import find_task, recorded, task_names
    from eventstore.audit.errors import NotInLedger
    from eventstore.audit.history import read_lineage
    from eventstore.audit.refs import find_harness

    with opened(store) as archive:
        history = read_lineage(archive, lineage)
        task = find_task(history, name)
        if task is None:
            raise NotInLedger(f"task {name}", task_names(history), of="task yet")
        first, last = (_places(history, text, find_harness(archive, history, text).tree) for text in ends)
        versions = history.versions[first[0] : last[-1] + 1]
        if len(versions) < 2:
            versions = ()
        return _Known(
            task=msgspec.json.decode(archive.blob(task.blob), type=GradedTask),
            versions=versions,
            scores=recorded(history, task),
            trees={version.tree: files(archive, version.tree) for version in versions},
        )


def _places(history: "History", text: str, tree: str) -> list[int]:
    from eventstore.audit.errors import NotInLedger

    found = [index for index, version in enumerate(history.versions) if version.tree == tree]
    if not found:
        raise NotInLedger(f"version {text}", [version.name for version in history.versions])
    return found


def _show(turn: "Turn", name: str, passing: float, *, as_json: bool) -> None:
    import msgspec

    from eventstore.audit.terminal import draw_table, put
    from eventstore.audit.text import line, signed

    if as_json:
        facts = [msgspec.to_builtins(each) | {"mean": each.mean} for each in turn.looked]
        first = turn.first.version.name if turn.first else None
        click.echo(json.dumps({"task": name, "passing": passing, "first": first, "looked": facts}))
        return
    rows = [
        (
            each.version.name,
            f"{each.mean:.2f}",
            "passes" if each.mean >= passing else "fails",
            f"{len(each.scores)} ({each.recorded} in the ledger)",
            each.version.title,
        )
        for each in turn.looked
    ]
    put(draw_table(("version", "mean", "", "episodes", "change"), rows, (1,), folded=(4,)))
    if turn.first is None:
        word = "pass" if turn.looked[-1].mean >= passing else "fail"
        click.echo(f"{name}: both ends {word}, so there is no turn to find between them")
        return
    version = turn.first.version
    word = "pass" if turn.first.mean >= passing else "fail"
    by = f"round {version.round} of {version.campaign}" if version.origin == "round" else version.origin
    effect = f", effect on the whole suite {signed(version.effect)}" if version.effect is not None else ""
    click.echo(f"{name} began to {word} in {version.name} ({by}): {line(version.title)}{effect}")
