"""The text from which the model learns: named modules of the running interpreter's standard library."""

import sysconfig
from collections import Counter
from pathlib import Path

from agents.models.embedded.tokens import BUILTINS, KEYWORDS, logical_lines, normalize, step

MODULES = (
    "argparse", "ast", "base64", "bisect", "calendar", "cmd", "code", "collections/__init__", "configparser",
    "contextlib", "copy", "csv", "dataclasses", "difflib", "email/message", "enum", "filecmp", "fileinput",
    "fnmatch", "fractions", "functools", "getopt", "gettext", "glob", "graphlib", "heapq", "html/parser",
    "http/client", "http/cookiejar", "inspect", "ipaddress", "json/decoder", "json/encoder", "mailbox",
    "ntpath", "optparse", "pickle", "plistlib", "pprint", "queue", "random", "sched", "selectors", "shlex",
    "shutil",
    "statistics", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "traceback",
    "urllib/parse", "uuid", "weakref", "xml/dom/minidom", "zipapp",
)  # fmt: skip
"""Pure-Python modules of ordinary style; paths below the standard library's folder, without `.py`."""

_ATTRIBUTE_TIMES, _ATTRIBUTE_MODULES = 12, 4


class Corpus:
    """The modules that were found, in order, and their tokens as one sequence of words of a vocabulary."""

    def __init__(self, modules: tuple[str, ...], kept: frozenset[str], tokens: list[list[str]]) -> None:
        self.modules = modules
        self.kept = kept
        self.tokens = tokens


def read(library: Path | None = None) -> Corpus:
    """Read and normalize the corpus from the standard library's folder; a missing module is left out."""
    folder = library or Path(sysconfig.get_paths()["stdlib"])
    texts = {}
    for name in MODULES:
        path = folder / f"{name}.py"
        if path.is_file():
            texts[name] = path.read_text(encoding="utf-8")
    parsed = {name: logical_lines(text) for name, text in texts.items()}
    times: Counter[str] = Counter()
    spread: Counter[str] = Counter()
    for lines in parsed.values():
        attributes = [
            word.text
            for line in lines
            for before, word in zip(line.words, line.words[1:], strict=False)
            if before.text == "." and word.sort == "name"
        ]
        times.update(attributes)
        spread.update(set(attributes))
    kept = frozenset(
        name
        for name, n in times.items()
        if n >= _ATTRIBUTE_TIMES and spread[name] >= _ATTRIBUTE_MODULES and name not in KEYWORDS | BUILTINS
    )
    tokens = []
    for lines in parsed.values():
        indent, sequence = 0, []
        for line in lines:
            sequence.append(step(indent, line.indent))
            sequence += normalize(line.words, kept)
            indent = line.indent
        tokens.append(sequence)
    return Corpus(tuple(texts), kept, tokens)
