"""The scaffold: show the program, ask for an edit, run the tests, undo what did not mend them, ask again."""

from ratchet_runtime import BudgetExceeded

from rules import Rules
from transcript import Transcript


def solve(task, model, workspace):
    """Work on one task until its visible tests pass or the budget is spent."""
    run = Transcript(task, model, workspace)
    rules = Rules(run.settings)
    try:
        run.open()
        rules.fire("start", run)
        while not run.done:
            rules.fire("step", run)
            if not run.ask():
                break
            rules.fire("proposed", run)
            if run.edit.discarded:
                run.answer("edit not applied")
                continue
            run.try_edit()
            rules.fire("tested", run)
            rules.fire(run.edit.effect, run)
            run.settle()
    except BudgetExceeded:
        run.close()
