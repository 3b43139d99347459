"""The executor: takes episodes from the work queue, and solves the tasks that users publish."""

import functools
from collections.abc import Callable, Sequence

import anyio
import msgspec

from agents.book import Book
from agents.categories import LINEAGES
from agents.errors import ModelMismatch
from agents.executor.episode import run_episode
from agents.executor.patch import patch_of
from agents.executor.reports import Reports
from agents.models.errors import ModelError, ModelUnavailableError
from agents.models.remote import RemoteModel
from agents.models.shared import ensure_model, load_model
from agents.work import Desk, Work
from bus import traces
from bus.errors import JobFailed, MalformedMessage
from bus.worker import Job
from contracts import events as e
from contracts.chat import Model, Usage
from contracts.jobs import EpisodeJob, EpisodeResult
from contracts.models import Charge
from contracts.statistics import derive_seed
from contracts.submission import Submission
from contracts.tasks import GradedTask, TestReport

TREES, TASKS = 64, 2048
"""Harnesses and tasks that an executor remembers."""


class Executor:
    """Runs episodes: a job in, a graded result out. The same job gives the same result on every machine."""

    role = "executor"

    def __init__(self, desk: Desk, reports: Reports) -> None:
        self.desk = desk
        self.reports = reports
        self.lineages = Book(desk.ledger, LINEAGES)
        self.model: Model | None = None
        self.trees: dict[str, dict[str, bytes]] = {}
        self.tasks: dict[str, GradedTask] = {}

    async def episode(self, work: Job) -> bytes:
        """The handler of `jobs.episode`."""
        job = msgspec.msgpack.decode(work.data, type=EpisodeJob)
        with traces.span("execute_episode", job.traceparent, **{"ratchet.task": job.task_id}) as span:
            model = await self.model_for(job)
            if model.fingerprint != job.fingerprint:
                raise JobFailed(str(ModelMismatch(job.fingerprint, model.fingerprint)))
            try:
                result = await self.run(job, model)
            except ModelUnavailableError as error:  # never a score: the episode runs again, here or elsewhere
                raise JobFailed(str(error), retry=True) from error
            except ModelError as error:  # nor is this, but to run again at once would not help
                raise JobFailed(str(error)) from error
            span.set_attribute("ratchet.seconds", result.seconds)  # without the queue and the ledger
            return msgspec.msgpack.encode(result)

    async def model_for(self, job: EpisodeJob) -> Model:
        """The model that a job names: one behind the gateway, or the store's own."""
        if job.model:
            return RemoteModel(self.desk.bus, job.model, msgspec.structs.replace(job.charge, episode=job.id))
        if self.model is None:
            self.model = await load_model(self.desk.ledger)
        return self.model

    async def run(self, job: EpisodeJob, model: Model) -> EpisodeResult:
        """Run a job; the model and the sandbox work in a thread, so that heartbeats go on."""
        graded = await self.task(job.task)
        if job.tree not in self.trees:
            while len(self.trees) >= TREES:
                self.trees.pop(next(iter(self.trees)))
            self.trees[job.tree] = await self.desk.tree(job.tree)
        call: Callable[[], EpisodeResult] = functools.partial(
            run_episode, job, graded, self.trees[job.tree], model, self.reports
        )
        return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)

    async def task(self, blob: str) -> GradedTask:
        """A task from the ledger. Raises MalformedMessage when the blob is none."""
        if blob not in self.tasks:
            while len(self.tasks) >= TASKS:
                self.tasks.pop(next(iter(self.tasks)))
            data = await self.desk.ledger.get(blob)
            try:
                self.tasks[blob] = msgspec.json.decode(data, type=GradedTask)
            except msgspec.MsgspecError as error:
                raise MalformedMessage(f"blob {blob[:12]} is no task: {error}") from error
        return self.tasks[blob]

    async def perform(self, work: Work[Submission]) -> Sequence[e.Event]:
        """Solve a task that a user published, with the head of the lineage that was asked for."""
        submitted = work.state.submitted
        if submitted is None:
            return []
        lineage = await self.lineages.catch_up(f"lineage/{submitted.lineage}")
        head, campaign = lineage.head, lineage.campaign
        if not head:
            reason = f"there is no lineage {submitted.lineage!r}; `ratchet run` or `ratchet solve` begin one"
            return [e.TaskFailed(task=submitted.task, tree="", reason=reason, attempts=0, usage=Usage())]
        spec = campaign.settings.models.harness if campaign else ""
        charge = Charge(campaign=campaign.id if campaign else "", task=submitted.name)
        if spec:  # the harness was made better with this model, and its campaign pays
            model: Model = RemoteModel(self.desk.bus, spec, charge)
        else:
            await ensure_model(self.desk.ledger, actor=self.desk.instance)
            model = await load_model(self.desk.ledger)
        graded = await self.task(submitted.blob)
        usage, best = Usage(), None
        for attempt in range(1, submitted.attempts + 1):
            job = EpisodeJob(
                task=submitted.blob,
                task_id=submitted.name,
                tree=head,
                seed=derive_seed("task", submitted.task, attempt),
                fingerprint=model.fingerprint,
                model=spec,
                facts=campaign.settings.facts if campaign else None,
                transcript=True,
            )
            result = await self.run(job, model)
            usage += result.usage
            if best is None or result.score > best.score:
                best = result
            if result.visible_passed:
                return [
                    e.TaskSolved(
                        task=submitted.task,
                        tree=head,
                        patch=patch_of(graded.task, result.files),
                        attempts=attempt,
                        usage=usage,
                    )
                ]
        files = best.files if best and best.score > 0 else {}
        reason = "no attempt made the visible tests pass"
        return [
            e.TaskFailed(
                task=submitted.task,
                tree=head,
                reason=f"{reason}; the last ended {best.outcome}: {best.error}"
                if best and best.error
                else reason,
                attempts=submitted.attempts,
                usage=usage,
                patch=patch_of(graded.task, files),
                failing=await self.failing(graded),
            )
        ]

    async def failing(self, graded: GradedTask) -> tuple[str, ...]:
        """Ids of the tests that fail on a task as it came, as far as their run comes to an end; a hundred at most."""
        task = graded.task
        call: Callable[[], TestReport] = functools.partial(
            self.reports.get, task.files, task.tests, task.budget.lines, float(task.budget.wall_seconds)
        )
        report = await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
        failed = [outcome.id[:300] for outcome in report.outcomes if not outcome.passed]
        return tuple(failed[:100]) if report.status == "ok" else ()
