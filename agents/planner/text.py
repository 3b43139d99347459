"""Text operators: sentences for the prompt, skills made of several, and lessons for the harness's own memory."""

import random
import re

from agents.planner.draft import TEXTS, Draft, Ground, surface_of
from agents.planner.grammar import PHRASES

PROMPT, MEMORY = "prompts/system.md", "memory/lessons.md"
TITLES = ("Before an edit", "When nothing helps", "Reading a program", "After an edit", "Common mistakes")
"""What a skill can be about; that its sentences fit is not checked, but measured."""
EXPIRES = 30
"""Rounds after which a lesson in the harness's memory is the first to be taken out on trial."""
_LEARNED = re.compile(r"; learned in (c\d+)_r(\d+), good for (\d+) rounds\.$")
_ROUND = re.compile(r"(c\d+)_r(\d+)$")


def write(ground: Ground, rng: random.Random) -> Draft | None:
    """Add to what the model reads: a sentence to the prompt, a skill, or a lesson to the memory."""
    kinds = [_sentence, _skill, *([_lesson] if ground.fixes else [])]
    return rng.choice(kinds)(ground, rng)


def _sentence(ground: Ground, rng: random.Random) -> Draft | None:
    text = ground.tree.get(PROMPT, b"").decode(errors="replace")
    new = [phrase for phrase in PHRASES if phrase not in text]
    if not new:
        return None
    phrase = rng.choice(new)
    return Draft(
        surface="prompt",
        operator="write",
        arms=("text:prompt", f"says:{slug(phrase)}"),
        change={"path": PROMPT, "text": phrase},
        title=f"the prompt says: {phrase}",
    )


def _skill(ground: Ground, rng: random.Random) -> Draft | None:
    title = rng.choice(TITLES)
    path = f"skills/{slug(title)}/SKILL.md"
    if path in ground.tree:
        return None
    phrases = rng.sample(PHRASES, rng.randint(2, 4))
    return Draft(
        surface="skill",
        operator="write",
        arms=("text:skill", *(f"says:{slug(phrase)}" for phrase in phrases)),
        change={"path": path, "text": "\n".join([f"# {title}", "", *(f"- {phrase}" for phrase in phrases)])},
        title=f"a skill, {title!r}: {' '.join(phrases)}",
    )


def _lesson(ground: Ground, rng: random.Random) -> Draft | None:
    """What mended tests before, by kind of edit; which kinds are worth telling is drawn by how often they did."""
    names = sorted(ground.fixes)
    weights = [1 + ground.fixes[name].helped for name in names]
    told: list[str] = []
    for name in rng.choices(names, weights, k=rng.randint(1, 3)):
        if name not in told:
            told.append(name)
    said = ", ".join(f"{n} ({ground.fixes[n].helped} of {ground.fixes[n].tried} tries)" for n in told)
    text = f"- Mended tests here before: {said}; learned in {ground.name}, good for {EXPIRES} rounds."
    if f"before: {said};" in ground.tree.get(MEMORY, b"").decode(errors="replace"):
        return None
    return Draft(
        surface="memory",
        operator="write",
        arms=("text:memory", *(f"tells:{slug(name)}" for name in told)),
        change={"path": MEMORY, "text": text},
        title=f"the harness remembers: {said}",
    )


def erase(ground: Ground) -> list[Draft]:
    """Take out what was added for the model to read: a line, or a whole skill."""
    return [
        Draft(
            surface=surface_of(path),
            operator="erase",
            arms=("erase",),
            change={"path": path, "text": part},
            title=f"without what {path} says: {part.splitlines()[-1][:80]}",
        )
        for path in sorted(path for path in ground.tree if path.startswith(TEXTS))
        for part in _parts(path, ground)
    ]


def expired(draft: Draft, ground: Ground) -> bool:
    """Whether a draft takes out a lesson that was good for fewer rounds than have passed, or for another campaign."""
    learned = _LEARNED.search(str(draft.change.get("text", ""))) if draft.operator == "erase" else None
    now = _ROUND.match(ground.name)
    if learned is None or now is None:
        return False
    return learned[1] != now[1] or int(now[2]) - int(learned[2]) >= int(learned[3])


def _parts(path: str, ground: Ground) -> list[str]:
    """What a text says that the seed's does not: line by line, but a skill as a whole."""
    text = ground.tree[path].decode(errors="replace")
    if path.startswith("skills/") and path not in ground.seed:
        return [text.strip("\n")]
    before = ground.seed.get(path, b"").decode(errors="replace").split("\n")
    return [line for line in text.split("\n") if line.strip() and line not in before]


def slug(text: str) -> str:
    """A text as a name: lower case, words joined by `_`, at most 40 characters."""
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:40].rstrip("_")
