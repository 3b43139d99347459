"""How failed episodes fail: a small taxonomy, decided from what the host saw of each."""

from collections.abc import Sequence

from contracts.jobs import EpisodeResult

KINDS = {
    "harness_fault": "the harness itself failed: an error, too much CPU time, memory or output",
    "overfitted": "the visible tests passed and hidden ones did not",
    "no_attempt": "no edit was made at all",
    "fixed_some": "some failing tests were mended, others were not",
    "repeated_itself": "a good part of the edits had been tried before",
    "off_the_trace": "most edits were on lines that no failing test runs",
    "broke_a_test": "many edits broke tests that had passed",
    "spent_all": "the budget was spent on edits that changed nothing",
    "gave_up": "the episode ended before its budget was spent",
}
"""Word → what it says. The first three are decided in this order; of the next four the one with the largest share,
if it is large enough; and the last two by whether the budget is spent."""


def classify(result: EpisodeResult) -> str:
    """The kind of failure of an episode that was not solved."""
    signs = result.signs
    attempts = signs.get("attempts", 0.0)
    if result.outcome in ("error", "cpu", "memory", "protocol", "output"):
        return "harness_fault"
    if result.visible_passed:
        return "overfitted"
    if not attempts:
        return "no_attempt"
    shares = {
        "fixed_some": min(1.0, signs.get("helped", 0.0)) * 0.5,
        "repeated_itself": signs.get("repeats", 0.0) / attempts,
        "off_the_trace": signs.get("off_trace", 0.0) / attempts * 0.8,
        "broke_a_test": signs.get("broke", 0.0) / attempts * 0.6,
    }
    kind = max(shares, key=lambda name: shares[name])
    if shares[kind] >= 0.25:
        return kind
    return "spent_all" if signs.get("spent_all") else "gave_up"


def clusters(results: Sequence[EpisodeResult]) -> dict[str, list[EpisodeResult]]:
    """Failed episodes by kind, the most frequent first."""
    found: dict[str, list[EpisodeResult]] = {}
    for result in results:
        if not result.solved:
            found.setdefault(classify(result), []).append(result)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))
