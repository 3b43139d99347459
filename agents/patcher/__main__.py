"""`python -m agents.patcher`."""

from agents.process import agent_command


async def serve(url: str, _store: str) -> None:
    """Patch until cancelled."""
    from agents.patcher.policy import Patcher
    from agents.role import run_policy
    from agents.sandbox import Sandbox

    with Sandbox() as sandbox:
        # While one change is started on trial, the ones before and after it are stored and appended.
        await run_policy(Patcher(sandbox.check_starts), url, slots=4)


if __name__ == "__main__":
    agent_command("patcher", serve, "Makes planned changes and smoke-tests them in the sandbox.")()
