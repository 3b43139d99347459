"""End the episode."""

description = "End your work. What stands in the files then is what counts."
parameters = {"type": "object", "properties": {}}


def call(run, arguments):  # noqa: ARG001 - every tool takes arguments
    """Be done; if tests still fail, say so first, once."""
    failing = run.failing(run.report)
    if failing and not run.reminded and run.left["replies"] > 0:
        run.reminded = True
        names = ", ".join(failing[:5]) + (" …" if len(failing) > 5 else "")
        return f"{len(failing)} visible tests still fail ({names}). Call `finish` again to end all the same."
    run.done = True
    return f"finished, and {len(failing)} visible tests fail"
