"""What has happened in an episode so far: the conversation, the edits, and what the tests said of each."""

import tomllib
from pathlib import Path

HERE = Path(__file__).parent

EDIT_TOOL = {
    "name": "edit",
    "description": "Replace lines of a file.",
    "parameters": {
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "line": {"type": "integer", "minimum": 1},
            "old": {"type": "string"},
            "new": {"type": "string"},
        },
        "required": ["path", "line", "old", "new"],
    },
}


class Edit:
    """One edit that the model asked for, and what became of it."""

    def __init__(self, call):
        arguments = call["arguments"]
        self.call = call["id"]
        self.path = str(arguments.get("path", ""))
        self.line = int(arguments.get("line", 0))
        self.old = str(arguments.get("old", ""))
        self.new = str(arguments.get("new", ""))
        self.discarded = False
        self.keep = False
        self.effect = "useless"
        self.report = None
        self.fixed = []
        self.broken = []

    @property
    def same(self):
        """What makes two edits the same one."""
        return (self.path, self.old.strip(), self.new.strip())


class Transcript:
    """The state of an episode, in words that rules can be written in."""

    def __init__(self, task, model, workspace):
        self.task = task
        self.model = model
        self.workspace = workspace
        self.settings = tomllib.loads((HERE / "harness.toml").read_text())
        self.decoding = dict(self.settings["decoding"])
        self.messages = []
        self.edits = []
        self.edit = None
        self.report = None
        self.notes = []
        self.done = False

    def open(self):
        """Say what there is: instructions, the report, the program, its tests' first results."""
        system = [(HERE / "prompts" / "system.md").read_text()]
        system += [path.read_text() for path in sorted((HERE / "skills").glob("*/SKILL.md"))]
        system += [path.read_text() for path in sorted((HERE / "memory").glob("*.md"))]
        self.messages.append({"role": "system", "content": "\n\n".join(system)})
        shown = [self.task.instruction, *(self.shown(path) for path in self.task.solution_files)]
        self.report = self.workspace.test()
        shown.append(self.summary(self.report))
        self.messages.append({"role": "user", "content": "\n\n".join(shown)})
        self.done = not self.failing(self.report)

    def ask(self):
        """Ask the model for the next edit; False when it has none to offer."""
        self.flush()
        reply = self.model.complete(self.messages, [EDIT_TOOL], **self.decoding)
        self.messages.append(reply)
        calls = [call for call in reply.get("tool_calls", ()) if call["name"] == "edit"]
        if not calls:
            return False
        self.edit = Edit(calls[0])
        self.edits.append(self.edit)
        return True

    def try_edit(self):
        """Apply the edit and run the tests."""
        edit = self.edit
        before = self.workspace.read(edit.path) if edit.path in self.workspace.files() else None
        lines = before.split("\n") if before is not None else []
        old = edit.old.split("\n")
        at = edit.line - 1
        if before is None or lines[at : at + len(old)] != old:
            edit.discarded = True
            self.answer("edit not applied: the old text does not stand there")
            return
        self.before = before
        self.workspace.write(edit.path, "\n".join(lines[:at] + edit.new.split("\n") + lines[at + len(old) :]))
        report = self.workspace.test()
        was, now = set(self.failing(self.report)), set(self.failing(report))
        edit.report = report
        edit.fixed, edit.broken = sorted(was - now), sorted(now - was)
        edit.effect = "broke" if edit.broken else "helped" if edit.fixed else "useless"
        self.done = self.done or not now
        self.answer(f"edit applied: {edit.path}:{edit.line}", self.summary(report))

    def settle(self):
        """Undo the edit unless the tests pass now or a rule wants it kept."""
        edit = self.edit
        if edit.report is None:
            self.flush()
            return
        if edit.fixed and not edit.broken:
            self.notes += [f"fixed: {name}" for name in edit.fixed]
        passes = not self.failing(edit.report)
        if passes or edit.keep:
            self.report = edit.report
            if not passes:
                self.notes.append("edit kept")
                self.notes.append(self.shown(edit.path))
        else:
            self.workspace.write(edit.path, self.before)
            self.notes.append("edit undone")
        self.flush()

    def close(self):
        """The budget is spent: leave the program as the last settled edit left it."""
        edit = self.edit
        if edit is not None and edit.report is None and not edit.discarded and hasattr(self, "before"):
            self.workspace.write(edit.path, self.before)

    # What is said

    def answer(self, *lines):
        """Answer the model's call."""
        content = "\n".join(lines)
        self.messages.append({"role": "tool", "tool_call_id": self.edit.call, "content": content})

    def note(self, line):
        """Say something with the latest message of ours."""
        self.notes.append(line)

    def flush(self):
        """Add what was noted to the latest message of ours."""
        if self.notes:
            last = self.messages[-1]
            text = "\n".join(self.notes)
            if last["role"] in ("tool", "user"):
                last["content"] += "\n" + text
            else:
                self.messages.append({"role": "user", "content": text})
            self.notes = []

    def shown(self, path):
        """A file as a fenced block."""
        return f"```python {path}\n{self.workspace.read(path)}\n```"

    def summary(self, report):
        """How many tests passed, and which failed."""
        failing = self.failing(report)
        if report["status"] != "ok":
            return f"the tests did not run: {report['status']} {report.get('detail', '')}".strip()
        head = f"{len(report['outcomes']) - len(failing)} passed, {len(failing)} failed"
        return "\n".join([head, *(f"FAILED {name}" for name in failing)])

    def failing(self, report):
        """Ids of the tests that do not pass."""
        if report["status"] != "ok":
            return ["(the tests did not run)"]
        return [outcome["id"] for outcome in report["outcomes"] if not outcome["passed"]]
