import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from bus import (
    Bus,
    Done,
    Failed,
    Job,
    JobFailed,
    JobQueue,
    JobResult,
    MalformedMessage,
    TooLarge,
    Worker,
    connect,
)
from bus.dead import REASON
from bus.jetstream import store
from bus.testing import running_bus
from bus.worker import JobHandler


async def double(job: Job) -> bytes:
    return job.data * 2


@asynccontextmanager
async def at_work(bus: Bus, handler: JobHandler, **options: Any) -> AsyncIterator[Worker]:
    worker = Worker(bus, ["episode"], handler, retry_delay=0.01, **options)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        task.cancel()
        await asyncio.wait([task])


async def dead_letters(bus: Bus, count: int) -> list[tuple[str, bytes, str]]:
    letters: list[tuple[str, bytes, str]] = []
    while len(letters) < count:
        info = await bus.jetstream.stream_info("DEAD")
        letters = []
        for seq in range(1, info.state.messages + 1):
            message = await bus.jetstream.get_msg("DEAD", seq=seq)
            letters.append((message.subject or "", message.data or b"", (message.headers or {})[REASON]))
        await anyio.sleep(0.01)
    return letters


async def waiting(bus: Bus) -> int:
    return (await bus.jetstream.stream_info("JOBS")).state.messages


def test_results_arrive_once_and_are_never_computed_twice(tmp_path: Path) -> None:
    computed: Counter[str] = Counter()
    seen: list[str] = []

    async def count(job: Job) -> bytes:
        computed[job.job_id] += 1
        return job.data + b"!"

    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="w") as other:
            queue = JobQueue(bus)
            jobs = {f"j{index}": str(index).encode() for index in range(200)}
            async with at_work(other, count, slots=4), at_work(bus, count, slots=2):
                first, second = await asyncio.gather(
                    queue.collect("episode", jobs, lambda job_id, _: seen.append(job_id)),
                    JobQueue(other).collect("episode", jobs),
                )
                assert first == second == {key: Done(data=value + b"!") for key, value in jobs.items()}
                assert await queue.collect("episode", jobs) == first
                assert await queue.collect("episode", {}) == {}
            assert sorted(seen) == sorted(jobs)
            assert set(computed.values()) == {1}
            assert await queue.result("episode", "j7") == Done(data=b"7!")
            assert await queue.result("episode", "unknown") is None
            await bus.flush()
            assert await waiting(bus) == 0

    asyncio.run(main())


def test_a_waiting_job_is_not_taken_in_twice_and_the_first_result_stands(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus):
            queue = JobQueue(bus)
            assert await queue.submit("episode", "a", b"1")
            assert not await queue.submit("episode", "a", b"1")
            assert await waiting(bus) == 1
            assert await queue.store_result("episode", "b", Done(data=b"first"))
            assert not await queue.store_result("episode", "b", Done(data=b"second"))
            assert await queue.result("episode", "b") == Done(data=b"first")
            await queue.forget("episode", "b")
            assert await queue.result("episode", "b") is None
            with pytest.raises(TooLarge):
                await queue.submit("episode", "c", b"x" * 2_000_000)
            with pytest.raises(TooLarge):
                await queue.collect("episode", {"c": b"x" * 2_000_000})

    asyncio.run(main())


def test_a_worker_cancelled_in_the_middle_hands_its_jobs_back(tmp_path: Path) -> None:
    begun = 0

    async def hang(_: Job) -> bytes:
        nonlocal begun
        begun += 1
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus):
            queue = JobQueue(bus)
            collecting = asyncio.create_task(queue.collect("episode", {str(i): b"x" for i in range(6)}))
            async with at_work(bus, hang, slots=2, prefetch=2):
                with anyio.fail_after(5):
                    while begun < 2:  # noqa: ASYNC110
                        await anyio.sleep(0.01)
            began = time.monotonic()
            async with at_work(bus, double):
                results = await collecting
            assert results == {str(i): Done(data=b"xx") for i in range(6)}
            assert time.monotonic() - began < 2  # and not ack_wait

    asyncio.run(main())


def test_stop_finishes_what_runs_and_hands_back_the_rest(tmp_path: Path) -> None:
    go = anyio.Event()
    begun: list[str] = []

    async def wait_for_it(job: Job) -> bytes:
        begun.append(job.job_id)
        await go.wait()
        return b"done"

    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus):
            queue = JobQueue(bus)
            for index in range(3):
                await queue.submit("episode", str(index), b"x")
            worker = Worker(bus, ["episode"], wait_for_it, slots=1, prefetch=2)
            task = asyncio.create_task(worker.run())
            with anyio.fail_after(5):
                while not begun:  # noqa: ASYNC110
                    await anyio.sleep(0.01)
                worker.stop()
                go.set()
                await task
            assert begun == ["0"]
            assert worker.settled == 1
            assert await queue.result("episode", "0") == Done(data=b"done")
            assert await waiting(bus) == 2
            async with at_work(bus, double):
                with anyio.fail_after(2):
                    await queue.collect("episode", {"1": b"x", "2": b"x"})

    asyncio.run(main())


