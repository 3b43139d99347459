"""`python -m agents.executor`."""

from pathlib import Path

import anyio

from agents.process import agent_command

CACHE = "reports.cache"
"""File in the store through which the executors of a machine share test reports."""


async def serve(url: str, store: str) -> None:
    """Run episodes and solve published tasks until cancelled."""
    from agents.categories import TASKS
    from agents.executor.policy import Executor
    from agents.executor.reports import Reports
    from agents.runner import Runner, instance_name
    from agents.sandbox import Sandbox
    from agents.work import desk_for
    from bus.connection import connect
    from bus.streams import LEASE_TTL, ensure_streams
    from bus.worker import work

    instance = instance_name("executor")
    with Sandbox() as sandbox:
        await anyio.to_thread.run_sync(sandbox.start)
        async with await connect(url, name=instance) as bus:
            await ensure_streams(bus)
            desk = desk_for(bus, "executor", instance)
            file = Path(store) / CACHE if store else None  # on another machine there is no store
            executor = Executor(desk, Reports(sandbox, file))
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(Runner(executor, desk, TASKS, slots=1).run)
                await work(bus, ["episode"], executor.episode, slots=1, prefetch=2, ack_wait=2 * LEASE_TTL)


if __name__ == "__main__":
    agent_command(
        "executor", serve, "Runs episodes from the work queue, and solves tasks that users publish."
    )()
