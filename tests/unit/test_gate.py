import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from contracts.gate import (
    ArmScores,
    Confirmation,
    GateSettings,
    Verdict,
    confirm,
    cost_ratio,
    inconclusive,
    protected_tasks,
    race,
    recompute,
    release,
    release_alpha,
    release_key,
    verdict_key,
)
from contracts.statistics import wilson_upper

QUICK = GateSettings(resamples=100)  # p is counted exactly up to 32 clusters; the interval decides nothing
NAMES = tuple(f"package-{i}" for i in range(14))


def arm(scores: ArrayLike, tree: str = "tree", cost: float = 100.0) -> ArmScores:
    table = np.asarray(scores, dtype=float)
    return ArmScores(tree=tree, scores=tuple(map(tuple, table.tolist())), cost=cost, episodes=table.size)


def flat(level: float, tasks: int = 14, seeds: int = 4) -> ArmScores:
    return arm(np.full((tasks, seeds), level))


def coins(rng: np.random.Generator, odds: NDArray[np.float64], seeds: int) -> NDArray[np.bool_]:
    return rng.random((len(odds), seeds)) < odds[:, None]


def keeps(verdicts: Iterable[Verdict]) -> int:
    return sum(verdict.decision == "keep" for verdict in verdicts)


def test_a_clear_gain_is_kept() -> None:
    verdict = confirm(flat(0.4), flat(0.5), NAMES, QUICK, key="k")
    assert verdict.decision == "keep"
    assert verdict.effect == pytest.approx(0.1)
    assert verdict.p == 2**-14
    assert (verdict.clusters, verdict.pairs, verdict.exact) == (14, 56, True)
    assert verdict.reason == "Kept: effect +0.1000 [+0.1000, +0.1000], p = 0.0001 over 14 clusters."


def test_no_difference_is_reverted() -> None:
    verdict = confirm(flat(0.4), flat(0.4), NAMES, QUICK, key="k")
    assert (verdict.decision, verdict.p, verdict.effect) == ("revert", 1.0, 0.0)
    assert verdict.reason.startswith("Reverted: the evidence is too weak for a level of 0.2; ")


def test_a_gain_below_the_minimum_is_reverted() -> None:
    verdict = confirm(flat(0.4), flat(0.404), NAMES, QUICK, key="k")
    assert (verdict.decision, verdict.p) == ("revert", 2**-14)
    assert "below the minimum of 0.005" in verdict.reason


@pytest.mark.parametrize("cost", [151.0, math.nan])
def test_a_gain_that_is_bought_is_reverted(cost: float) -> None:
    bought = msgspec.structs.replace(flat(0.9), cost=cost)
    verdict = confirm(flat(0.4), bought, NAMES, QUICK, key="k")
    assert verdict.decision == "revert"
    assert "above the cap of 1.5" in verdict.reason


def test_cost_of_nothing() -> None:
    free, dear = flat(0.5), msgspec.structs.replace(flat(0.5), cost=3.0)
    free = msgspec.structs.replace(free, cost=0.0)
    assert cost_ratio(free, free) == 1
    assert cost_ratio(free, dear) == 1e9
    assert cost_ratio(dear, free) == 0


def test_reliably_solved_tasks_are_tested_together() -> None:
    old = np.full((14, 4), 0.2)
    old[:7] = 1.0
    new = np.full((14, 4), 1.0)
    new[:7] = 0.8
    protected = protected_tasks(arm(old), QUICK)
    assert protected == (True,) * 7 + (False,) * 7
    verdict = confirm(arm(old), arm(new), NAMES, QUICK, key="k", protected=protected)
    assert (verdict.decision, verdict.protected_p) == ("revert", 2**-7)
    assert "solved reliably became worse (p = 0.0078)" in verdict.reason
    assert confirm(arm(old), arm(new), NAMES, QUICK, key="k").decision == "keep"


def test_one_protected_task_that_got_worse_is_no_reason() -> None:
    old = np.full((14, 4), 0.5)
    old[:7] = 1.0
    new = np.full((14, 4), 0.9)
    new[:7] = 1.0
    new[0] = 0.5
    protected = protected_tasks(arm(old), QUICK)
    verdict = confirm(arm(old), arm(new), NAMES, QUICK, key="k", protected=protected)
    assert (verdict.decision, verdict.protected_p) == ("keep", 0.5)