def test_a_long_job_stays_with_its_worker(tmp_path: Path) -> None:
    begun = 0

    async def long(_: Job) -> bytes:
        nonlocal begun
        begun += 1
        await anyio.sleep(1.0)
        return b"long"

    async def main() -> None:
        async with (
            running_bus(tmp_path) as (_, bus),
            at_work(bus, long, ack_wait=0.4),
            at_work(bus, long, ack_wait=0.4),
        ):
            assert await JobQueue(bus).collect("episode", {"a": b""}) == {"a": Done(data=b"long")}
            assert begun == 1

    asyncio.run(main())


def test_jobs_that_fail_become_results_and_dead_letters(tmp_path: Path) -> None:
    attempts: Counter[str] = Counter()

    async def moody(job: Job) -> bytes:
        attempts[job.job_id] += 1
        assert job.attempt == attempts[job.job_id]
        match job.job_id:
            case "refused":
                raise JobFailed("not for me")
            case "malformed":
                raise MalformedMessage("no such thing")
            case "crashes":
                raise RuntimeError("boom")
            case "large":
                return b"x" * 2_000_000
            case "retried" if job.attempt < 3:
                raise JobFailed("not yet", retry=True)
        return b"fine"

    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus), at_work(bus, moody, slots=2):
            await store(bus, "jobs.episode", b"without an id")
            await store(bus, "jobs.episode.a.b", b"with two")
            names = ("refused", "malformed", "crashes", "large", "retried", "fine")
            with anyio.fail_after(10):
                results: dict[str, JobResult] = await JobQueue(bus).collect(
                    "episode", {name: name.encode() for name in names}
                )
                letters = await dead_letters(bus, 6)
            kinds = {name: result.kind for name, result in results.items() if isinstance(result, Failed)}
            assert kinds == {
                "refused": "refused",
                "malformed": "malformed",
                "crashes": "exhausted",
                "large": "too_large",
            }
            assert results["retried"] == results["fine"] == Done(data=b"fine")
            assert attempts["crashes"] == 5
            assert attempts["retried"] == 3
            assert {subject for subject, _, _ in letters} == {"dead.jobs.episode"}
            reasons = {data: reason for _, data, reason in letters}
            assert "boom" in reasons[b"crashes"]
            assert "not for me" in reasons[b"refused"]
            assert "<id>" in reasons[b"without an id"]
            assert "<id>" in reasons[b"with two"]
            await bus.flush()
            assert await waiting(bus) == 0

    asyncio.run(main())


KILLER = """
import asyncio, os, sys
from bus import connect, work
async def handler(job):
    if job.job_id == "poison":
        os._exit(9)
    await asyncio.sleep(60)
async def main():
    bus = await connect(sys.argv[1], name="victim")
    await work(bus, ["episode"], handler, slots=1, prefetch=3, ack_wait=0.3, max_deliver=3)
asyncio.run(main())
"""


def test_a_job_that_kills_its_workers_is_found_out_and_its_neighbours_are_not_blamed(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus):
            queue = JobQueue(bus)
            for name in ("poison", "a", "b", "c"):
                await queue.submit("episode", name, b"x")
            for _ in range(3):
                victim = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLER, server.url)
                assert await asyncio.wait_for(victim.wait(), 10) == 9
            worker = Worker(bus, ["episode"], double, ack_wait=0.3, max_deliver=3)
            working = asyncio.create_task(worker.run())
            with anyio.fail_after(10):
                results = await queue.collect("episode", dict.fromkeys(("poison", "a", "b", "c"), b"x"))
            worker.stop()
            await working
            assert isinstance(poison := results.pop("poison"), Failed)
            assert poison.kind == "exhausted"
            assert results == dict.fromkeys(("a", "b", "c"), Done(data=b"xx"))

    asyncio.run(main())


BATCHES = """
import asyncio, os, sys
from bus import Worker, connect
async def handler(job):
    await asyncio.sleep(0.05)
    if job.job_id == "poison":
        os._exit(9)
    await asyncio.sleep(0.05)
    return b"fine"
async def main():
    bus = await connect(sys.argv[1], name="victim")
    await Worker(bus, ["episode"], handler, slots=4, ack_wait=0.3, max_deliver=3, careful=True).run()
asyncio.run(main())
"""


