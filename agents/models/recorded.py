"""Calls of a model on record: every one under the hash of what was asked, and a model that answers from the record.

A folder holds a file for each call, named by the SHA-256 of the request. Asked again, the record gives the same reply,
to the byte, with no network; asked what was never asked, it fails and says so, since a guess would pass for the model.
"""

import hashlib
import json
import time
from pathlib import Path

import msgspec

from agents.models.errors import ModelUnavailableError, RequestRefusedError
from agents.models.files import replace
from contracts.chat import ChatReply, ChatRequest, Model
from contracts.record import Record

ABOUT = "model.json"
"""The file that says whose calls these are."""


class Call(Record):
    """One call, as it is kept."""

    request: ChatRequest
    reply: ChatReply
    seconds: float = 0.0
    """How long the answer took."""


class About(Record):
    """Whose calls a record holds."""

    fingerprint: str


def key(request: ChatRequest) -> str:
    """The name of a call: what was asked, to the last byte, and nothing else."""
    return hashlib.sha256(msgspec.json.encode(request, order="deterministic")).hexdigest()


def path_of(folder: Path, request: ChatRequest) -> Path:
    """Where the call of a request lies."""
    name = key(request)
    return folder / name[:2] / f"{name[2:]}.json"


class RecordingModel:
    """A model that keeps every answer. What is on record already is not asked again.

    Args:
        model: who answers.
        folder: where calls are kept, made where there is none.
    """

    def __init__(self, model: Model, folder: Path) -> None:
        """Raises RequestRefusedError when the folder holds another model's calls."""
        self._model = model
        self._folder = folder
        about = folder / ABOUT
        if not about.exists():
            replace(about, msgspec.json.encode(About(fingerprint=model.fingerprint)))
        elif _about(folder).fingerprint != model.fingerprint:
            raise RequestRefusedError(f"{folder} holds the calls of another model: name another folder")

    @property
    def fingerprint(self) -> str:
        """The model's own."""
        return self._model.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request, from the record or by the model. Raises what the model raises; errors are not kept."""
        path = path_of(self._folder, request)
        if path.exists():
            return _read(path).reply
        started = time.monotonic()
        reply = self._model.complete(request)
        call = Call(request=request, reply=reply, seconds=round(time.monotonic() - started, 4))
        replace(path, msgspec.json.encode(call))
        return reply


class RecordedModel:
    """A model that is nothing but its record."""

    def __init__(self, folder: Path) -> None:
        """Raises RequestRefusedError when the folder is no record."""
        self._folder = folder
        self._about = _about(folder)

    @property
    def fingerprint(self) -> str:
        """That of the model whose calls these are."""
        return self._about.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        """The reply on record. Raises ModelUnavailableError for what was never asked."""
        path = path_of(self._folder, request)
        if not path.exists():
            last = request.messages[-1].content if request.messages else ""
            raise ModelUnavailableError(
                f"{self._folder} holds no call {key(request)[:12]}: this was never asked while it was recorded "
                f"(the last message begins {json.dumps(last[:60])})"
            )
        return _read(path).reply


def _about(folder: Path) -> About:
    try:
        return msgspec.json.decode((folder / ABOUT).read_bytes(), type=About)
    except (OSError, msgspec.MsgspecError) as error:
        raise RequestRefusedError(f"{folder} is no record of a model's calls ({error})") from error


def _read(path: Path) -> Call:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Call)
    except (OSError, msgspec.MsgspecError) as error:
        raise ModelUnavailableError(f"the call {path} on record cannot be read ({error})") from error