def test_missing_scores_are_inconclusive() -> None:
    verdict = confirm(flat(0.1), flat(0.9), NAMES, QUICK, key="k", complete=False)
    assert verdict.decision == "inconclusive"
    assert inconclusive("The sandbox could not start.").p == 1


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="shapes"):
        confirm(flat(0.1), flat(0.1, seeds=5), NAMES, QUICK, key="k")
    with pytest.raises(ValueError, match="clusters"):
        race(flat(0.1), [flat(0.2)], NAMES[:3], QUICK)
    with pytest.raises(ValueError, match="protection"):
        confirm(flat(0.1), flat(0.1), NAMES, QUICK, key="k", protected=(True,))
    with pytest.raises(ValueError, match="no preset"):
        GateSettings.preset("lenient")
    with pytest.raises(ValueError, match="levels"):
        GateSettings(alpha=1.5)
    with pytest.raises(ValueError, match="counts"):
        GateSettings(race_seeds=0)


def test_presets() -> None:
    assert GateSettings.preset("default") == GateSettings()
    assert GateSettings.preset("strict").alpha == 0.02
    assert GateSettings().episodes(28) == 28 * (9 * 3 + 2 * 16)


def test_the_best_of_the_race_goes_on() -> None:
    outcome = race(flat(0.5), [flat(0.4), flat(0.7), flat(0.6)], NAMES, QUICK)
    assert outcome.best == 1
    assert outcome.effects == pytest.approx((-0.1, 0.2, 0.1))
    assert outcome.reason == "Candidate 2 of 3 leads the incumbent by +0.2000."


@pytest.mark.parametrize(
    ("candidates", "reason"),
    [
        ([], "no candidate"),
        ([flat(0.5), flat(0.4)], "None of 2 candidates beat the incumbent; the best came to +0.0000"),
        ([msgspec.structs.replace(flat(0.9), cost=1000.0), flat(0.5)], "costs more than 1.5 times"),
    ],
)
def test_a_race_without_a_winner(candidates: Sequence[ArmScores], reason: str) -> None:
    outcome = race(flat(0.5), candidates, NAMES, QUICK)
    assert outcome.best is None
    assert reason in outcome.reason


@given(st.permutations(range(4)))
def test_the_winner_does_not_depend_on_the_order_of_the_candidates(order: list[int]) -> None:
    field = [flat(0.6), flat(0.6), flat(0.6), flat(0.5)]
    field = [msgspec.structs.replace(a, tree=f"t{i}", cost=90.0 + (i == 0)) for i, a in enumerate(field)]
    outcome = race(flat(0.5), [field[i] for i in order], NAMES, QUICK)
    assert outcome.best is not None
    assert order[outcome.best] == 1


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.permutations(range(14)))
def test_a_verdict_is_recomputed_from_what_was_recorded_in_any_order(seed: int, order: list[int]) -> None:
    rng = np.random.default_rng(seed)
    odds = rng.beta(0.5, 1, 14)
    old, new = arm(coins(rng, odds, 4)), arm(coins(rng, np.minimum(1, odds + 0.1), 4), tree="new")
    record = Confirmation(
        incumbent=old,
        candidate=new,
        clusters=NAMES,
        protected=tuple((odds > 0.8).tolist()),
        settings=QUICK,
        key=verdict_key("campaign", 3, new.tree),
    )
    verdict = recompute(record)
    read = msgspec.json.decode(msgspec.json.encode(record), type=Confirmation)
    assert recompute(read) == verdict
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
    shuffled = msgspec.structs.replace(
        record,
        incumbent=msgspec.structs.replace(old, scores=tuple(old.scores[i] for i in order)),
        candidate=msgspec.structs.replace(new, scores=tuple(new.scores[i] for i in order)),
        clusters=tuple(NAMES[i] for i in order),
        protected=tuple(record.protected[i] for i in order),
    )
    assert recompute(shuffled) == verdict


def test_keys_follow_from_ids() -> None:
    assert verdict_key("c", 1, "t") == verdict_key("c", 1, "t")
    assert len({verdict_key("c", 1, "t"), verdict_key("c", 2, "t"), verdict_key("c", 1, "t", "salt")}) == 3
    assert release_key("c", 1, "t") != release_key("c", 2, "t")