def test_a_job_that_kills_a_whole_batch_is_found_out_and_its_neighbours_are_not_blamed(
    tmp_path: Path,
) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus):
            queue = JobQueue(bus)
            for name in ("a", "poison", "b", "c"):
                await queue.submit("episode", name, b"x")
            for _ in range(3):
                victim = await asyncio.create_subprocess_exec(sys.executable, "-c", BATCHES, server.url)
                assert await asyncio.wait_for(victim.wait(), 10) == 9
            async with at_work(bus, double, slots=4, ack_wait=0.3, max_deliver=3):
                with anyio.fail_after(10):
                    results = await queue.collect("episode", dict.fromkeys(("poison", "a", "b", "c"), b"x"))
            assert isinstance(poison := results.pop("poison"), Failed)
            assert poison.kind == "exhausted"
            assert all(isinstance(result, Done) for result in results.values()), results

    asyncio.run(main())


def test_a_job_that_a_worker_cannot_hold_goes_to_another_and_one_withdrawn_to_nobody(tmp_path: Path) -> None:
    async def main() -> None:
        asked: list[str] = []

        async def never(job: Job) -> bool:
            asked.append(job.job_id)
            return False

        async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="w") as other:
            queue = JobQueue(bus)
            await queue.submit("episode", "heavy", b"x")
            async with at_work(bus, double, accepts=never):
                with anyio.fail_after(10):
                    while len(asked) < 2:  # noqa: ASYNC110 (a list rings no bell)
                        await asyncio.sleep(0.01)
            async with at_work(
                other, double, max_deliver=2
            ):  # to be passed on, however often, is none of them
                with anyio.fail_after(10):
                    assert await queue.collect("episode", {"heavy": b"x"}) == {"heavy": Done(data=b"xx")}
            await queue.submit("episode", "unwanted", b"x")
            await queue.withdraw("episode", "unwanted")
            assert await waiting(bus) == 0
            assert await queue.result("episode", "unwanted") is None

    asyncio.run(main())


def test_the_server_is_killed_in_the_middle_and_the_collection_ends_all_the_same(tmp_path: Path) -> None:
    done = 0

    async def slow(job: Job) -> bytes:
        nonlocal done
        done += 1
        await anyio.sleep(0.002)
        return job.data

    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="w") as other:
            jobs = {f"j{index}": str(index).encode() for index in range(300)}
            async with at_work(other, slow, slots=4, prefetch=8, ack_wait=1.0):
                collecting = asyncio.create_task(JobQueue(bus).collect("episode", jobs, patience=0.5))
                for limit in (60, 160):
                    with anyio.fail_after(10):
                        while done < limit:  # noqa: ASYNC110
                            await anyio.sleep(0.005)
                    os.kill(server.pid, signal.SIGKILL)
                    await server.wait()
                    await server.start()
                with anyio.fail_after(15):
                    assert await collecting == {key: Done(data=value) for key, value in jobs.items()}

    asyncio.run(main())


def test_lost_streams_are_made_again_and_their_jobs_submitted_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus):
            jobs = {f"j{index}": b"x" for index in range(20)}
            collecting = asyncio.create_task(JobQueue(bus).collect("episode", jobs, patience=0.2))
            while await waiting(bus) < 20:  # noqa: ASYNC110
                await anyio.sleep(0.01)
            await bus.jetstream.purge_stream("JOBS")
            await anyio.sleep(0.3)
            await bus.jetstream.delete_stream("JOBS")
            await bus.jetstream.delete_stream("RESULTS")
            async with at_work(bus, double):
                with anyio.fail_after(10):
                    assert len(await collecting) == 20
                await bus.jetstream.delete_stream("JOBS")  # under the feet of a worker that waits
                with anyio.fail_after(10):
                    assert len(await JobQueue(bus).collect("episode", {"z": b"x"}, patience=0.2)) == 1

    asyncio.run(main())


def test_a_collection_can_be_given_up_and_taken_up_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus):
            queue = JobQueue(bus)
            with anyio.move_on_after(0.1) as scope:
                await queue.collect("episode", {"a": b"1"})
            assert scope.cancelled_caught
            assert bus.reconnected == []
            async with at_work(bus, double):
                assert await queue.collect("episode", {"a": b"1"}) == {"a": Done(data=b"11")}

    asyncio.run(main())


def test_five_hundred_jobs_cost_little(tmp_path: Path) -> None:
    async def answer(_: Job) -> bytes:
        return b"r" * 1000

    async def main() -> None:
        async with running_bus(tmp_path) as (_, bus), at_work(bus, answer):
            began = time.perf_counter()
            results = await JobQueue(bus).collect(
                "episode", {f"j{index}": b"p" * 300 for index in range(500)}
            )
            assert len(results) == 500
            assert time.perf_counter() - began < 1.5

    asyncio.run(main())
