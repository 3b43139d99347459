"""Computes experiments, many at once: what they share is stacked, what is known already is not done again."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from bus import traces
from contracts.experiment_results import ExperimentResult, Provenance
from gpu_workers.arrays import Arrays
from gpu_workers.errors import ExperimentFault
from gpu_workers.experiments.cells import CellCache
from gpu_workers.experiments.evaluate import Evaluator
from gpu_workers.experiments.meter import Meter, ceiling
from gpu_workers.experiments.planner import Batch, Shape, halve, plan
from gpu_workers.experiments.prepare import Experiment
from gpu_workers.experiments.results import assemble
from gpu_workers.experiments.stack import Stack
from gpu_workers.resampler import go_on

MOST_STACKED = 4_000_000
"""Cells of a stack, whether or not all are asked for."""
HOST_BATCH = 64 * 1024 * 1024
"""Bytes of a batch where there is no device: what its parts touch again and again should stay in caches."""
REPORT_EVERY = 0.5
"""Seconds between two reports."""

Outcome = ExperimentResult | ExperimentFault


@dataclass(frozen=True, kw_only=True)
class Report:
    """How far one experiment of a computation has come."""

    index: int
    """Which of the experiments."""
    done: int
    total: int
    seconds: float
    memory: int
    """Bytes that the batch under way is expected to take."""


def _tell_nobody(_: Report) -> None:
    """A listener who does not care."""


def _all_wanted(_: int) -> bool:
    """Nobody ever loses interest."""
    return True


@dataclass(kw_only=True)
class _Run:
    """What is counted while a stack is computed."""

    stack: Stack
    evaluator: Evaluator
    indices: Sequence[int]
    begun: float
    splits: int = 0
    batches: int = 0
    memory: int = 0
    halvings: list[str] = field(default_factory=list)
    told: float = 0.0


@dataclass(kw_only=True)
class Options:
    """What a run over several experiments is given beside them."""

    arrays: Arrays
    cache: CellCache
    budget: int = 0
    """Bytes that a batch may take; 0: what the device holds, or what suits a processor."""
    checkpoint: Callable[[], None] = go_on
    """Called between kernels; it ends the computation by raising."""
    wanted: Callable[[int], bool] = _all_wanted
    """Whether somebody still waits for an experiment; asked between batches."""
    listen: Callable[[Report], None] = _tell_nobody
    parent: str = ""
    """Trace context that the kernels' spans belong to."""


