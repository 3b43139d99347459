"""The scaffold: show the program, ask the model, do what it calls for, and ask again."""

from ratchet_runtime import BudgetExceeded

from dialogue import Dialogue
from transcript import Transcript


def solve(task, model, workspace):
    """Work on one task until its visible tests pass, the model has finished, or the budget is spent."""
    run = (Dialogue if model.tools else Transcript)(task, model, workspace)
    try:
        run.open()
        run.rules.fire("start", run)
        while not run.done:
            run.rules.fire("step", run)
            for call in run.ask():
                run.tools.use(run, call)
    except BudgetExceeded:
        run.close()
