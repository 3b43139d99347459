"""Showing files to a model."""

from collections.abc import Mapping

_KINDS = {"py": "python", "toml": "toml", "md": "markdown"}


def show_files(tree: Mapping[str, bytes]) -> str:
    """The files of a harness, each under its path."""
    return "\n\n".join(
        f"### {path}\n\n"
        + fenced(
            tree[path].decode(errors="replace").rstrip("\n"), _KINDS.get(path.rpartition(".")[2], "text")
        )
        for path in sorted(tree)
    )


def fenced(text: str, kind: str) -> str:
    """A text as a fenced block whose fence is longer than any in it."""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{kind}\n{text}\n{fence}"
