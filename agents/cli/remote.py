"""An experiment given to the workers of a running bus: submitted, followed, fetched, or withdrawn."""

from collections.abc import Callable

import anyio
import msgspec
from nats.aio.msg import Msg

from agents.cli.workbench import ExperimentRefused
from bus.connection import Bus
from bus.jobs import JobQueue
from bus.results import Done
from contracts.datasets import INLINE_LIMIT, DataSet, encode_data
from contracts.envelope import blob_hash
from contracts.experiment_results import ExperimentResult, StoredResult, decode_result
from contracts.experiments import ExperimentSpec, answer_size, encode_spec, experiment_id, job_kind
from contracts.progress import decode_progress
from contracts.subjects import progress_subject
from eventstore.client import LedgerClient
from eventstore.errors import LedgerUnavailable

LEDGER = 5.0
"""Seconds that a ledger service has to answer."""


class NoWorker(Exception):
    """Raised when no worker gives a sign of having taken a job up."""

    def __init__(self, seconds: float, note: str) -> None:
        self.note = note
        super().__init__(
            f"no worker took the experiment up within {seconds:g} s{f' ({note})' if note else ''}; start one by "
            "`python -P -m gpu_workers`"
        )


class NoLedger(Exception):
    """Raised when what has to travel is too large for a message, and no ledger answers on the bus."""

    def __init__(self) -> None:
        super().__init__(
            "the experiment is too large for messages, and no ledger answers on the bus; start one by "
            "`python -P -m eventstore serve`"
        )


async def compute_there(
    bus: Bus,
    spec: ExperimentSpec,
    data: DataSet | None,
    listen: Callable[[int, int], None],
    *,
    patience: float,
) -> ExperimentResult:
    """The result, with progress told as (done, total). Whoever cancels this withdraws the job.

    Raises:
        ExperimentRefused: a worker says that it cannot be computed.
        NoWorker: none gave a sign within `patience` seconds; the job is withdrawn.
        NoLedger: one is needed, and none answers.
        BusError, LedgerError: the bus, or the ledger where it is needed, is away.
    """
    ledger = LedgerClient(bus, patience=LEDGER)
    if data is not None:
        spec = await _sent_with(data, spec, ledger)
    kind, name = job_kind(spec), experiment_id(spec)
    queue = JobQueue(bus)
    taken, note = anyio.Event(), ""

    async def take(message: Msg) -> None:
        nonlocal note
        progress = decode_progress(message.data)
        if progress.note:
            note = progress.note
            return
        taken.set()
        listen(progress.done, progress.total)

    interest = await bus.listen(progress_subject(kind, name), take)
    found = None
    try:
        async with anyio.create_task_group() as group:

            async def collect() -> None:
                nonlocal found
                found = (await queue.collect(kind, {name: encode_spec(spec)}))[name]
                group.cancel_scope.cancel()

            group.start_soon(collect)
            with anyio.move_on_after(patience):
                await taken.wait()
            if not taken.is_set():
                group.cancel_scope.cancel()
    finally:
        if found is None:
            with anyio.CancelScope(shield=True):
                await queue.withdraw(kind, name)
        await interest.stop()
    if found is None:
        raise NoWorker(patience, note)
    if not isinstance(found, Done):
        await queue.forget(kind, name)  # so that it is done again once its cause is removed
        raise ExperimentRefused(found.reason, kind=found.kind)
    result = decode_result(found.data)
    if isinstance(result, StoredResult):
        result = decode_result(await ledger.get(result.blob))
    if not isinstance(result, ExperimentResult):
        raise ExperimentRefused("the worker's answer is no result; are all parts of one version?")
    return result


async def _sent_with(data: DataSet, spec: ExperimentSpec, ledger: LedgerClient) -> ExperimentSpec:
    """The specification with its data, or with the name of its blob where that is too large for a message."""
    packed = encode_data(data)
    if max(len(packed), answer_size(spec, data.rows)) > INLINE_LIMIT:
        try:
            await ledger.has([blob_hash(packed)])
        except LedgerUnavailable as error:
            raise NoLedger from error
    if len(packed) <= INLINE_LIMIT:
        return msgspec.structs.replace(spec, data=data, blob="")
    await ledger.put(packed)
    return spec
