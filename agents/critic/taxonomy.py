"""How failed episodes fail: a taxonomy, decided from transcripts and from what the host saw of each episode."""

from collections.abc import Collection, Mapping, Sequence

from agents.critic.story import Story, stands_elsewhere, still_stands
from contracts.jobs import EpisodeResult

KINDS = {
    "harness_fault": "the harness itself failed: an error, too much CPU time, memory or output",
    "overfitted": "the visible tests passed and hidden ones did not",
    "no_attempt": "no edit was made at all",
    "lost_a_fix": "an edit mended tests and did not last",
    "one_of_several": "one place was mended while the same text stands in others",
    "fixed_some": "some failing tests were mended, others were not",
    "never_reached": "no edit was on a line where other episodes mended this task",
    "reached_in_vain": "edits were on the right line, and none was the right one",
    "off_the_trace": "most edits were on lines that no failing test runs",
    "repeated_itself": "a good part of the edits had been tried before",
    "broke_a_test": "many edits broke tests that had passed",
    "spent_all": "the budget was spent",
    "gave_up": "the episode ended before its budget was spent",
}
"""Word → what it says. The first three stand alone; of the others an episode can show several."""

SHARE = 0.25
"""Share of an episode's edits from which a habit counts as a way to fail."""


def classify(result: EpisodeResult, story: Story, known: Collection[str] = ()) -> tuple[str, ...]:
    """The ways in which an episode that was not solved failed, in the order of `KINDS`.

    `known` are the places (`path:line`) at which some episode of this task made failing tests pass.
    """
    if result.outcome in ("error", "cpu", "memory", "protocol", "output"):
        return ("harness_fault",)
    if result.visible_passed:
        return ("overfitted",)
    if not result.signs.get("attempts"):
        return ("no_attempt",)
    found = {*_fixes(story), *_places(result, story, known), *_habits(result)}
    found.add("spent_all" if result.signs.get("spent_all") else "gave_up")
    return tuple(kind for kind in KINDS if kind in found)


def _fixes(story: Story) -> set[str]:
    """What became of the edits that helped."""
    mended = story.mended
    if not mended:
        return set()
    standing = [attempt for attempt in mended if still_stands(attempt, story.files)]
    if not standing:
        return {"lost_a_fix"}
    lost = {attempt.place for attempt in mended} - {attempt.place for attempt in standing}
    found = {"lost_a_fix"} if lost else set()
    several = any(stands_elsewhere(attempt, story.files) for attempt in standing)
    return found | {"one_of_several" if several else "fixed_some"}


def _places(result: EpisodeResult, story: Story, known: Collection[str]) -> set[str]:
    """Whether the edits came to where the mistake is, as far as anybody knows."""
    if story.mended:
        return set()
    if known:
        reached = any(attempt.place in known for attempt in story.attempts)
        return {"reached_in_vain" if reached else "never_reached"}
    off = result.signs.get("off_trace", 0.0) / result.signs["attempts"]
    return {"off_the_trace"} if off >= 2 * SHARE else set()


def _habits(result: EpisodeResult) -> set[str]:
    signs = result.signs
    tests = signs.get("helped", 0.0) + signs.get("broke", 0.0) + signs.get("useless", 0.0)
    shares = {
        "repeated_itself": signs.get("repeats", 0.0) / signs["attempts"],
        "broke_a_test": signs.get("broke", 0.0) / tests if tests else 0.0,
    }
    return {kind for kind, share in shares.items() if share >= SHARE}


def clusters(
    results: Sequence[EpisodeResult], stories: Mapping[str, Story], known: Mapping[str, Collection[str]]
) -> dict[str, list[EpisodeResult]]:
    """Failed episodes by the ways in which they failed, the most frequent first; one can stand in several.

    `stories` are found by the id of the job, `known` places by the id of the task.
    """
    found: dict[str, list[EpisodeResult]] = {}
    for result in results:
        if not result.solved:
            for kind in classify(result, stories[result.job], known.get(result.task_id, ())):
                found.setdefault(kind, []).append(result)
    return dict(sorted(found.items(), key=lambda item: (-len(item[1]), item[0])))