def test_identical_arms_are_kept_no_more_often_than_the_level() -> None:
    rng = np.random.default_rng(20_260)
    odds = rng.beta(0.5, 1.0, 14)
    verdicts = [
        confirm(arm(coins(rng, odds, 8)), arm(coins(rng, odds, 8)), NAMES, QUICK, key=f"{i}")
        for i in range(2000)
    ]
    assert wilson_upper(keeps(verdicts), 2000) <= QUICK.alpha + 0.015


def test_effects_that_differ_between_clusters_and_sum_to_nothing_are_kept_no_more_often_than_the_level() -> (
    None
):
    rng = np.random.default_rng(20_261)
    verdicts = []
    for i in range(1000):
        odds = rng.uniform(0.3, 0.7, 7)
        shift = rng.normal(0, 0.15, 7).clip(-0.3, 0.3)  # a mean of 0 over the population of packages
        names = [name for name in NAMES[:7] for _ in range(2)]
        old, new = np.repeat(odds, 2), np.repeat(odds + shift, 2)
        verdicts.append(confirm(arm(coins(rng, old, 4)), arm(coins(rng, new, 4)), names, QUICK, key=f"{i}"))
    assert wilson_upper(keeps(verdicts), 1000) <= QUICK.alpha + 0.02


def test_a_race_of_null_candidates_does_not_inflate_what_is_kept() -> None:
    rng = np.random.default_rng(20_262)
    odds = rng.beta(0.5, 1.0, 14)
    verdicts = []
    for i in range(600):
        incumbent = arm(coins(rng, odds, 3))
        field = [arm(coins(rng, odds, 3), tree=f"t{j}") for j in range(4)]
        if race(incumbent, field, NAMES, QUICK).best is not None:
            verdicts.append(
                confirm(
                    arm(coins(rng, odds, 8)),
                    arm(coins(rng, odds, 8)),
                    NAMES,
                    QUICK,
                    key=f"{i}",
                    protected=protected_tasks(incumbent, QUICK),
                )
            )
    assert len(verdicts) > 400
    assert wilson_upper(keeps(verdicts), 600) <= QUICK.alpha + 0.015


def test_power_grows_with_the_effect_and_with_seeds() -> None:
    rng = np.random.default_rng(20_263)
    odds = rng.uniform(0.2, 0.6, 14)

    def rate(effect: float, seeds: int) -> float:
        runs = range(120)
        pairs = ((arm(coins(rng, odds, seeds)), arm(coins(rng, odds + effect, seeds))) for _ in runs)
        return keeps([confirm(old, new, NAMES, QUICK, key="k") for old, new in pairs]) / len(runs)

    assert rate(0.05, 4) < rate(0.1, 8) < rate(0.2, 8)
    assert rate(0.2, 16) > 0.95


def test_a_stricter_preset_keeps_a_part_of_what_the_default_keeps() -> None:
    rng = np.random.default_rng(20_264)
    strict = msgspec.structs.replace(GateSettings.preset("strict"), resamples=100)
    for i in range(100):
        odds = rng.uniform(0.2, 0.6, 14)
        old, new = arm(coins(rng, odds, 6)), arm(coins(rng, odds + 0.05, 6))
        if confirm(old, new, NAMES, strict, key=f"{i}").decision == "keep":
            assert confirm(old, new, NAMES, QUICK, key=f"{i}").decision == "keep"


# Simpler ones


def shifted(effect: float, growth: int, rule: GateSettings = QUICK, old: float = 0.4) -> Verdict:
    return confirm(flat(old), flat(old + effect), NAMES, rule, key="k", growth=growth)


def test_only_what_is_simpler_may_be_worse() -> None:
    assert [QUICK.margin(growth) for growth in (-9, -1, 0, 1)] == [0.01, 0.01, 0.0, 0.0]
    with pytest.raises(ValueError, match="counts as equal"):
        GateSettings(equivalence=1.0)
    with pytest.raises(ValueError, match="counts as equal"):
        GateSettings(equivalence=-0.01)


@pytest.mark.parametrize("effect", [0.0, -0.005, -0.0099, 0.002, 0.1])
def test_of_two_equal_harnesses_the_simpler_is_kept(effect: float) -> None:
    verdict = shifted(effect, -3)
    assert (verdict.decision, verdict.p) == ("keep", 2**-14)
    assert verdict.effect == pytest.approx(effect)
    assert verdict.reason.endswith("over 14 clusters; simpler by 3, may be worse by 0.01.")
    for growth in (0, 3):
        assert shifted(effect, growth).decision == ("keep" if effect == 0.1 else "revert")


