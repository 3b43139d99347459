"""Change the program, run the tests, and hear what that did to them."""

description = (
    "Replace lines of a file. `old` is the line or lines as they stand, whole, `new` what takes their place. "
    "The tests run afterwards, and the answer says what they showed."
)
parameters = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "line": {"type": "integer", "minimum": 1, "description": "Number of the first of the old lines."},
        "old": {"type": "string"},
        "new": {"type": "string"},
    },
    "required": ["path", "old", "new"],
}


def call(run, arguments):
    """Let the rules have their say, make the edit and try it; what did not help is undone."""
    run.propose(arguments)
    run.rules.fire("proposed", run)
    if run.edit.discarded:
        return "edit not applied"
    run.try_edit()
    run.rules.fire("tested", run)
    run.rules.fire(run.edit.effect, run)
    run.settle()
    return None
