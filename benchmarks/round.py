"""What a round costs beyond its episodes: agents, bus and ledger, in a real campaign under the real supervisor.

`python -m benchmarks.round [--rounds 30] [--json]`. The suite's programs are a line each, so that episodes take
milliseconds. All processes write spans to a file, whose cost is part of the figures.

Counted per round is the wall time from its `RoundOpened` to the event that opens the next one (or, for the last one,
to the campaign's next event), by the ledger's clock, less the time in which an episode ran (`EpisodeResult.seconds`
before its span ended: model, sandbox and grading) or a new harness was started on trial (the patcher's span
`check_starts`). What remains is waking up, leases, reading, deciding, appending, and carrying jobs to the one
executor and back. A duty's own part is the same for the time from the event before its result to its result.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from agents.testing import History, Running, write_suite
from bus import connect, logs, respond
from bus.testing import running_bus
from contracts.record import Record

SETTINGS = ("--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "1", "--release-seeds", "1")
DUTIES = ("open", "execute", "analyze", "plan", "patch", "race", "confirm", "verdict", "lesson", "close")
EARLY = range(5, 16)
"""The rounds that the last tenth is held against."""

Interval = tuple[float, float]


class Span(Record, frozen=True):
    """A line of the trace file, as far as it matters here."""

    name: str
    start: float
    end: float
    attributes: dict[str, str | int | float | bool] = {}


class Step(Record, frozen=True):
    """One duty, from the event before its result to its result."""

    round: int
    duty: str
    start: float
    end: float


def fsync_ms(folder: Path, *, count: int = 50) -> float:
    """Median milliseconds of a small write and its fsync."""
    times = []
    with (folder / "probe").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(b"x" * 4096)
            start = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1e3, 3)


async def request_ms(folder: Path, *, count: int = 500) -> float:
    """Median milliseconds of a request and its reply between two connections."""

    async def echo(data: bytes) -> bytes:
        return data

    times = []
    async with (
        running_bus(folder) as (server, _),
        await connect(server.url, name="server") as service,
        await connect(server.url, name="client") as client,
    ):
        await respond(service, "bench.echo", echo)
        await service.flush()
        for _ in range(count):
            start = time.perf_counter()
            await client.request("bench.echo", b"x" * 300)
            times.append(time.perf_counter() - start)
    return round(statistics.median(times) * 1e3, 3)


def peers(folder: Path) -> dict[str, float]:
    """What the machine takes at this moment for what a duty is made of."""
    folder.mkdir()
    return {"fsync_ms": fsync_ms(folder), "request_ms": asyncio.run(request_ms(folder))}


def campaign(folder: Path, rounds: int) -> Path:
    """Run it; answers its store."""
    store, suite = folder / "store", write_suite(folder / "suite")
    running = Running(
        [
            str(Path(sys.executable).with_name("ratchet")), "run", str(suite), "--store", str(store),
            "--rounds", str(rounds), *SETTINGS, "--null-every", "0", "--executors", "1",
        ],
        log=folder / "run.log",
        env={"RATCHET_TRACE_FILE": str(folder / "traces.jsonl"), "RATCHET_LOG_LEVEL": "warning"},
    )  # fmt: skip
    try:
        if running.process.wait() != 0:
            raise SystemExit(running.log.read_text())
    finally:
        running.end()
    return store


def steps(history: History) -> list[Step]:
    """The duties of all rounds in the order in which they were done."""
    found: list[Step] = []
    before = None
    for envelope, event in history.events:
        number, duty = getattr(event, "round", 0), envelope.causation.split("/")
        if before is not None and number and envelope.causation != before.causation:
            kind = duty[2] if duty[2:] else envelope.type
            found.append(Step(round=number, duty=kind, start=before.at, end=envelope.at))
        before = envelope
    return found


def busy_intervals(spans: Iterable[Span]) -> list[Interval]:
    """When an episode or a trial start was under way, without overlaps, in order of time."""
    intervals = [
        (span.start if span.name == "check_starts" else span.end - float(span.attributes["ratchet.seconds"]), span.end)
        for span in spans
        if span.name == "check_starts" or "ratchet.seconds" in span.attributes
    ]  # fmt: skip
    merged: list[Interval] = []
    for start, end in sorted(intervals):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def overhead_ms(start: float, end: float, busy: Sequence[Interval]) -> float:
    """Milliseconds of a window in which nothing of `busy` was under way."""
    inside = sum(max(0.0, min(end, b) - max(start, a)) for a, b in busy if a < end and b > start)
    return (end - start - inside) * 1e3


def round_windows(history: History) -> dict[int, Interval]:
    """Round → from its opening to the next one's (of the last: to the campaign's next event)."""
    opened, closed = (
        {getattr(event, "round", 0): i for i, (envelope, event) in enumerate(history.events) if envelope.type == kind}
        for kind in ("RoundOpened", "RoundClosed")
    )  # fmt: skip
    return {
        number: (history.events[index][0].at, history.events[closed[number] + 1][0].at)
        for number, index in opened.items()
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and 90th percentile."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 2),
        "p90": round(ordered[min(len(ordered) - 1, len(ordered) * 9 // 10)], 2),
    }


def figures(store: Path, trace: Path) -> dict[str, Any]:
    """Everything that is reported."""
    history = History(store)
    while history.look():
        pass
    spans = [msgspec.json.decode(line, type=Span) for line in trace.read_bytes().splitlines()]
    busy = busy_intervals(spans)
    windows = round_windows(history)
    walls = {number: (end - start) * 1e3 for number, (start, end) in windows.items()}
    beyond = {number: overhead_ms(start, end, busy) for number, (start, end) in windows.items()}
    kinds: dict[str, list[float]] = defaultdict(list)
    shares: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for step in steps(history):
        took = overhead_ms(step.start, step.end, busy)
        kinds[step.duty].append(took)
        shares[step.duty][step.round] += took
    rounds = len(windows)
    late = [beyond[n] for n in sorted(beyond)[-max(1, rounds // 10) :]]
    early = [beyond[n] for n in EARLY if n in beyond]
    episodes = sum("ratchet.seconds" in span.attributes for span in spans)
    return {
        "rounds": rounds,
        "events": len(history.events),
        "episodes_per_round": round(episodes / rounds, 1),
        "wall_ms": spread(list(walls.values())),
        "overhead_ms": spread(list(beyond.values())),
        "late_over_early": round(statistics.median(late) / statistics.median(early), 3) if early else None,
        "duties": {
            kind: {
                "per_round": round(len(kinds[kind]) / rounds, 1),
                **spread(kinds[kind]),
                "of_a_round": round(statistics.median(shares[kind].values()), 2),
            }
            for kind in (*DUTIES, *sorted(set(kinds) - set(DUTIES)))
            if kind in kinds
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logs.configure("benchmark")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before = peers(folder / "before")
        store = campaign(folder, options.rounds)
        found = figures(store, folder / "traces.jsonl")
        found |= {"before": before, "after": peers(folder / "after")}
    if options.json:
        print(json.dumps(found))
        return
    for when in ("before", "after"):
        print(f"{when}: fsync {found[when]['fsync_ms']} ms, request and reply {found[when]['request_ms']} ms")
    print(
        f"{found['rounds']} rounds, {found['events']} events, {found['episodes_per_round']} episodes a round"
    )
    print(f"{'':22}{'a round':>8}{'median':>9}{'p90':>9}{'of a round':>12}   (milliseconds)")
    for kind, row in found["duties"].items():
        print(f"{kind:22}{row['per_round']:>8}{row['median']:>9}{row['p90']:>9}{row['of_a_round']:>12}")
    for kind in ("overhead_ms", "wall_ms"):
        print(f"{kind.removesuffix('_ms'):30}{found[kind]['median']:>9}{found[kind]['p90']:>9}")
    print(
        f"last tenth of the rounds over rounds {EARLY.start} to {EARLY.stop - 1}: {found['late_over_early']}"
    )


if __name__ == "__main__":
    main()
