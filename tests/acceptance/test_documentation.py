"""What README and docs say holds: links lead somewhere, commands and options exist, marked blocks run."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from agents.cli import AUDIT, COMMANDS, main
from agents.critic.taxonomy import KINDS
from agents.planner.grammar import MOMENTS, read_grammar
from contracts.events import EVENTS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md")))
README, GLOSSARY = ROOT / "README.md", ROOT / "docs" / "glossary.md"
PROGRAMS = {"ratchet", "python", "nats-server", "make", "systemctl"}
"""What a block of shell lines may call without its being looked into further."""

_FENCE = re.compile(r"(?ms)^(<!-- run -->\n)?[ ]*```(\w*)\n(.*?)^[ ]*```")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")


@cache
def text(page: Path) -> str:
    return page.read_text()


def prose(page: Path) -> str:
    return _FENCE.sub("", text(page))


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def slug(heading: str) -> str:
    """The anchor of a heading, as it is made where the pages are shown."""
    plain = re.sub(r"[`*_]", "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")


def fenced(page: Path, *languages: str) -> Iterator[tuple[bool, str]]:
    """(Whether it is marked to be run, its text) for every block in one of the languages."""
    for found in _FENCE.finditer(text(page)):
        if found[2] in languages:
            yield bool(found[1]), found[3]


def mentions(page: Path) -> Iterator[str]:
    """Everything that a page tells to type: inline code and lines of shell blocks."""
    yield from re.findall(r"`([^`\n]+)`", prose(page))
    for _, block in fenced(page, "sh", "console"):
        yield from (line.partition("  #")[0].strip() for line in block.splitlines())


def calls(page: Path) -> Iterator[tuple[str, list[str]]]:
    """(Command, its words) for every `ratchet COMMAND …` of a page."""
    for mention in mentions(page):
        words = mention.split()
        if len(words) > 1 and words[0] == "ratchet" and re.fullmatch(r"[a-z]+", words[1]):
            yield words[1], words[2:]


@cache
def command(name: str) -> click.Command | None:
    return main.get_command(click.Context(main), name)


def options(name: str) -> set[str]:
    found = command(name)
    assert found is not None
    return {option for parameter in found.params for option in (*parameter.opts, *parameter.secondary_opts)}


# Links


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for target in _LINK.findall(prose(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        assert place.exists(), f"{name_of(page)} links to {target}"
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", prose(place))
            assert anchor in {slug(heading) for heading in headings}, f"{name_of(page)} links to {target}"


def test_every_page_is_reached_from_another() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in _LINK.findall(prose(page))
        if target.partition("#")[0]
    }
    for page in PAGES:
        assert page == README or page.resolve() in linked, f"no page links {name_of(page)}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_file_of_ours_that_is_named_exists(page: Path) -> None:
    folders = "agents|bus|contracts|docs|eventstore|gpu_workers|suites|tests|benchmarks"
    for path in re.findall(rf"`((?:{folders})/[\w/.-]+\.(?:py|md|toml))`", prose(page)):
        assert (ROOT / path).exists(), f"{name_of(page)} names {path}"


# Commands


@pytest.mark.parametrize("name", [*COMMANDS, *AUDIT])
def test_every_command_stands_in_the_readme_and_has_help(name: str) -> None:
    assert name in {called for called, _ in calls(README)}, f"README.md does not tell of `ratchet {name}`"
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) > 4


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_and_option_that_is_named_exists(page: Path) -> None:
    known = {option for name in (*COMMANDS, *AUDIT) for option in options(name)}
    for name, words in calls(page):
        assert command(name) is not None, f"{name_of(page)} names `ratchet {name}`"
        for word in words:
            if word.startswith("--"):
                assert word.partition("=")[0] in options(name), f"{name_of(page)}: ratchet {name} {word}"
    for mention in re.findall(r"`(--[a-z-]+)[^`]*`", prose(page)):
        assert mention in known | {"--clearenv", "--quick"}, f"{name_of(page)} names {mention}"


def test_every_process_that_the_readme_names_has_help() -> None:
    named = sorted(set(re.findall(r"python -P -m ([a-z_.]+)", text(README))))
    roles = ("critic", "evaluator", "executor", "monitor", "patcher", "planner")
    modules = {*named, *(found for found in re.findall(r"`(agents\.[a-z]+)`", text(README)))}
    assert modules == {"bus", "eventstore", "gpu_workers", *(f"agents.{role}" for role in roles)}
    for module in named:
        done = subprocess.run(
            [sys.executable, "-P", "-m", module, "--help"],
            capture_output=True, check=False, text=True, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("budget", re.findall(r"--budget ([\w,.$]+)", text(README)))
def test_a_budget_is_written_as_the_readme_does(budget: str) -> None:
    from agents.cli.common import BudgetType

    limits = BudgetType().convert(budget, None, None)
    assert limits.episodes or limits.seconds


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_variable_that_is_named_is_read(page: Path) -> None:
    sources = "".join(
        path.read_text()
        for folder in ("agents", "bus", "eventstore", "gpu_workers")
        for path in (ROOT / folder).rglob("*.py")
    )
    for variable in re.findall(r"\b(?:RATCHET|OTEL)_[A-Z_]+\b", text(page)):
        assert variable in sources, f"{name_of(page)} names {variable}"


# Blocks


def test_the_readmes_marked_blocks_run(tmp_path: Path) -> None:
    marked = [block for run, block in fenced(README, "sh", "console") if run]
    assert marked, "README.md marks no block with <!-- run -->"
    bin_folder = Path(sys.executable).parent
    env = {
        **os.environ,
        "PATH": f"{bin_folder}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    for variable in ("RATCHET_STORE", "RATCHET_BUS"):
        env.pop(variable, None)
    for block in marked:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=tmp_path, env=env, capture_output=True, check=False, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"


def test_shell_blocks_call_nothing_unheard_of() -> None:
    allowed = PROGRAMS | {"mkdir", "printf"}
    for page in PAGES:
        for _, block in fenced(page, "sh", "console"):
            shell = re.sub(r"(?ms)<<'END'\n.*?^END$", "", block)
            for line in filter(None, (line.strip() for line in shell.splitlines())):
                assert line.split()[0] in allowed, f"{name_of(page)}: {line}"


def test_make_targets_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for page in PAGES:
        for target in re.findall(r"(?m)(?:^|`)make ([a-z.]+)", text(page)):
            assert re.search(rf"(?m)^{re.escape(target)}:", makefile), f"{name_of(page)}: make {target}"


# Words


@cache
def terms() -> dict[str, str]:
    """Term → definition, without what stands in brackets."""
    return {
        re.sub(r" \(.*\)", "", term): said
        for term, said in re.findall(r"(?m)^- \*\*([^*]+)\*\*: (.+)$", text(GLOSSARY))
    }


def test_a_term_is_defined_once_in_a_line_and_found_in_its_place() -> None:
    lines = [line for line in text(GLOSSARY).splitlines() if line.startswith("- ")]
    assert len(lines) == len(terms())
    assert all(said.endswith(".") for said in terms().values())
    for section in text(GLOSSARY).split("\n## ")[1:]:
        found = re.findall(r"(?m)^- \*\*([^*]+)\*\*", section)
        if not section.startswith("Kinds of failure"):
            assert found == sorted(found), "the terms of a section are in alphabetical order"


def test_the_glossary_defines_every_kind_of_failure() -> None:
    assert set(KINDS) <= set(terms())


def noun(event: str) -> str:
    """What an event is about: its name without the participle, in the singular."""
    words = re.findall(r"[A-Z][a-z]+", event)[:-1]
    found = " ".join(words).lower()
    return found if found in terms() else found.removesuffix("s")


@pytest.mark.parametrize("event", sorted(EVENTS))
def test_the_glossary_defines_what_every_event_is_about(event: str) -> None:
    assert noun(event) in terms(), f"{event}: no definition of {noun(event)!r}"


def test_italic_words_of_the_glossary_are_defined() -> None:
    for term, said in terms().items():
        for word in re.findall(r"(?<!\*)\*([^*]+)\*(?!\*)", re.sub(r"`[^`]*`", "", said)):
            known = {word, word.removesuffix("s"), word.replace("ies", "y"), f"{word} (A/A)"}
            known |= {word.removesuffix("es")}
            assert known & set(terms()) or word == "look now", f"{term}: {word} is not defined"


def test_the_harness_page_names_every_ingredient() -> None:
    page = text(ROOT / "docs" / "harness.md")
    folder = ROOT / "harness"
    tree = {"primitives.py": (folder / "primitives.py").read_bytes()}
    grammar = read_grammar(tree)
    assert grammar.predicates
    for name in (*MOMENTS, *(primitive.name for primitive in (*grammar.predicates, *grammar.actions))):
        assert re.search(rf"`{name}[`(]", page), f"docs/harness.md does not tell of {name}"


def test_every_event_stands_on_the_architecture_page() -> None:
    """But for those that nothing appends yet."""
    page = text(ROOT / "docs" / "architecture.md")
    missing = {event for event in EVENTS if f"`{event}`" not in page}
    assert missing <= {"CampaignPaused", "CampaignResumed"}


def test_the_changelog_begins_with_the_version_that_this_is() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    first = re.search(r"(?m)^## (\S+)", text(ROOT / "CHANGELOG.md"))
    assert first is not None
    assert first[1] == project["version"]
