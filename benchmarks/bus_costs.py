"""What the bus costs: requests and jobs, beside a bare nats-py peer on the same server in the same run.

`python -m benchmarks.bus_costs [--json] [--requests N] [--jobs N]`
"""

import argparse
import asyncio
import json
import logging
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import nats
import structlog
from nats.aio.msg import Msg

from bus import Done, Job, JobQueue, Worker, connect, respond
from bus.testing import running_bus

PAYLOAD = b"p" * 300
RESULT = b"r" * 1000

Figures = dict[str, float]


async def latency(ask: Callable[[], Awaitable[object]], count: int) -> Figures:
    """Microseconds per request, one after the other."""
    for _ in range(50):
        await ask()
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        await ask()
        taken.append((time.perf_counter() - began) * 1e6)
    cuts = statistics.quantiles(taken, n=100)
    return {"p50_us": round(cuts[49], 1), "p99_us": round(cuts[98], 1)}


async def requests(url: str, count: int) -> dict[str, Figures]:
    """Request and reply between two connections of one process."""

    async def echo(data: bytes) -> bytes:
        return data

    async def bare_echo(message: Msg) -> None:
        await message.respond(message.data)

    async with await connect(url, name="server") as server, await connect(url, name="client") as client:
        await respond(server, "bench.ours", echo)
        await server.flush()
        ours = await latency(lambda: client.request("bench.ours", PAYLOAD), count)
    peer, other = await nats.connect(url), await nats.connect(url)
    await peer.subscribe("bench.bare", cb=bare_echo)
    await asyncio.sleep(0.1)
    bare = await latency(lambda: other.request("bench.bare", PAYLOAD), count)
    await peer.close()
    await other.close()
    return {"ours": ours, "bare_nats_py": bare}


async def jobs(url: str, count: int) -> dict[str, Figures]:
    """Jobs of 300 bytes with results of 1 kB through one worker with one slot."""

    async def answer(_: Job) -> bytes:
        return RESULT

    payloads = {f"job-{index}": PAYLOAD for index in range(count)}
    async with await connect(url, name="worker") as away, await connect(url, name="collector") as here:
        worker = Worker(away, ["bench"], answer)
        working = asyncio.create_task(worker.run())
        queue = JobQueue(here)
        await queue.collect("bench", {"warm": PAYLOAD})
        began = time.perf_counter()
        results = await queue.collect("bench", payloads)
        fresh = time.perf_counter() - began
        began = time.perf_counter()
        again = await queue.collect("bench", payloads)
        cached = time.perf_counter() - began
        worker.stop()
        await working
        if results != dict.fromkeys(payloads, Done(data=RESULT)) or again != results:
            raise SystemExit("the results are not what they should be")
    bare = await bare_jobs(url, count)
    return {
        "ours": {"total_s": round(fresh, 3), "us_per_job": round(fresh / count * 1e6, 1)},
        "ours_cached": {"total_s": round(cached, 3), "us_per_job": round(cached / count * 1e6, 1)},
        "bare_nats_py": {"total_s": round(bare, 3), "us_per_job": round(bare / count * 1e6, 1)},
    }


async def bare_jobs(url: str, count: int) -> float:
    """The least that nats-py needs: publish, fetch one by one, publish a result, acknowledge; nothing is checked."""
    worker, collector = await nats.connect(url), await nats.connect(url)
    queue, results = collector.jetstream(), worker.jetstream()
    pull = await results.pull_subscribe("jobs.bare", durable="bare", stream="JOBS")
    arrived = 0
    complete = asyncio.Event()

    async def take(_: Msg) -> None:
        nonlocal arrived
        arrived += 1
        if arrived == count:
            complete.set()

    await collector.subscribe("results.bare.*", cb=take)

    async def work() -> None:
        for index in range(count):
            (message,) = await pull.fetch(1, timeout=10)
            await results.publish(f"results.bare.{index}", RESULT)
            await message.ack()

    began = time.perf_counter()
    working = asyncio.create_task(work())
    limit = asyncio.Semaphore(64)

    async def submit() -> None:
        async with limit:
            await queue.publish("jobs.bare", PAYLOAD)

    await asyncio.gather(*(submit() for _ in range(count)))
    await complete.wait()
    taken = time.perf_counter() - began
    await working
    await pull.unsubscribe()
    await worker.close()
    await collector.close()
    return taken


async def measure(request_count: int, job_count: int) -> dict[str, dict[str, Figures]]:
    """All figures, on a server of their own."""
    with tempfile.TemporaryDirectory() as folder:
        async with running_bus(Path(folder)) as (server, _):
            return {
                "requests": await requests(server.url, request_count),
                "jobs": await jobs(server.url, job_count),
            }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--jobs", type=int, default=500)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    figures = asyncio.run(measure(options.requests, options.jobs))
    if options.json:
        print(json.dumps(figures))
        return
    for what, sides in figures.items():
        for side, numbers in sides.items():
            print(f"{what:9} {side:13}", *(f"{name} {value:g}" for name, value in numbers.items()))


if __name__ == "__main__":
    main()