@pytest.mark.parametrize("effect", [-0.01, -0.02, -0.4])
def test_a_simpler_harness_that_is_worse_by_the_margin_or_more_is_reverted(effect: float) -> None:
    verdict = shifted(effect, -300)
    assert (verdict.decision, verdict.p) == ("revert", 1.0)
    assert "the evidence is too weak" in verdict.reason
    assert "below the minimum" not in verdict.reason


def test_without_a_margin_a_simpler_harness_has_to_be_better_too() -> None:
    strict = msgspec.structs.replace(QUICK, equivalence=0.0)
    assert shifted(0.0, -3, strict).decision == "revert"
    assert "below the minimum" in shifted(0.004, -3, strict).reason
    assert shifted(0.1, -3, strict).decision == "keep"


def test_being_simpler_buys_neither_cost_nor_harm() -> None:
    dear = msgspec.structs.replace(flat(0.4), cost=200.0)
    assert "above the cap" in confirm(flat(0.4), dear, NAMES, QUICK, key="k", growth=-3).reason
    old, new = np.full((14, 4), 0.2), np.full((14, 4), 0.9)
    old[:7], new[:7] = 1.0, 0.9
    protected = protected_tasks(arm(old), QUICK)
    verdict = confirm(arm(old), arm(new), NAMES, QUICK, key="k", protected=protected, growth=-3)
    assert (verdict.decision, verdict.effect > 0) == ("revert", True)
    assert "solved reliably became worse" in verdict.reason


SAVING = msgspec.structs.replace(QUICK, cheaper=0.2)


def at_cost(effect: float, ratio: float, rule: GateSettings = SAVING) -> Verdict:
    old = msgspec.structs.replace(flat(0.4), cost=100.0)
    new = msgspec.structs.replace(flat(0.4 + effect), cost=100.0 * ratio)
    return confirm(old, new, NAMES, rule, key="k", growth=5)


def test_what_keeps_the_score_at_less_cost_is_kept_where_that_is_wanted() -> None:
    verdict = at_cost(-0.005, 0.8)
    assert verdict.decision == "keep"
    assert verdict.reason.endswith("; at 0.80 of the cost, may be worse by 0.01.")
    assert at_cost(-0.005, 0.81).decision == "revert", "it does not save enough"
    assert at_cost(-0.02, 0.5).decision == "revert", "it is worse than what counts as equal"
    assert at_cost(-0.005, 0.5, QUICK).decision == "revert", "nobody asked for savings"
    with pytest.raises(ValueError, match="as cheaper"):
        GateSettings(cheaper=1.0)


def test_a_cheaper_candidate_goes_on_where_none_is_ahead() -> None:
    old = msgspec.structs.replace(flat(0.4), cost=100.0)
    cheap = msgspec.structs.replace(flat(0.395), cost=50.0)
    outcome = race(old, [flat(0.39), cheap], NAMES, SAVING, growth=[3, 3])
    assert (outcome.best, outcome.reason) == (1, "Candidate 2 of 2 is cheaper, at -0.0050.")
    assert race(old, [cheap], NAMES, QUICK, growth=[3]).best is None


@pytest.mark.parametrize("margin", [0.05, 0.1])
def test_what_is_truly_worse_by_the_margin_is_kept_no_more_often_than_the_level(margin: float) -> None:
    rng = np.random.default_rng(20_265)
    rule = msgspec.structs.replace(QUICK, equivalence=margin)
    verdicts = []
    for i in range(1500):
        odds = rng.uniform(0.2, 0.8, 14)
        old, new = arm(coins(rng, odds, 8)), arm(coins(rng, odds - margin, 8))
        verdicts.append(confirm(old, new, NAMES, rule, key=f"{i}", growth=-1))
    assert wilson_upper(keeps(verdicts), 1500) <= rule.alpha + 0.015
    assert keeps(verdicts) > 0.05 * 1500, "the test is not idle"


