"""A long history: how quick it is replayed, beside the library eventsourcing, and what a million events cost.

    python -m benchmarks.history                    a stream of 10,000 events, and a ledger of 100,000
    python -m benchmarks.history --events 1000000   the same with a million: about ten minutes, 1 GiB of disk
    python -m benchmarks.history --keep FOLDER      leave the ledger there, and use it again the next time

A ledger's events are those of campaigns on a synthetic suite (verdicts computed, hashes real), spread over lineages of
five thousand events, and one of forty thousand. The peer is left out where it is not installed (`pip install
eventsourcing`).
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from bus import logs
from contracts.envelope import NewEvent
from contracts.lineage import Lineage, fold
from eventstore.audit.testing import synthetic_campaign
from eventstore.database import drafted, open_reader
from eventstore.rows import BLOB, COLUMNS, HEAD, INSERT, envelope, pack, values
from eventstore.snapshots import Snapshotter, code, restore
from eventstore.sqlite import SqliteStore
from eventstore.testing import MemoryStore

STREAM_EVENTS = 10_000
LINEAGE = 5_000
PAYLOAD = json.dumps({"text": "x" * 280}).encode()


class _Measured(msgspec.Struct):
    text: str


def median_seconds(work: Callable[[], object], times: int = 5) -> float:
    """Median seconds of a call."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


# A stream of ten thousand ------------------------------------------------------------------------------------


async def _fill_stream(folder: Path) -> None:
    async with SqliteStore.open(folder, create=True) as store:
        for start in range(0, STREAM_EVENTS, 1000):
            some = [NewEvent(event_id=f"{start + n}", type="Measured", payload=PAYLOAD) for n in range(1000)]
            await store.append("measured/one", start, some)


def replayed(folder: Path) -> dict[str, float]:
    """Events a second: read, decoded, every hash computed again, folded; in turns with the peer."""
    asyncio.run(_fill_stream(folder / "ours"))
    decode = msgspec.json.Decoder(_Measured).decode
    figures: dict[str, float] = {}
    with closing(open_reader(folder / "ours")) as connection:
        sql = f"SELECT {COLUMNS} FROM events WHERE stream = ? ORDER BY version"

        def ours() -> int:
            previous, count = bytes(32), 0
            for row in connection.execute(sql, ("measured/one",)):
                event = envelope(row)
                if event.prev_hash != previous or not event.sound:
                    raise RuntimeError("not sound")
                previous = event.hash
                count += bool(decode(event.payload).text)
            return count

        def raw() -> int:
            return sum(1 for _ in connection.execute(sql, ("measured/one",)))

        figures["raw rows"] = STREAM_EVENTS / median_seconds(raw)
        figures["read, decode, verify, fold"] = STREAM_EVENTS / median_seconds(ours)
        try:
            from benchmarks.peer_eventsourcing import fill
        except ImportError:
            return figures
        app, name = fill(folder, STREAM_EVENTS)
        figures["eventsourcing"] = STREAM_EVENTS / median_seconds(lambda: app.repository.get(name))
        figures["read, decode, verify, fold, again"] = STREAM_EVENTS / median_seconds(ours)
    return figures


# A long ledger -----------------------------------------------------------------------------------------------


def grow(folder: Path, events: int) -> None:
    """Make a ledger of lineages of campaigns of thirty rounds; the last one, `main`, is as long as eight others.

    Campaigns are played in memory, where they are quick, and their events are put into the file as they are: states
    hold positions and times, so both have to stay what they were.
    """
    with drafted(folder) as connection:
        position = number = 0
        while position < events:
            number += 1
            left = events - position
            name, wanted = (f"long-{number}", LINEAGE) if left > 9 * LINEAGE else ("main", left)
            memory = MemoryStore(start=position)
            asyncio.run(_play(memory, name, wanted, number))
            made = memory.events[:wanted]
            connection.executemany(INSERT, map(values, made))
            last = made[-1]
            connection.execute(HEAD, (last.stream, last.version, last.hash))
            for blob, data in memory.blobs.items():
                connection.execute(BLOB, (blob, len(data), *pack(data)))
            position = last.position
            print(f"{position:,} events", file=sys.stderr, flush=True)


