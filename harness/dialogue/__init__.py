"""An episode with a model that calls tools: it looks around by itself, its edits stand, and it says when it is done."""

import posixpath

from ratchet_runtime import ModelRefused

from dialogue.compaction import pair, shorten, tokens
from dialogue.places import locate
from tools import Tools
from transcript import HERE, Transcript

NUDGES = {
    "malformed": "Your call could not be read. Its arguments are to be one JSON object: call again.",
    "length": "Your reply was cut off at its greatest length. Say less, and call one tool.",
    "stop": "Nothing was done, as you called no tool. Call one; `finish` ends.",
}
"""What is said after a reply without a call, by how it ended."""
PATIENCE = {"malformed": 3, "length": 3}
"""Replies in a row without a call that end an episode; 2 where it is not said."""
LOW = {"replies": (5, 2, 1), "test runs": (3, 1, 0), "tokens": (0.2, 0.05)}
"""What is left when the model is told of it; tokens as a share."""


class Dialogue(Transcript):
    """The state of an episode, as rules know it, with tools and the budget beside it."""

    def __init__(self, task, model, workspace):
        super().__init__(task, model, workspace)
        self.tools = Tools(self.settings["tools"]["on"])
        self.limits = self.settings["dialogue"]
        self.skills = {path.parent.name: path for path in sorted(HERE.glob("skills/*/SKILL.md"))}
        self.left = {"replies": task.budget.model_calls, "test runs": task.budget.test_runs, "tokens": 1.0}
        self.told = dict.fromkeys(LOW, 0)
        self.tested = {}
        self.refusal = ""
        self.idle = 0
        self.ids = set()
        self.reminded = False

    def open(self):
        """Say what there is."""
        super().open()
        self.left["test runs"] -= 1

    def ask(self):
        """Ask the model what to do next: its calls, in their order, until the episode is over."""
        pair(self.messages)
        self.warn()
        self.flush()
        reply = self.complete()
        self.left["replies"] -= 1
        self.left["tokens"] = 1 - reply.get("spent", 0) / max(1, self.task.budget.tokens)
        self.messages.append(reply)
        calls = reply.get("tool_calls") or []
        for number, call in enumerate(calls):
            if not call["id"] or call["id"] in self.ids:
                call["id"] = f"call_{self.left['replies']}_{number}"
            self.ids.add(call["id"])
        if calls:
            self.idle = 0
        else:
            reply["content"] = reply["content"] or "(nothing)"
            self.nudge(reply.get("finish_reason", "stop"))
        return (call for call in calls if not self.done)

    def complete(self):
        """The model's reply; older answers are cut first where the conversation fills its context."""
        room = self.model.context
        if room and tokens(self.messages) > self.limits["full"] * room:
            shorten(self.messages, self.limits["rest"] * room)
        try:
            return self.model.complete(self.messages, self.tools.offered(self), **self.decoding)
        except ModelRefused:  # its context may be smaller than we were told
            self.left["replies"] -= 1
            if not shorten(self.messages, 1):
                raise
            return self.model.complete(self.messages, self.tools.offered(self), **self.decoding)

    def nudge(self, reason):
        """Ask for a call where there was none; whoever still calls nothing, or has nothing left to do, is done."""
        self.idle += 1
        done = reason not in PATIENCE and not self.failing(self.report)
        if done or self.idle >= PATIENCE.get(reason, 2):
            self.done = True
        else:
            self.note(NUDGES.get(reason, NUDGES["stop"]))

    def warn(self):
        """Tell the model what runs low, each time that it does."""
        for name, marks in LOW.items():
            left = self.left[name]
            crossed = sum(left <= mark for mark in marks)
            if crossed > self.told[name]:
                self.note(f"left: {left:.0%} of the tokens" if name == "tokens" else f"left: {left} {name}")
            self.told[name] = crossed
        if self.left["replies"] == 1:
            self.note("This is the last reply: make the edit that is surest, or finish.")

    # Edits

    def propose(self, arguments):
        """Take down an edit, at the place that it means."""
        super().propose(arguments)
        edit = self.edit
        edit.path = self.path(edit.path)
        if edit.path not in self.task.solution_files:
            self.refusal = f"only these files may be edited: {', '.join(self.task.solution_files)}"
        elif edit.path not in self.workspace.files():
            self.refusal = f"there is no file {edit.path}"
        else:
            self.refusal = locate(edit, self.workspace.read(edit.path))

    def apply(self):
        """Make the edit; says why if that cannot be done."""
        return self.refusal or super().apply()

    def try_edit(self):
        """Apply the edit and run the tests, so long as there are runs left."""
        if self.left["test runs"] > 0:
            super().try_edit()
            if self.edit.report is not None:
                self.left["test runs"] -= 1
                self.tested = self.workspace.changed()
            return
        refusal = self.apply()
        self.edit.discarded = bool(refusal)
        place = f"{self.edit.path}:{self.edit.line}"
        self.answer(f"edit not applied: {refusal}" if refusal else f"edit made, and not tested: {place}")

    def run_tests(self):
        """Have a report on the files as they are; says why if there is none."""
        if self.workspace.changed() == self.tested:
            return ""
        if self.left["test runs"] <= 0:
            return "[no test run is left: this was found before the latest edits]"
        self.left["test runs"] -= 1
        self.report, self.tested = self.workspace.test(), self.workspace.changed()
        return ""

    def settle(self):
        """Let the edit stand: to take it back is the model's decision."""
        edit = self.edit
        if edit.report is not None:
            self.report = edit.report
            self.notes += [f"fixed: {name}" for name in edit.fixed]
            self.notes.append("edit kept")
            if not self.failing(edit.report):
                self.notes.append("All visible tests pass. If the request asks for no more, call `finish`.")
        self.flush()

    def close(self):
        """The budget is spent: what was done stands."""

    # What is said

    def system(self):
        """The prompts, the skills by name, the memory."""
        said = self.texts("prompts/system.md", "prompts/tools.md")
        if self.skills:
            lines = [f"- {name}: {_headline(path.read_text())}" for name, path in self.skills.items()]
            said.append("\n".join(["Skills, to be read with the tool `skill` when they fit:", *lines]))
        return said + self.texts("memory/*.md")

    def program(self):
        """The files that may be edited, so far as there is room; the others are named."""
        said, room = [], self.limits["shown"]
        for path in self.task.solution_files:
            shown = self.shown(path)
            room -= len(shown)
            named = f"{path} has {shown.count(chr(10)) - 2} lines: `read` shows them."
            said.append(shown if room >= 0 else named)
        return said

    def answer(self, *lines):
        """Answer a call, at the length that an answer may have."""
        text, most = "\n".join(lines), self.limits["answer"]
        if len(text) > most:
            end = max(text.rfind("\n", 0, most), most // 2)
            text = f"{text[:end]}\n[cut: {len(text) - end} of {len(text)} characters are left out]"
        super().answer(text)

    def path(self, given):
        """A path as the workspace has it; one that leads out of it is none of its files."""
        return posixpath.relpath(posixpath.join(self.workspace.root, given), self.workspace.root)


def _headline(text):
    """The first line that says something."""
    return next((line.lstrip("# ") for line in text.split("\n") if line.strip("# ")), "")[:120]
