import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from bus import Done, Job, JobQueue, Worker, connect, respond, semconv, traces
from bus.testing import running_bus


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    assert traces.configure("test", exporter)
    yield exporter
    traces.shutdown()


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("RATCHET_TRACE_FILE", raising=False)


@pytest.mark.usefixtures("no_environment")
def test_off_unless_asked_for() -> None:
    assert not traces.configure("test")
    headers: dict[str, str] = {}
    with traces.span("nothing", **{semconv.GEN_AI_REQUEST_MODEL: "m"}) as span:
        span.set_attribute("a", 1)
        traces.inject(headers)
        assert traces.current_traceparent() == ""
    assert headers == {}
    code = "import sys, bus.traces, bus.connection; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_one_tree_across_connections(tmp_path: Path, spans: InMemorySpanExporter) -> None:
    async def handler(_: bytes) -> bytes:
        with traces.span("inner"):
            return b""

    async def do(_: Job) -> bytes:
        with traces.span("model call"):
            return b"r"

    async def main() -> None:
        async with running_bus(tmp_path) as (server, bus), await connect(server.url, name="b") as other:
            await respond(other, "svc", handler)
            await other.flush()
            worker = Worker(other, ["episode"], do)
            working = asyncio.create_task(worker.run())
            with traces.span("duty", **{semconv.RATCHET_DUTY: "d1"}):
                await bus.request("svc")
                assert await JobQueue(bus).collect("episode", {"a": b"x"}) == {"a": Done(data=b"r")}
            worker.stop()
            await working

    asyncio.run(main())
    found = {span.name: span for span in spans.get_finished_spans()}
    assert set(found) == {"duty", "process svc", "inner", "process jobs.episode", "model call"}
    contexts = {name: context for name, span in found.items() if (context := span.get_span_context())}
    ids = {name: context.span_id for name, context in contexts.items()}
    parents = {name: span.parent.span_id for name, span in found.items() if span.parent is not None}
    assert parents == {
        "process svc": ids["duty"],
        "inner": ids["process svc"],
        "process jobs.episode": ids["duty"],
        "model call": ids["process jobs.episode"],
    }
    assert len({context.trace_id for context in contexts.values()}) == 1
    assert (found["duty"].attributes or {})[semconv.RATCHET_DUTY] == "d1"


@pytest.mark.usefixtures("spans")
def test_what_is_not_a_traceparent_starts_a_new_trace() -> None:
    assert traces.extract({"traceparent": "rubbish"}) == ""
    assert traces.extract(None) == ""
    with traces.span("a") as _, traces.span("b", "00-zz"):
        assert len(traces.current_traceparent()) == 55
    zeros = f"00-{'0' * 32}-{'0' * 16}-01"
    with traces.span("c", zeros):
        assert "0" * 32 not in traces.current_traceparent()


WRITER = """
import sys
from bus import traces
assert traces.configure(sys.argv[1])
for index in range(200):
    with traces.span("outer", text="x" * 2000), traces.span(f"inner {index}"):
        pass
traces.shutdown()
"""


def test_many_processes_share_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "deep" / "traces.jsonl"
    monkeypatch.setenv("RATCHET_TRACE_FILE", str(file))
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)

    def write(name: str) -> None:
        subprocess.run([sys.executable, "-c", WRITER, name], check=True)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, ("a", "b", "c")))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(lines) == 3 * 400
    assert {line["service"] for line in lines} == {"a", "b", "c"}
    known = {line["span"]: line for line in lines}
    inner = [line for line in lines if line["parent"]]
    assert len(inner) == 600
    assert all(known[line["parent"]]["trace"] == line["trace"] for line in inner)


def test_a_failure_is_seen_in_the_span(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "t.jsonl"
    monkeypatch.setenv("RATCHET_TRACE_FILE", str(file))
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    traces.configure("x")
    with pytest.raises(ValueError, match="bad"), traces.span("fails"):
        raise ValueError("bad")
    traces.shutdown()
    assert json.loads(file.read_text())["status"] == "error"
