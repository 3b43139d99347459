"""`python -m agents.monitor`."""

from agents.process import agent_command


async def serve(url: str, _store: str) -> None:
    """Watch over campaigns until cancelled."""
    from agents.monitor.liveness import watch
    from agents.monitor.policy import Monitor
    from agents.role import run_policy

    await run_policy(Monitor(), url, beside=watch)


if __name__ == "__main__":
    agent_command(
        "monitor", serve, "Starts and ends campaigns, asks a person, and notices who falls silent."
    )()
