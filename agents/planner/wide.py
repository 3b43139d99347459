"""What is planned when single steps do not tell: wider steps, earlier branches, and what the harness can do without."""

import difflib
import random
from collections.abc import Sequence

from agents.planner.draft import RANGES, TEXTS, Draft, Ground, read_config, surface_of
from agents.planner.operators import decoding_of, drop, set_decoding
from agents.planner.text import erase


def several(parts: Sequence[Draft], *, base: str = "", title: str = "") -> Draft:
    """Several changes as one, made to the head or to an earlier harness `base`."""
    told = " and ".join(part.title for part in parts)
    change = {"parts": [{"operator": part.operator, "change": part.change} for part in parts]}
    return Draft(
        surface=parts[0].surface,
        operator="several",
        arms=tuple(dict.fromkeys(arm for part in parts for arm in part.arms)),
        change={**change, "base": base} if base else change,
        title=f"{title}{told}",
    )


def wider(ground: Ground, single: Sequence[Draft], rng: random.Random, count: int) -> list[Draft]:
    """Two changes at once, or one more change to a branch that raced ahead of its head and was not kept."""
    found: list[Draft] = []
    branches = [  # none that a model wrote: a step beyond it would be measured without a review
        b
        for b in ground.archive
        if b.effect > 0 and not b.plan.free and b.tree not in ("", b.parent, ground.head, *ground.heads)
    ]
    for _ in range(count if len(single) > 1 else 0):
        one, other = rng.sample(single, 2)
        if _alike(one, other):
            continue
        if branches and rng.random() < 0.3:
            branch = rng.choice(branches)
            found.append(several([one], base=branch.tree, title=f"from round {branch.round}'s branch: "))
        else:
            found.append(several([one, other]))
    return found


def _alike(one: Draft, other: Draft) -> bool:
    """Whether two changes are of one kind, or move the same parameter, so that both are no more than one."""
    if one.operator == other.operator == "perturb":
        return bool(one.change["parameter"] == other.change["parameter"])
    return one.surface == other.surface and one.arms[0] == other.arms[0]


def ablations(ground: Ground) -> list[Draft]:
    """Every part of the head by which it departs from its seed, taken back one at a time."""
    found = [*drop(ground), *erase(ground)]
    config, plain = ground.config, read_config(ground.seed)
    for name in RANGES:
        now, value = decoding_of(config, name), decoding_of(plain, name)
        if now != value:
            found.append(set_decoding(name, now, value))
    for path in sorted(ground.seed):
        if path.endswith(".py") and not path.startswith(TEXTS) and path in ground.tree:
            found += _hunks(path, ground.tree[path].decode(), ground.seed[path].decode())
    return found


def _hunks(path: str, text: str, before: str) -> list[Draft]:
    """Each place at which a file differs from the seed's, as it stood there."""
    lines, old = text.split("\n"), before.split("\n")
    found = []
    for kind, first, end, old_first, old_end in difflib.SequenceMatcher(
        None, lines, old, autojunk=False
    ).get_opcodes():
        if kind == "equal":
            continue
        # A replacement needs something to stand in the place of, and an empty line is not the same as none.
        bare = first == end or old[old_first:old_end] == [""]
        above, below = int(bare and first > 0), int(bare and not first)
        change = {
            "path": path,
            "line": first - above + 1,
            "old": "\n".join(lines[first - above : end + below]),
            "new": "\n".join(old[old_first - above : old_end + below]),
        }
        found.append(
            Draft(
                surface=surface_of(path),
                operator="mutate",
                arms=("undo", f"code:{path}"),
                change=change,
                title=f"{path}:{first + 1} as in the seed",
            )
        )
    return found