def test_harnesses_that_are_equal_are_told_to_be_so_the_more_surely_the_wider_the_margin() -> None:
    rng = np.random.default_rng(20_266)
    rates = []
    for margin in (0.0, 0.05, 0.1):
        rule = msgspec.structs.replace(QUICK, equivalence=margin)
        odds = rng.uniform(0.2, 0.8, 14)
        pairs = ((arm(coins(rng, odds, 16)), arm(coins(rng, odds, 16))) for _ in range(120))
        rates.append(keeps([confirm(old, new, NAMES, rule, key="k", growth=-1) for old, new in pairs]) / 120)
    assert rates[0] < 0.2 < rates[1] < rates[2]
    assert rates[2] > 0.7


def test_the_race_prefers_the_simpler_of_equals() -> None:
    field = [msgspec.structs.replace(flat(0.6), tree=f"t{i}", cost=100.0 - i) for i in range(3)]
    assert race(flat(0.5), field, NAMES, QUICK, (0, -2, -1)).best == 1
    assert race(flat(0.5), field, NAMES, QUICK, (4, 9, 5)).best == 0
    assert race(flat(0.5), field, NAMES, QUICK, (1, 1, 1)).best == 2  # then the cheapest
    assert race(flat(0.5), field, NAMES, QUICK).best == 2
    better = [*field, flat(0.601)]
    assert race(flat(0.5), better, NAMES, QUICK, (-9, -9, -9, 99)).best == 3


def test_where_nothing_is_ahead_the_best_of_the_simpler_goes_on() -> None:
    field = [flat(0.5), flat(0.495), flat(0.5), flat(0.3)]
    outcome = race(flat(0.5), field, NAMES, QUICK, (0, -9, -2, -99))
    assert (outcome.best, outcome.reason) == (2, "Candidate 3 of 4 is simpler, at +0.0000.")
    assert (
        race(flat(0.5), field[1:2], NAMES, QUICK, (-1,)).reason == "Candidate 1 of 1 is simpler, at -0.0050."
    )
    assert race(flat(0.5), field, NAMES, QUICK, (0, 0, 1, -99)).best is None  # too much worse
    assert race(flat(0.5), [flat(0.49)], NAMES, QUICK, (-1,)).best is None  # by as much as the margin
    dear = msgspec.structs.replace(flat(0.5), cost=1000.0)
    assert race(flat(0.5), [dear], NAMES, QUICK, (-1,)).best is None
    ahead = race(flat(0.5), [flat(0.5), flat(0.51)], NAMES, QUICK, (-50, 10))
    assert (ahead.best, ahead.reason) == (1, "Candidate 2 of 2 leads the incumbent by +0.0100.")


@given(st.permutations(range(5)), st.sampled_from([0.5, 0.6]))
def test_the_winner_among_simpler_ones_does_not_depend_on_their_order(order: list[int], level: float) -> None:
    growth = (-1, -4, -4, 0, 3)
    field = [msgspec.structs.replace(flat(level), tree=f"t{i}", cost=90.0 + (i == 1)) for i in range(5)]
    outcome = race(flat(0.5), [field[i] for i in order], NAMES, QUICK, [growth[i] for i in order])
    assert outcome.best is not None
    assert order[outcome.best] == 2


def test_a_recorded_verdict_on_a_simpler_harness_is_recomputed() -> None:
    record = Confirmation(
        incumbent=flat(0.5),
        candidate=flat(0.495),
        clusters=NAMES,
        protected=(False,) * 14,
        settings=QUICK,
        key="k",
        growth=-2,
    )
    read = msgspec.json.decode(msgspec.json.encode(record), type=Confirmation)
    assert recompute(read).decision == "keep"
    assert recompute(read) == recompute(record)
    assert recompute(msgspec.structs.replace(record, growth=2)).decision == "revert"


def test_levels_of_all_releases_together_stay_below_the_family_level() -> None:
    assert release_alpha(1) == pytest.approx(0.0304, abs=1e-4)
    assert sum(release_alpha(check) for check in range(1, 10_000)) < 0.05
    with pytest.raises(ValueError, match="from 1"):
        release_alpha(0)


def test_a_release_answers_with_a_rounded_estimate() -> None:
    verdict = release(flat(0.4), flat(0.53), NAMES, 2, key="k")
    assert (verdict.passed, verdict.p, verdict.estimate_rounded) == (True, 2**-14, 0.15)
    assert verdict.alpha == release_alpha(2)
    assert verdict.reason.startswith("Passed at check 2: effect +0.1300")
    refused = release(flat(0.4), flat(0.4), NAMES, 1, key="k")
    assert (refused.passed, refused.estimate_rounded) == (False, 0.0)
