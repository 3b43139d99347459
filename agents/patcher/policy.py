"""The patcher: turns a plan into a patch that applies, compiles and starts, or says why it cannot."""

from collections.abc import Callable, Mapping, Sequence

import anyio

from agents.patcher.changes import CannotApply, CannotCompile, apply_change, check_compiles
from agents.work import LineageWork as Work
from bus import traces
from contracts import events as e
from contracts.envelope import blob_hash, tree_bytes
from contracts.harness import departure
from eventstore.trees import diff_file


class Patcher:
    """Makes planned changes and smoke-tests them in the sandbox."""

    role = "patcher"

    def __init__(self, check_starts: Callable[[Mapping[str, bytes]], str | None]) -> None:
        self.check_starts = check_starts

    async def perform(self, work: Work) -> Sequence[e.Event]:
        """Answer a duty of the patcher."""
        candidate = next(c for c in work.round.candidates if c.number == work.duty.candidate)
        parent = await work.desk.tree(work.round.tree)
        base = str(candidate.plan.change.get("base", ""))
        ground = await work.desk.tree(base) if base else parent
        try:
            tree = apply_change(candidate.plan.operator, candidate.plan.change, ground)
        except CannotApply as error:
            return [self._rejected(work, "apply", str(error))]
        try:
            check_compiles(tree, parent)
        except CannotCompile as error:
            return [self._rejected(work, "compile", str(error))]
        digest = blob_hash(tree_bytes({path: blob_hash(data) for path, data in tree.items()}))
        if digest == work.round.tree:
            return [self._rejected(work, "duplicate", "the change comes to nothing new")]
        with traces.span("check_starts"):
            fault = await anyio.to_thread.run_sync(self.check_starts, tree)
        if fault is not None:
            return [self._rejected(work, "start", fault)]
        stored = await work.desk.put_tree(tree)
        seed = await work.desk.tree(work.state.seed_tree)
        return [
            e.ChangeProposed(
                campaign=work.campaign.id,
                round=work.round.number,
                candidate=candidate.number,
                parent=work.round.tree,
                tree=stored,
                patch=_diff(parent, tree),
                growth=departure(tree, seed) - departure(parent, seed),
            )
        ]

    def _rejected(self, work: Work, stage: str, reason: str) -> e.Event:
        return e.ChangeRejected(
            campaign=work.campaign.id,
            round=work.round.number,
            candidate=work.duty.candidate,
            stage=stage,  # type: ignore[arg-type]  # one of the contract's words
            reason=reason[:2000],
        )


def _diff(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    """A unified diff over all files that differ."""
    changed = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    return "".join(diff_file(path, old.get(path), new.get(path)) for path in changed)
