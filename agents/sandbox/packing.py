"""Harnesses as they are sent into the sandbox: their files, and their Python compiled.

An episode would spend a third of its start on compiling the same files again. They are compiled once for each harness,
in a run of its own that executes none of them: the compiler, too, can be made to run for ever.
"""

import base64
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import PurePosixPath

import msgspec

from agents.sandbox.channel import Channel, Malformed
from agents.sandbox.errors import SandboxFault
from agents.sandbox.frames import FRAME_BYTES
from agents.sandbox.zygote import Limits, Zygote
from contracts.record import Record

KEPT = 64
"""Harnesses that are kept packed."""
CACHE = "__pycache__"
_LIMITS = Limits(cpu=5, memory=512 << 20, wall=30.0)


class _Compiled(Record, tag_field="type", tag="compiled", frozen=True):
    files: dict[str, str]


_decoder = msgspec.json.Decoder(_Compiled)


class Packer:
    """Packs harnesses, and remembers those that it packed last."""

    def __init__(self, zygote: Zygote) -> None:
        self._zygote = zygote
        self._known: OrderedDict[tuple[tuple[str, bytes], ...], dict[str, str]] = OrderedDict()

    def packed(self, tree: Mapping[str, bytes], *, compiled: bool = True) -> dict[str, str]:
        """Path → content in base64, of a harness's files and of what Python makes of them.

        Cached bytecode that a harness brings along is left out: what runs is what can be read.
        """
        files = {p: content for p, content in tree.items() if CACHE not in PurePosixPath(p).parts}
        plain = {path: base64.b64encode(content).decode() for path, content in files.items()}
        if not compiled:
            return plain
        key = tuple(sorted(files.items()))
        if key not in self._known:
            self._known[key] = plain | self._compiled(plain)
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return self._known[key]

    def _compiled(self, plain: Mapping[str, str]) -> dict[str, str]:
        """What the sandbox makes of the Python files; nothing if it does not come to an end of it."""
        python = {path: content for path, content in plain.items() if path.endswith(".py")}

        def converse(channel: Channel) -> dict[str, str] | None:
            body = channel.receive(2 * FRAME_BYTES)
            return _decoder.decode(body).files if body else None

        try:
            found, _ = self._zygote.run("compile", _LIMITS, {"tree": python}, converse)
        except (Malformed, msgspec.DecodeError, SandboxFault):
            return {}  # then every episode compiles for itself, within its own limits
        return found or {}
