"""The patcher: turns a plan into a patch that applies, compiles and starts, or says why it cannot."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import anyio
import msgspec

from agents.models.errors import BudgetSpentError, RequestRefusedError
from agents.patcher.changes import CannotApply, CannotCompile, apply_change, check_compiles
from agents.patcher.write import patch_prompt
from agents.thinking.ask import TRIES, Conversation, NoAnswer
from agents.work import LineageWork as Work
from agents.work import Models
from bus import traces
from contracts import events as e
from contracts.envelope import blob_hash, tree_bytes
from contracts.harness import departure
from contracts.lineage import Candidate
from eventstore.trees import diff_file

Tree = Mapping[str, bytes]
MOST_PATCH = 400_000
"""Bytes of a patch as it is stored: an event has to hold it."""


class Fault(NamedTuple):
    """Why a change cannot be made."""

    stage: Literal["apply", "compile", "start", "duplicate"]
    reason: str


class Patcher:
    """Makes planned changes and smoke-tests them in the sandbox."""

    role = "patcher"

    def __init__(self, check_starts: Callable[[Tree], str | None], models: Models = Work.model) -> None:
        self.check_starts = check_starts
        self.models = models

    async def perform(self, work: Work) -> Sequence[e.Event]:
        """Answer a duty of the patcher."""
        candidate = next(c for c in work.round.candidates if c.number == work.duty.candidate)
        parent = await work.desk.tree(work.round.tree)
        plan = candidate.plan
        if plan.operator == "think":
            made = await self._written(work, candidate, parent)
        else:
            base = str(plan.change.get("base", ""))
            ground = await work.desk.tree(base) if base else parent
            made = await self._made(work, plan.operator, plan.change, ground, parent)
        if isinstance(made, Fault):
            return [self._rejected(work, made)]
        stored = await work.desk.put_tree(made)
        seed = await work.desk.tree(work.state.seed_tree)
        return [
            e.ChangeProposed(
                campaign=work.campaign.id,
                round=work.round.number,
                candidate=candidate.number,
                parent=work.round.tree,
                tree=stored,
                patch=_diff(parent, made),
                growth=departure(made, seed) - departure(parent, seed),
            )
        ]

    async def _made(
        self, work: Work, operator: str, change: Mapping[str, Any], ground: Tree, parent: Tree
    ) -> dict[str, bytes] | Fault:
        """A harness that applies, compiles, differs and starts; or why there is none."""
        try:
            tree = apply_change(operator, change, ground)
            check_compiles(tree, parent)
        except CannotApply as error:
            return Fault("apply", str(error))
        except CannotCompile as error:
            return Fault("compile", str(error))
        digest = blob_hash(tree_bytes({path: blob_hash(data) for path, data in tree.items()}))
        if digest == work.round.tree:
            return Fault("duplicate", "the change comes to nothing new")
        if len(msgspec.json.encode(_diff(parent, tree))) > MOST_PATCH:
            return Fault("apply", f"the patch is longer than {MOST_PATCH} bytes")
        with traces.span("check_starts"):
            fault = await anyio.to_thread.run_sync(self.check_starts, tree)
        return tree if fault is None else Fault("start", fault)

    async def _written(self, work: Work, candidate: Candidate, parent: Tree) -> dict[str, bytes] | Fault:
        """The harness that a model's plan comes to: by the plan's own diff, or by one that a model writes for it.

        Two diffs are tried at the most; the second is written with the first one's fault in view.
        """
        plan, fault = candidate.plan, None
        if "diff" in plan.change:
            made = await self._made(work, "diff", plan.change, parent, parent)
            if not isinstance(made, Fault):
                return made
            fault = made
        model = self.models(work, "patcher")
        if model is None:
            return fault or Fault("apply", "the plan is in words, and there is no model that writes patches")
        failed = f"{fault.stage}: {fault.reason}" if fault else ""
        talk = Conversation(model, patch_prompt(plan, parent, failed))
        for _ in range(TRIES - bool(fault)):
            try:
                made = await self._made(work, "diff", {"diff": await talk.hear()}, parent, parent)
            except NoAnswer as error:
                made = Fault("apply", str(error))
            except (RequestRefusedError, BudgetSpentError) as error:
                work.desk.log.warning("no model wrote the patch", reason=str(error))
                return fault or Fault("apply", f"the model was not asked: {error}")
            if not isinstance(made, Fault):
                return made
            fault = made
            talk.object(f"{fault.stage}: {fault.reason}")
        return fault or Fault("apply", "nothing was written")

    def _rejected(self, work: Work, fault: Fault) -> e.Event:
        return e.ChangeRejected(
            campaign=work.campaign.id,
            round=work.round.number,
            candidate=work.duty.candidate,
            stage=fault.stage,
            reason=fault.reason[:2000],
        )


def _diff(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> str:
    """A unified diff over all files that differ."""
    changed = [path for path in sorted({*old, *new}) if old.get(path) != new.get(path)]
    return "".join(diff_file(path, old.get(path), new.get(path)) for path in changed)
