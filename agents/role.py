"""How a role becomes a process: one line in its `__main__`."""

from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import click

from agents.process import agent_command
from agents.work import Desk, Policy


async def run_policy(
    policy: Policy,
    url: str,
    *,
    slots: int = 2,
    beside: Callable[[Desk], Coroutine[Any, Any, None]] | None = None,
) -> None:
    """Join the bus and serve a policy on the lineages until cancelled, with something running `beside` it."""
    from agents.categories import LINEAGES
    from agents.runner import Runner, instance_name
    from agents.work import desk_for
    from bus.connection import connect
    from bus.streams import ensure_streams

    instance = instance_name(policy.role)
    async with await connect(url, name=instance) as bus:
        await ensure_streams(bus)
        desk = desk_for(bus, policy.role, instance)
        async with anyio.create_task_group() as tasks:
            if beside is not None:
                tasks.start_soon(beside, desk)
            await Runner(policy, desk, LINEAGES, slots=slots).run()


def policy_command(policy: Policy, doc: str, *, slots: int = 2) -> click.Command:
    """The command of an agent that lives by its policy alone."""

    async def serve(url: str, _store: str) -> None:
        await run_policy(policy, url, slots=slots)

    return agent_command(policy.role, serve, doc)
