"""What the long benchmarks share: episodes without a bus, figures kept in files, and what a ledger says."""

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from agents.executor.local import LocalExecutors
from agents.models import embedded_model, load_or_train
from agents.models.sources import ModelSource
from agents.tasks.suite import Suite, load_suite
from contracts.envelope import blob_hash, tree_bytes
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.statistics import derive_seed
from contracts.tasks import GradedTask
from eventstore.audit import archive as audit
from eventstore.audit import facts, history

Tree = dict[str, bytes]
SEEDS = 20
"""Fresh seeds per sealed task, which no campaign has seen."""


class Bench:
    """The suite, the model and executors that share a file of test reports: what every step needs."""

    def __init__(self, out: Path) -> None:
        counts = load_or_train()
        self.fingerprint = embedded_model(counts).fingerprint
        self.suite: Suite = load_suite("repair")
        known = {task.digest: task for task in (*self.suite.practice, *self.suite.sealed)}
        self._pool = LocalExecutors(ModelSource(counts=counts), known, reports=out / "reports.cache")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.__exit__(None, None, None)

    def episodes(
        self, tree: Tree, tasks: Sequence[GradedTask], seeds: Sequence[str]
    ) -> dict[tuple[str, str], EpisodeResult]:
        """Every task with every seed, on all cores: (task id, seed) → result."""
        jobs = [
            EpisodeJob(
                task=task.digest,
                task_id=task.task.id,
                tree=digest(tree),
                seed=seed,
                fingerprint=self.fingerprint,
            )
            for seed in seeds
            for task in tasks
        ]
        return {(r.task_id, r.seed): r for r in self._pool.run(tree, jobs)}

    def scores(self, tree: Tree, tasks: Sequence[GradedTask], seeds: Sequence[str]) -> dict[str, Any]:
        """Scores and solved shares, tasks × seeds."""
        started = time.monotonic()
        found = self.episodes(tree, tasks, seeds)
        rows = [[found[task.task.id, seed] for seed in seeds] for task in tasks]
        return {
            "tree": digest(tree),
            "tasks": [task.task.id for task in tasks],
            "packages": [task.task.package for task in tasks],
            "scores": [[r.score for r in row] for row in rows],
            "solved": [[r.solved for r in row] for row in rows],
            "visible": [[r.visible_passed for r in row] for row in rows],
            "seconds": round(time.monotonic() - started, 1),
        }

    def fresh(self, name: str) -> list[str]:
        """Seeds of the evaluation, the same for every harness, of no campaign."""
        return [derive_seed("evidence", name, i) for i in range(SEEDS)]


def digest(tree: Mapping[str, bytes]) -> str:
    """A harness's name."""
    return blob_hash(tree_bytes({path: blob_hash(data) for path, data in tree.items()}))


def kept(path: Path, make: Any) -> Any:
    """What a file holds, or what is made and then kept in it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_bytes(msgspec.json.encode(make()))
        part.rename(path)
    return json.loads(path.read_bytes())


def told(out: Path, name: str) -> dict[str, Any]:
    """What a campaign's ledger says: rounds, versions, what was spent, the final harness."""
    with audit.opened(out / name) as archive:
        lineage = history.read_lineage(archive, "main")
        report = facts.build(archive, lineage)
        final = audit.files(archive, lineage.state.head)
        versions = [
            {"number": v.number, "round": v.round, "reason": v.reason, "tree": v.tree}
            for v in lineage.state.versions
        ]
        campaign = lineage.state.campaign
        return {
            "report": msgspec.to_builtins(report),
            "versions": versions,
            "raced": [effect for r in lineage.rounds if r.raced is not None for effect in r.raced.effects],
            "final": {path: data.decode() for path, data in final.items()},
            "episodes": campaign.spent.episodes if campaign else 0,
            "fingerprint": campaign.fingerprint if campaign else "",
            "nulls": lineage.state.nulls,
            "nulls_kept": lineage.state.nulls_kept,
        }


def encoded(files: Mapping[str, str]) -> Tree:
    """A harness from its texts."""
    return {path: text.encode() for path, text in files.items()}
