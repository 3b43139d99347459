# Without pathlib, which would double the start of a cold guest:
# ruff: noqa: PTH103, PTH118, PTH120, PTH123
"""What a harness works with. A harness imports this module as `ratchet_runtime`.

`solve(task, model, workspace)` gets a `Task`, a `Model` and a `Workspace`. It may raise anything: what counts
is the content of the workspace when it ends.
"""

import os
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any

MAX_FILE_BYTES = 1 << 20
"""A workspace file larger than this is not seen, and not kept."""


class HarnessError(Exception):
    """Base of what the host answers instead of a result."""


class BudgetExceeded(HarnessError):
    """Raised when the task's model calls, test runs or tokens are spent. A harness that lets it pass has finished."""


class ModelRefused(HarnessError):
    """Raised when the model, or its provider, declined to answer this request."""


class Task(SimpleNamespace):
    """What is asked.

    Attributes:
        id: the task's name.
        instruction: what to do, in words.
        solution_files: the only files of the workspace that are graded.
        budget: `model_calls`, `test_runs` and `tokens` that the episode may spend.
    """


class Model:
    """The language model, at the other end of a pipe.

    Attributes:
        tools: whether it calls other tools than `edit`, several in one reply if it likes, and reads what they say.
        context: tokens that a conversation and its answer may have together; 0: as many as there are.
    """

    def __init__(
        self, ask: Callable[[dict[str, Any]], Any], *, tools: bool = False, context: int = 0
    ) -> None:
        self._ask = ask
        self.tools = tools
        self.context = context

    def complete(
        self, messages: Iterable[dict[str, Any]], tools: Iterable[dict[str, Any]] = (), **decoding: float
    ) -> dict[str, Any]:
        """Ask for the next message of a conversation.

        Args:
            messages: `{"role", "content"}`, with `"tool_calls"` (assistant) or `"tool_call_id"` (tool) where due.
            tools: `{"name", "description", "parameters"}`; the parameters are a JSON Schema of type object.
            decoding: `temperature`, `top_p`, `frequency_penalty`, `presence_penalty`.

        Returns:
            `{"role": "assistant", "content": str, "tool_calls": [{"id", "name", "arguments": {…}}]}`, and beside them
            `"finish_reason"`, a word of `contracts.chat.ChatReply`, and `"spent"`, the episode's tokens so far.

        Raises:
            BudgetExceeded: when the budget is spent.
            ModelRefused: when the model declined.
        """
        frame = {
            "type": "complete",
            "messages": list(messages),
            "tools": list(tools),
            "decoding": decoding,
        }
        reply: dict[str, Any] = self._ask(frame)
        return reply


class Workspace:
    """The files of the task, below `root`; ordinary files, which may also be opened directly."""

    def __init__(self, root: str, given: dict[str, str], ask: Callable[[dict[str, Any]], Any]) -> None:
        self.root = root
        self._given = dict(given)
        self._ask = ask

    def files(self) -> list[str]:
        """Paths of all text files, sorted, relative to `root`."""
        return sorted(self._texts())

    def read(self, path: str) -> str:
        """The text of one file."""
        with open(os.path.join(self.root, path), encoding="utf-8", newline="") as file:
            return file.read()

    def write(self, path: str, text: str) -> None:
        """Replace or create one file; folders are made as needed."""
        full = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8", newline="") as file:
            file.write(text)

    def test(self) -> dict[str, Any]:
        """Run the visible tests on the workspace as it is; costs one test run.

        Returns:
            `{"status", "outcomes": [{"id", "passed", "error", "trace", "lines"}], "executed", "detail"}`; see
            `contracts.tasks.TestReport`.

        Raises:
            BudgetExceeded: when no test run is left.
        """
        report: dict[str, Any] = self._ask({"type": "test", "files": self.changed()})
        return report

    def changed(self) -> dict[str, str]:
        """Text of every file that differs from the task's, or that the task does not have."""
        return {path: text for path, text in self._texts().items() if self._given.get(path) != text}

    def _texts(self) -> dict[str, str]:
        texts = {}
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != "__pycache__"]
            for name in names:
                full = os.path.join(folder, name)
                try:
                    fd = os.open(full, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
                except OSError:
                    continue
                with open(fd, "rb") as file:
                    content = file.read(MAX_FILE_BYTES + 1)
                try:
                    text = content.decode()
                except UnicodeDecodeError:
                    continue
                if len(content) <= MAX_FILE_BYTES:
                    texts[os.path.relpath(full, self.root)] = text
        return texts
