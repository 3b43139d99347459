"""What has happened in an episode so far: the conversation, the edits, and what the tests said of each."""

import tomllib
from pathlib import Path

from rules import Rules
from tools import Tools

HERE = Path(__file__).parent


class Edit:
    """One edit that the model asked for, and what became of it."""

    def __init__(self, arguments):
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
        self.rules = Rules(self.settings)
        self.tools = Tools(["edit"])
        self.decoding = dict(self.settings["decoding"])
        self.messages = []
        self.call = ""
        self.edits = []
        self.edit = None
        self.report = None
        self.notes = []
        self.done = False

    def open(self):
        """Say what there is: instructions, the report, the program, its tests' first results."""
        self.messages.append({"role": "system", "content": "\n\n".join(self.system())})
        shown = [self.task.instruction, *self.program()]
        self.report = self.workspace.test()
        shown.append(self.summary(self.report))
        self.messages.append({"role": "user", "content": "\n\n".join(shown)})
        self.done = not self.failing(self.report)

    def ask(self):
        """Ask the model for the next edit: one call, or none when it has none to offer."""
        self.flush()
        reply = self.model.complete(self.messages, self.tools.offered(self), **self.decoding)
        self.messages.append(reply)
        calls = [call for call in reply.get("tool_calls", ()) if call["name"] == "edit"]
        self.done = self.done or not calls
        return calls[:1]

    def propose(self, arguments):
        """Take down an edit that the model asked for."""
        self.edit = Edit(arguments)
        self.edits.append(self.edit)

    def try_edit(self):
        """Apply the edit and run the tests."""
        edit = self.edit
        refusal = self.apply()
        if refusal:
            edit.discarded = True
            self.answer(f"edit not applied: {refusal}")
            return
        report = self.workspace.test()
        was, now = set(self.failing(self.report)), set(self.failing(report))
        edit.report = report
        edit.fixed, edit.broken = sorted(was - now), sorted(now - was)
        edit.effect = "broke" if edit.broken else "helped" if edit.fixed else "useless"
        self.answer(f"edit applied: {edit.path}:{edit.line}", self.summary(report))

    def apply(self):
        """Put the new lines where the old ones stand; says why if that cannot be done."""
        edit = self.edit
        before = self.workspace.read(edit.path) if edit.path in self.workspace.files() else None
        lines = before.split("\n") if before is not None else []
        old = edit.old.split("\n")
        at = edit.line - 1
        if before is None or lines[at : at + len(old)] != old:
            return "the old text does not stand there"
        self.before = before
        self.workspace.write(edit.path, "\n".join(lines[:at] + edit.new.split("\n") + lines[at + len(old) :]))
        return ""

    def settle(self):
        """Undo the edit unless the tests pass now or a rule wants it kept."""
        edit = self.edit
        if edit.report is None:
            self.flush()
            return
        if edit.fixed and not edit.broken:
            self.notes += [f"fixed: {name}" for name in edit.fixed]
        passes = not self.failing(edit.report)
        self.done = self.done or passes
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

    def system(self):
        """What is said before anything else: the prompt, all skills, the memory."""
        return self.texts("prompts/system.md", "skills/*/SKILL.md", "memory/*.md")

    def texts(self, *patterns):
        """Texts of the harness, by pattern after pattern, each in the order of paths."""
        return [path.read_text() for pattern in patterns for path in sorted(HERE.glob(pattern))]

    def program(self):
        """What is shown of the program: all of it."""
        return [self.shown(path) for path in self.task.solution_files]

    def answer(self, *lines):
        """Answer the model's call."""
        content = "\n".join(lines)
        self.messages.append({"role": "tool", "tool_call_id": self.call, "content": content})

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
