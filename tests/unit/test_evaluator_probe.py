"""Which episodes are compared before a race, and which candidates get its places."""

import itertools

import pytest

from agents.evaluator.probe import HOPELESS, MENDED_WORTH, choose, effect_shown, hope
from agents.planner.bandit import MOST_TRUSTED
from contracts.jobs import EpisodeResult


def episode(task: str, seed: str, *, solved: bool = False, calls: int = 9) -> EpisodeResult:
    return EpisodeResult(
        job=f"{task} {seed}",
        task_id=task,
        tree="t",
        seed=seed,
        score=float(solved),
        solved=solved,
        outcome="solved" if solved else "unsolved",
        model_calls=calls,
    )


def table(tasks: int, seeds: int) -> list[list[EpisodeResult]]:
    """Every fifth task is solved, and soon."""
    return [
        [
            episode(f"task-{t}", f"seed-{s}", solved=t % 5 == 0, calls=2 if t % 5 == 0 else 9)
            for s in range(seeds)
        ]
        for t in range(tasks)
    ]


def test_solved_and_unsolved_episodes_are_compared_as_often_as_they_come() -> None:
    chosen = choose(table(60, 1), 30)
    assert 2 <= sum(result.solved for result in chosen) <= 11
    assert choose(table(60, 1), 30) == chosen
    other = [[episode(f"task-{t}", "another seed")] for t in range(60)]
    assert [r.task_id for r in choose(other, 30)] != [r.task_id for r in chosen], "other seeds, other tasks"


@pytest.mark.parametrize("count", [1, 4, 5, 12, 99])
def test_no_task_comes_twice_before_every_task_came_once(count: int) -> None:
    chosen = choose(table(5, 2), count)
    assert len(chosen) == min(count, 10)
    assert len({result.task_id for result in chosen}) == min(count, 5)
    assert len({result.job for result in chosen}) == len(chosen)


def test_nothing_is_compared_where_there_is_nothing() -> None:
    assert choose([], 12) == []
    assert choose([[]], 12) == []


def test_probes_that_show_what_was_expected_change_nothing() -> None:
    assert hope(0.04, 0.04, 12) == pytest.approx(0.04)
    assert hope(0.04, -0.5, 0) == 0.04, "no probes, no news"


def test_the_more_probes_the_less_the_plan_counts() -> None:
    hopes = [hope(0.0, 0.1, probes) for probes in (0, 1, 4, 12, 72, 10_000)]
    assert all(a < b for a, b in itertools.pairwise(hopes))
    assert hopes[-1] == pytest.approx(0.1, abs=1e-3)


def test_a_helpful_edit_more_often_is_a_good_sign_without_any_solution() -> None:
    assert effect_shown(0.0, 0.25) > effect_shown(0.0, 0.0) == 0 > effect_shown(0.0, -0.25)
    assert effect_shown(0.1, 0.1 / MENDED_WORTH) == pytest.approx(0.1)


def test_what_only_a_hint_speaks_for_does_not_race_after_bad_probes() -> None:
    assert hope(MOST_TRUSTED, effect_shown(-0.1, -0.375), 8) < HOPELESS
    assert hope(MOST_TRUSTED, effect_shown(0.0, 0.0), 8) > HOPELESS
