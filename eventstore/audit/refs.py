"""By which words people name rounds and harnesses.

A harness: `seed`, `head`, `released`, `v2` (the third harness that was the head), `r3` (the head when round 3 of the
last campaign had ended), `r3.1` (candidate 1 of that round), or at least six characters of a tree's hash.
A round: `r3` in the last campaign, `CAMPAIGN/3` in any.
"""

import re

from contracts.record import Record
from eventstore.audit.archive import Archive, entries
from eventstore.audit.errors import NotInLedger
from eventstore.audit.rounds import History, RoundHistory
from eventstore.errors import BlobMissing, Malformed

SHORT = 10
"""Characters of a hash that people are shown."""
LEAST = 6
"""Characters of a hash that people have to give."""

_ROUND = re.compile(r"(?:r|(?P<campaign>[^/\s]+)/r?)(?P<number>\d{1,9})")
_CANDIDATE = re.compile(r"(?P<round>.+)\.(?P<candidate>\d{1,9})")
_VERSION = re.compile(r"v(\d{1,9})")
_HASH = re.compile(rf"[0-9a-f]{{{LEAST},64}}")


class Ref(Record):
    """A harness that somebody named."""

    label: str
    tree: str


def is_round(text: str) -> bool:
    """Whether a word names a round."""
    return _ROUND.fullmatch(text) is not None


def round_names(history: History) -> list[str]:
    """Every round by the name that finds it: the last campaign's first."""
    last = history.campaign.id if history.campaign else ""
    ours = [round_.name for round_ in history.rounds if round_.campaign == last]
    return ours + [f"{r.campaign}/{r.number}" for r in history.rounds if r.campaign != last]


def find_round(history: History, text: str) -> RoundHistory:
    """The round of a name. Raises NotInLedger, naming the rounds that there are."""
    match = _ROUND.fullmatch(text)
    last = history.campaign.id if history.campaign else ""
    if match is not None:
        wanted = (match["campaign"] or last, int(match["number"]))
        for round_ in history.rounds:
            if (round_.campaign, round_.number) == wanted:
                return round_
    raise NotInLedger(f"round {text}", round_names(history), of="round yet")


def find_harness(archive: Archive, history: History, text: str) -> Ref:
    """The harness of a name.

    Raises:
        NotInLedger: there is none of that name; the message names those that there are.
        Malformed: several trees begin with this hash.
    """
    named = {"seed": history.state.seed_tree, "head": history.state.head, "released": history.state.released}
    if text in named:
        if not named[text]:
            raise NotInLedger(text, of="harness in this lineage yet")
        return Ref(label=text, tree=named[text])
    if match := _VERSION.fullmatch(text):
        for version in history.versions:
            if version.number == int(match[1]):
                return Ref(label=text, tree=version.tree)
        raise NotInLedger(f"version {text}", [version.name for version in history.versions], of="version yet")
    if is_round(text):
        return Ref(label=text, tree=find_round(history, text).head)
    if (match := _CANDIDATE.fullmatch(text)) and is_round(match["round"]):
        return _candidate(find_round(history, match["round"]), text, int(match["candidate"]))
    if _HASH.fullmatch(text):
        return _hashed(archive, history, text)
    raise NotInLedger(f"harness {text}", ["seed", "head", *(v.name for v in history.versions)])


def _candidate(round_: RoundHistory, text: str, number: int) -> Ref:
    made = [candidate for candidate in round_.candidates if candidate.tree]
    for candidate in made:
        if candidate.number == number:
            return Ref(label=text, tree=candidate.tree)
    prefix = text.rpartition(".")[0]
    raise NotInLedger(
        f"candidate {text}", [f"{prefix}.{c.number}" for c in made], of=f"candidate of {prefix} that was made"
    )


def _hashed(archive: Archive, history: History, start: str) -> Ref:
    known = {version.tree for version in history.versions}
    known |= {c.tree for round_ in history.rounds for c in round_.candidates if c.tree}
    found = sorted(tree for tree in known if tree.startswith(start))
    if len(found) > 1:
        raise Malformed(f"several harnesses begin with {start}: give more of the hash")
    if found:
        return Ref(label=found[0][:SHORT], tree=found[0])
    try:
        tree = archive.blob_name(start)
        entries(archive, tree)
    except BlobMissing:
        raise NotInLedger(f"harness {start}", [tree[:SHORT] for tree in sorted(known)]) from None
    return Ref(label=tree[:SHORT], tree=tree)
