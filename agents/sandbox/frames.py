"""What a harness may say to the host, and what it hears: checked strictly, because the harness is hostile."""

from typing import Any

import msgspec

from agents.sandbox.channel import Malformed
from contracts.chat import Decoding, Message, Tool
from contracts.record import Record

FRAME_BYTES = 4 << 20
"""Largest frame that a harness may send."""
_FILES = 2000
_PATH = 255


class Complete(Record, tag_field="type", tag="complete", frozen=True):
    """Asks the model for the next message."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    decoding: Decoding = Decoding()


class Test(Record, tag_field="type", tag="test", frozen=True):
    """Asks for a run of the visible tests, on the task's files with these laid over them."""

    __test__ = False

    files: dict[str, str]


class Log(Record, tag_field="type", tag="log", frozen=True):
    """What the harness printed."""

    text: str


class Finish(Record, tag_field="type", tag="finish", frozen=True):
    """The harness is done; the files that differ from the task's."""

    files: dict[str, str] = msgspec.field(default_factory=dict)


class Failed(Record, tag_field="type", tag="error", frozen=True):
    """The harness ended with an exception; what it left behind counts all the same."""

    error: str
    traceback: str = ""
    files: dict[str, str] = msgspec.field(default_factory=dict)


class Checked(Record, tag_field="type", tag="checked", frozen=True):
    """Whether a tree starts: an empty error says yes."""

    error: str = ""


Frame = Complete | Test
"""What is served by the caller."""
Said = Complete | Test | Log | Finish | Failed | Checked

_decoder: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


class Ok(Record, frozen=True):
    """The answer to a frame: JSON."""

    ok: Any


class Problem(Record, frozen=True):
    """Why there is no answer. `budget` and `refused` are exceptions that a harness knows by name."""

    kind: str
    message: str


class Refused(Record, frozen=True):
    """The answer to a frame that is not served."""

    error: Problem


Reply = Ok | Refused


def out_of_budget(what: str) -> Refused:
    """The reply that raises `BudgetExceeded` in the harness."""
    return Refused(error=Problem(kind="budget", message=f"The budget of {what} is spent."))


def parse(body: bytes) -> Said:
    """One frame of a harness.

    Raises:
        Malformed: if it is not exactly what a harness may say.
    """
    try:
        said = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(str(error)[:300]) from None
    if isinstance(said, Test | Finish | Failed):
        check_paths(said.files)
    return said


def check_paths(files: dict[str, str]) -> None:
    """Refuse paths that could mean anything but a file inside the workspace.

    Raises:
        Malformed: for the first such path, or for too many files.
    """
    if len(files) > _FILES:
        raise Malformed(f"{len(files)} files")
    for path in files:
        parts = path.split("/")
        if (
            len(path) > _PATH
            or "\0" in path
            or "\\" in path
            or any(part in {"", ".", ".."} for part in parts)
        ):
            raise Malformed(f"a path that is not plain, relative and inside the workspace: {path[:80]!r}")
