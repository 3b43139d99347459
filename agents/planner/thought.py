"""A model's answer to the question what to change, and what makes a plan of it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args

from agents.planner.bandit import posterior
from agents.planner.draft import signature
from agents.thinking.answers import Unfit, read_json
from contracts import events as e
from contracts.events.change import Surface
from contracts.lineage import Arm
from contracts.record import Record

SURFACES: tuple[str, ...] = get_args(Surface)
BELIEVED = 2.0
"""By how many standard deviations an expected effect may differ from what such plans have yielded so far."""
MOST_FLIPS = 12
MOST_DROPPED = 12
"""Plans that are none, of one answer, of which the reason is kept."""
MOST_CHARACTERS = 20_000
"""How long a change may be as it is described."""
EPISODE = 12
"""Characters of a transcript's hash by which an episode is called."""


class Sign(Record):
    """What speaks for a plan."""

    episode: str
    shows: str


class Thought(Record):
    """A change as the model wants it."""

    surface: str
    title: str
    evidence: tuple[Sign, ...]
    root_cause: str
    risks: str
    effect: float
    flips: tuple[str, ...] = ()
    cost: float | None = None
    words: str = ""
    diff: str = ""

    @property
    def change(self) -> dict[str, Any]:
        """What the patcher is given."""
        said = {"words": self.words.strip(), "diff": self.diff.strip("\n")}
        return {name: text for name, text in said.items() if text}


class Thoughts(Record):
    """The answer."""

    plans: tuple[Thought, ...]


class Known(Record):
    """What a plan may name."""

    tasks: frozenset[str]
    """Practice tasks."""
    episodes: Mapping[str, str]
    """Name of an episode → its task."""
    tried: frozenset[str] = frozenset()
    """Signatures of what was measured against this very harness."""

    def episode(self, said: str) -> str:
        """The episode that is meant, however its name is dressed up; empty if none is."""
        name = said.strip().removeprefix("episode").strip(" `'\"")
        return next((known for known in self.episodes if name.startswith(known)), "")


def faults(thought: Thought, known: Known) -> Iterator[str]:
    """Why a thought is no plan; nothing if it is one."""
    if not thought.title.strip():
        yield "it has no title"
    if thought.surface not in SURFACES:
        yield f"{thought.surface!r} is no surface; there are {', '.join(SURFACES)}"
    if unknown := sorted({*thought.flips} - known.tasks):
        yield f"there is no practice task {_some(unknown)}"
    if unknown := sorted({sign.episode for sign in thought.evidence if not known.episode(sign.episode)}):
        yield f"no episode {_some(unknown)} was shown; there are {_some(sorted(known.episodes))}"
    if not thought.evidence and known.episodes:
        yield "it names no episode as evidence"
    if not thought.root_cause.strip() or not thought.risks.strip():
        yield "root cause and risks must both be said"
    if not -1 <= thought.effect <= 1:
        yield f"an effect of {thought.effect:g} is no difference of mean scores"
    if thought.cost is not None and not 0 < thought.cost < 100:
        yield f"a cost of {thought.cost:g} is no multiple of today's"
    if not thought.change:
        yield "it says neither in words nor as a diff what to change"
    elif sum(map(len, thought.change.values())) > MOST_CHARACTERS:
        yield f"it is longer than {MOST_CHARACTERS} characters"
    elif signature("think", thought.change) in known.tried:
        yield "exactly this was measured against this harness before"


def sort_out(
    thoughts: Sequence[Thought], known: Known, most: int
) -> tuple[list[Thought], list[e.DroppedPlan]]:
    """The first so many thoughts that are plans, and the others with the reason."""
    plans: list[Thought] = []
    dropped: list[e.DroppedPlan] = []
    for thought in thoughts:
        reasons = list(faults(thought, known))
        if len(plans) == most:
            reasons.append(f"{most} were asked for")
        if any(thought.change == other.change for other in plans):
            reasons.append("it is there twice")
        if reasons:
            dropped.append(e.DroppedPlan(title=thought.title[:200], reason="; ".join(reasons)[:1000]))
        else:
            plans.append(thought)
    if (more := len(dropped) - MOST_DROPPED) > 0:
        dropped = [
            *dropped[:MOST_DROPPED],
            e.DroppedPlan(title="", reason=f"{more} more are no plans either"),
        ]
    return plans, dropped


def check(thoughts: Thoughts, known: Known) -> None:
    """Raise Unfit unless there is a plan and every thought is one."""
    if not thoughts.plans:
        raise Unfit("there is no plan in it")
    wrong = [(thought, list(faults(thought, known))) for thought in thoughts.plans]
    said = [f"plan {thought.title[:60]!r}: {'; '.join(reasons)}" for thought, reasons in wrong if reasons]
    if said:
        raise Unfit("\n".join(said))


def salvage(text: str) -> tuple[Thought, ...]:
    """Whatever thoughts an answer holds that was not good as a whole."""
    try:
        return read_json(text, Thoughts).plans
    except Unfit:
        return ()


def make_plan(thought: Thought, known: Known, arms: Mapping[str, Arm] = MappingProxyType({})) -> e.Plan:
    """The plan that a thought is.

    Places in the race go by what plans expect. So a plan is believed only as far as what the model's plans for the
    same surface have yielded allows: whoever promises much and keeps little is soon taken for that.
    """
    arm = f"model:{thought.surface}"
    mean, spread = posterior(arms.get(arm))
    named = [(known.episode(sign.episode), sign.shows) for sign in thought.evidence]
    seen = [f"episode {name} ({known.episodes[name]}): {shows}" for name, shows in named]
    effect = max(mean - BELIEVED * spread, min(mean + BELIEVED * spread, thought.effect))
    return e.Plan(
        surface=thought.surface,  # type: ignore[arg-type]  # checked to be one of the contract's
        operator="think",
        arm=arm,
        change=thought.change,
        title=" ".join(thought.title.split())[:160],
        evidence="; ".join(seen)[:4000],
        root_cause=thought.root_cause.strip()[:2000],
        risks=thought.risks.strip()[:2000],
        prediction=e.Prediction(
            effect=round(effect, 4), flips=tuple(dict.fromkeys(thought.flips))[:MOST_FLIPS]
        ),
        cost=thought.cost,
    )


def _some(names: Collection[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:8]) + (" …" if len(listed) > 8 else "")