async def _play(memory: MemoryStore, name: str, wanted: int, seed: int) -> None:
    while len(memory.events) < wanted:
        await synthetic_campaign(memory, rounds=30, seed=seed * 1000 + len(memory.events), name=name)


_RUN = """
import resource, subprocess, sys
code = subprocess.call(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def command(folder: Path, *words: str) -> dict[str, float]:
    """Seconds and peak memory (MiB) of one of our commands, a process of its own.

    A small process starts it: a child's peak begins with what its parent had.
    """
    ratchet = str(Path(sys.executable).with_name("ratchet"))
    line = [sys.executable, "-I", "-S", "-c", _RUN, ratchet, *words, "--store", str(folder)]
    start = time.perf_counter()
    done = subprocess.run(line, check=True, capture_output=True, text=True)
    code, peak = map(int, done.stdout.split())
    if code:
        raise SystemExit(f"ratchet {' '.join(words)} ended with {code}")
    return {"seconds": round(time.perf_counter() - start, 2), "mib": round(peak / 1024)}


async def starts(folder: Path) -> dict[str, float]:
    """Seconds until an agent that begins has the state of `main`: folded whole, and from the service's snapshot."""
    stream = "lineage/main"
    async with SqliteStore.open(folder) as store:
        started = time.perf_counter()
        whole = await _fold(store, stream, Lineage())
        folding = time.perf_counter() - started
        taking = asyncio.create_task(Snapshotter(store).run())
        while (  # noqa: ASYNC110 (a file rings no bell)
            (found := await store.snapshot(stream)) is None
            or found.code != code()
            or found.version < whole.version - 2000
        ):
            await asyncio.sleep(0.05)
        taking.cancel()
        await asyncio.wait({taking})
        started = time.perf_counter()
        state = await _fold(store, stream, await restore(store, stream))
        restoring = time.perf_counter() - started
    if state != whole:
        raise RuntimeError("a snapshot and its tail came to something else")
    return {
        "events of main": whole.version, "folded whole": round(folding, 2), "from a snapshot": round(restoring, 3)
    }  # fmt: skip


async def _fold(store: SqliteStore, stream: str, state: Lineage) -> Lineage:
    more = True
    while more:
        page = await store.read(stream, after=state.version, limit=2000)
        for event in page.events:
            state = fold(state, event)
        more = page.more
    return state


COMMANDS = (
    ("streams",),
    ("log", "--limit", "20"),
    ("log", "--stream", "lineage/main", "--type", "ChangeKept", "--limit", "20"),
    ("show", "1000"),
    ("show", "r1"),
    ("blame", "harness.toml"),
    ("versions",),
    ("verify", "--bytes"),
    ("replay", "--check"),
)


def long_ledger(folder: Path, events: int) -> dict[str, Any]:
    """What a ledger of so many events costs."""
    if not (folder / "ledger.db").exists():
        grow(folder, events)
    size = (folder / "ledger.db").stat().st_size
    started = time.perf_counter()
    with closing(open_reader(folder)) as connection:
        blobs = connection.execute("SELECT coalesce(sum(length(data)), 0) FROM blobs").fetchone()[0]
        payloads, count = connection.execute("SELECT sum(length(payload)), count(*) FROM events").fetchone()
    figures: dict[str, Any] = {
        "events": count,
        "bytes an event on disk, blobs left out": round((size - blobs) / count),
        "bytes of payload an event": round(payloads / count),
    }
    started = time.perf_counter()
    asyncio.run(_open(folder))
    figures["open to write, seconds"] = round(time.perf_counter() - started, 3)
    figures["start"] = asyncio.run(starts(folder))
    for words in COMMANDS:
        figures[" ".join(words)] = command(folder, *words)
    return figures


async def _open(folder: Path) -> None:
    async with SqliteStore.open(folder) as store:
        await store.read_all(limit=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--events", type=int, default=100_000)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    os.environ.setdefault("RATCHET_LOG_LEVEL", "warning")
    logs.configure("benchmark")
    with tempfile.TemporaryDirectory() as name:
        figures = {
            "replay": {key: round(value) for key, value in replayed(Path(name)).items()},
            "ledger": long_ledger(options.keep or Path(name) / "long", options.events),
        }
    if options.json:
        print(json.dumps(figures))
        return
    for part in figures.values():
        for key, value in part.items():
            print(f"{key:<60}{value}")


if __name__ == "__main__":
    main()