@dataclass(kw_only=True)
class Computation(Options):
    """One run over several experiments."""

    experiments: Sequence[Experiment]

    def run(self) -> list[Outcome | None]:
        """A result or a fault for every experiment, in their order; None for one that nobody wants any more."""
        found: list[Outcome | None] = [None] * len(self.experiments)
        for indices in self._groups():
            for index, outcome in self._group(indices):
                found[index] = outcome
        return found

    def _groups(self) -> Iterator[list[int]]:
        """Experiments that share a problem, together as long as the stack stays small."""
        groups: dict[str, list[int]] = {}
        for index, experiment in enumerate(self.experiments):
            groups.setdefault(experiment.problem, []).append(index)
        for indices in groups.values():
            names: tuple[set[str], ...] = (set(), set(), set())
            group: list[int] = []
            for index in indices:
                own = self.experiments[index]
                more = (set(own.names), set(own.seeds), {fold.key for fold in own.folds})
                union = tuple(mine | theirs for mine, theirs in zip(names, more, strict=True))
                if group and len(union[0]) * len(union[1]) * len(union[2]) > MOST_STACKED:
                    yield group
                    group, union = [], more
                group.append(index)
                names = (union[0], union[1], union[2])
            yield group

    def _group(self, indices: Sequence[int]) -> list[tuple[int, Outcome | None]]:
        """One that is refused while it is fitted is found by computing each alone."""
        foreseen: tuple[type[BaseException], ...] = (ValueError, *self.arrays.exhausted)
        try:
            return self._stacked(indices)
        except foreseen as error:
            if len(indices) > 1:
                return [pair for index in indices for pair in self._group([index])]
            if isinstance(error, ValueError):
                return [(indices[0], ExperimentFault(str(error), kind="refused"))]
            own = self.experiments[indices[0]]
            reason = (
                f"memory does not suffice for a single fit of {own.family.name} to {own.data.rows} rows and "
                f"{own.prepared.width} columns on {self.arrays.device}; ask for more by `needs.memory`"
            )
            return [(indices[0], ExperimentFault(reason, kind="memory"))]

    def _stacked(self, indices: Sequence[int]) -> list[tuple[int, Outcome | None]]:
        stack = Stack([self.experiments[index] for index in indices], self.cache)
        evaluator = Evaluator(
            stack=stack,
            meter=Meter(arrays=self.arrays, parent=traces.current_traceparent() or self.parent),
            checkpoint=self.checkpoint,
        )
        run = _Run(stack=stack, evaluator=evaluator, indices=indices, begun=time.monotonic())
        held = self.arrays.held_bytes
        shape = evaluator.shape(
            self.budget or (held if self.arrays.name == "cupy" else min(held, HOST_BATCH))
        )
        places = range(len(indices))
        batches, run.splits = plan(stack.missing(places), stack.configurations, shape)
        waiting, open_places = batches[::-1], list(places)
        while waiting:
            self.checkpoint()
            still = [place for place in open_places if self.wanted(indices[place])]
            if len(still) < len(open_places):
                open_places = still
                asked = stack.asked(open_places)
                left = [(each, each.members[asked[tuple(each.members.T)]]) for each in waiting]
                waiting = [Batch(members=some, memory=each.memory) for each, some in left if len(some)]
                continue
            batch = waiting.pop()
            self._tell(run, batch.memory)
            waiting += self._batch(run, batch, shape)
        self._tell(run, 0, last=True)
        provenance = self._provenance(run)
        return [
            (index, assemble(stack, place, provenance) if place in open_places else None)
            for place, index in enumerate(indices)
        ]

    def _batch(self, run: _Run, batch: Batch, shape: Shape) -> list[Batch]:
        """Fit a batch; what has to be tried again, in halves, when memory ran out."""
        try:
            fitted = run.evaluator.fit(batch.members)
        except self.arrays.exhausted:
            if len(batch.members) == 1:
                raise
        else:
            run.stack.take(batch.members, fitted)
            run.batches += 1
            run.memory = max(run.memory, batch.memory)
            return []
        run.evaluator.forget()
        self.arrays.release()
        parts = halve(batch.members, shape.together)
        largest = run.stack.configurations[batch.members[0, 0]]
        sizes = " and ".join(str(len(part)) for part in parts)
        run.halvings.append(f"{len(batch.members)} fits, planned at {batch.memory} bytes, became {sizes}")
        return [Batch(members=part, memory=shape.memory(part, largest)) for part in reversed(parts)]

    def _tell(self, run: _Run, memory: int, *, last: bool = False) -> None:
        now = time.monotonic()
        if not last and now - run.told < REPORT_EVERY:
            return
        run.told = now
        for place, index in enumerate(run.indices):
            done = run.stack.done[run.stack.places[place]]
            self.listen(
                Report(
                    index=index, done=int(done.sum()), total=done.size, seconds=now - run.begun, memory=memory
                )
            )

    def _provenance(self, run: _Run) -> Provenance:
        limit = ceiling(self.arrays)
        solver = getattr(self.experiments[run.indices[0]].family, "solver", "")
        return Provenance(
            library=self.arrays.name,
            device=self.arrays.device,
            solvers=(solver,) if solver else (),
            seconds=time.monotonic() - run.begun,
            memory=run.memory,
            batches=run.batches,
            together=len(run.indices),
            splits=run.splits,
            halvings=tuple(run.halvings),
            kernels=tuple(run.evaluator.meter.kernels.values()),
            bandwidth=limit.bandwidth,
            rate=limit.rate,
        )
