"""Prompts are files beside the agent that asks: `prompts/NAME.md` in its package, with `$names` to be filled in."""

from functools import cache
from importlib.resources import files
from string import Template


def render(package: str, name: str, **values: str) -> str:
    """A package's prompt with its names filled in. Raises KeyError when one of them is not given."""
    return _template(package, name).substitute(values).strip() + "\n"


@cache
def _template(package: str, name: str) -> Template:
    return Template((files(package) / "prompts" / f"{name}.md").read_text(encoding="utf-8"))
