"""What the gateway costs: calls over the bus, reserved and settled in the ledger, beside the openai client by itself.

    python -m benchmarks.gateway [--calls 400] [--json]

The endpoint answers at once, so that nothing but the way to it is measured: the openai library alone, our client of an
endpoint, and a model behind the gateway, with 1, 8 and 32 callers at once. Real answers take seconds.
"""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import click

from agents.cli.request import request_campaign
from agents.cli.supervisor import Supervisor, children
from agents.models.endpoint import EndpointModel, parse
from agents.models.remote import RemoteModel
from agents.models.scripted import ScriptedServer, say
from agents.tasks.suite import load_suite
from agents.testing import write_suite
from bus.connection import connect
from bus.server import read_url
from bus.streams import ensure_streams
from contracts.chat import ChatRequest, Message
from contracts.models import Charge, Models
from contracts.settings import CampaignSettings
from eventstore.client import LedgerClient

TEXT = "Find the mistake in this program. " * 60
CALLERS = (1, 8, 32)
Call = Callable[[ChatRequest], Any]


def request(number: int) -> ChatRequest:
    """A request of two kilobytes, unlike every other."""
    return ChatRequest(messages=(Message(role="user", content=f"{number}: {TEXT}"),), noise=str(number))


async def timed(call: Call, numbers: range, callers: int) -> dict[str, float]:
    """Calls a second, and the median milliseconds of one."""
    waiting = iter(numbers)
    taken: list[float] = []

    async def caller() -> None:
        for number in waiting:
            began = time.perf_counter()
            await anyio.to_thread.run_sync(call, request(number))
            taken.append(time.perf_counter() - began)

    began = time.perf_counter()
    async with anyio.create_task_group() as tasks:
        for _ in range(callers):
            tasks.start_soon(caller)
    seconds = time.perf_counter() - began
    return {
        "calls_per_s": round(len(taken) / seconds, 1),
        "median_ms": round(1e3 * statistics.median(taken), 2),
    }


def openai_alone(url: str) -> Call:
    """The library by itself."""
    import openai

    client = openai.OpenAI(api_key="none", base_url=url, max_retries=0)

    def call(asked: ChatRequest) -> Any:
        messages: Any = [{"role": m.role, "content": m.content} for m in asked.messages]
        return client.chat.completions.create(model="scripted", messages=messages)

    return call


async def measure(calls: int) -> dict[str, dict[str, dict[str, float]]]:
    """Way → callers → figures."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    with ScriptedServer([say("Here it is.")]) as server, tempfile.TemporaryDirectory() as folder:
        spec = f"openai:scripted@{server.url}"
        store = Path(folder) / "store"
        wanted = [
            child for child in children(store, gateway=()) if child.name in ("bus", "ledger", "gateway")
        ]
        async with anyio.create_task_group() as tasks:
            await tasks.start(Supervisor(store, wanted).run)
            async with await connect(read_url(store) or "", name="bench", deadline=30.0) as bus:
                await ensure_streams(bus)
                suite = load_suite(str(write_suite(Path(folder) / "suite")))
                settings = CampaignSettings(models=Models(harness=spec))
                campaign, _ = await request_campaign(LedgerClient(bus), suite, settings)
                ways: dict[str, Call] = {
                    "openai": openai_alone(server.url),
                    "endpoint": EndpointModel(parse(spec)).complete,
                    "gateway": RemoteModel(bus, spec, Charge(campaign=campaign.id)).complete,
                }
                begin = 0
                for name, call in ways.items():
                    await timed(call, range(begin, begin + 20), 4)
                    for callers in CALLERS:
                        begin += 10_000
                        figures = await timed(call, range(begin, begin + calls), callers)
                        found.setdefault(name, {})[str(callers)] = figures
            tasks.cancel_scope.cancel()
    return found


@click.command()
@click.option("--calls", default=400, show_default=True, help="Calls each way.")
@click.option("--json", "as_json", is_flag=True, help="JSON, for programs.")
def main(calls: int, as_json: bool) -> None:
    """Measure what the way to a model costs."""
    os.environ.setdefault("RATCHET_LOG_LEVEL", "error")
    found = anyio.run(measure, calls)
    if as_json:
        click.echo(json.dumps(found))
        return
    for callers in CALLERS:
        click.echo(f"{callers} at once")
        for way, figures in found.items():
            each = figures[str(callers)]
            click.echo(f"  {way:10} {each['calls_per_s']:8.1f} calls/s   median {each['median_ms']:7.2f} ms")


if __name__ == "__main__":
    main()
