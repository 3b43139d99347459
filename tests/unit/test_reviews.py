"""What is told of the critic's reviews, and how good its rejections were."""

import asyncio
from io import StringIO
from typing import Any

import msgspec
from rich.console import Console

from agents.cli.progress import describe
from contracts import events as e
from contracts.gate import ArmScores
from eventstore.audit.archive import Snapshot
from eventstore.audit.facts import build
from eventstore.audit.history import gather
from eventstore.audit.report import markdown, review_sentences
from eventstore.audit.reviews import Reviews, count_reviews
from eventstore.audit.rounds import CandidateHistory, History, RoundHistory
from eventstore.audit.terminal import draw_report, draw_round
from eventstore.audit.testing import synthetic_campaign
from eventstore.testing import MemoryStore


def plan(operator: str = "think") -> e.Plan:
    return e.Plan(
        surface="rule", operator=operator, arm="a", change={}, title="t", evidence="", root_cause="", risks="",
        prediction=e.Prediction(effect=0.0),
    )  # fmt: skip


def reviewed(number: int, word: str, **more: Any) -> CandidateHistory:
    review = e.ChangeReviewed(
        campaign="c", round=1, candidate=number, approved=word == "approved", sampled=word == "sampled",
        model="" if word == "named" else "m",
    )  # fmt: skip
    return CandidateHistory(number=number, parent="p", plan=plan(), review=review, **more)


def round_of(*candidates: CandidateHistory, shown: dict[str, float] | None = None) -> RoundHistory:
    raced = e.CandidatesRaced(
        campaign="c",
        round=1,
        seeds=(),
        incumbent=ArmScores(tree="t"),
        candidates=(),
        effects=(),
        shown=shown or {},
    )
    return RoundHistory(campaign="c", number=1, tree="t", head="t", candidates=candidates, raced=raced)


def test_rejections_are_right_where_what_ran_on_trial_did_no_better() -> None:
    found = count_reviews(
        [
            round_of(
                reviewed(0, "approved", effect=0.02),
                reviewed(1, "approved", effect=-0.02),
                reviewed(2, "approved"),
                reviewed(3, "named", status="rejected"),
                reviewed(4, "rejected", status="rejected"),
                reviewed(5, "sampled", effect=0.01),
                reviewed(6, "sampled", effect=0.0),
                reviewed(7, "sampled", status="inert"),
                reviewed(8, "sampled"),
                reviewed(9, "sampled"),
                CandidateHistory(number=10, parent="p", plan=plan("compose"), effect=0.1),
                shown={"8": -0.03},
            )
        ]
    )
    assert found == Reviews(
        approved=3,
        named=1,
        rejected=6,
        sampled=5,
        measured=4,
        right=3,
        approved_measured=2,
        approved_no_better=1,
    )
    assert (found.precision, found.base) == (0.75, 0.5)
    assert Reviews().precision is None


def campaign(**asked: Any) -> tuple[MemoryStore, History]:
    store = MemoryStore(clock=lambda: 1.0)
    asyncio.run(synthetic_campaign(store, rounds=8, seed=5, **asked))
    return store, gather(store.events)


def shown(drawn: Any) -> str:
    console = Console(file=StringIO(), width=200)
    console.print(drawn)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_report_and_show_tell_of_reviews_and_of_plans_that_are_none() -> None:
    store, history = campaign(free=True)
    archive = Snapshot(store.events, store.blobs)
    report = build(archive, history)
    assert report.dropped > 0
    assert report.reviews.measured > 0
    text, drawn = markdown(report), shown(draw_report(report))
    for sentence in review_sentences(report):
        assert sentence in text
        assert sentence in " ".join(drawn.split())
    assert "of the rejections were right" in text
    told = history.campaign
    assert told is not None
    pages = [shown(draw_round(archive, told, round_)) for round_ in told.rounds]
    assert any("Plans that are none" in page and "sealed-01" in page for page in pages)
    for words in (
        "review (names): it treats task-01",
        "review (scope)",
        ", on trial; review (plan, answers)",
    ):
        assert any(words in page for page in pages), words
    rejected = [c for r in told.rounds for c in r.candidates if c.review and not c.review.approved]
    assert {c.status for c in rejected if not c.review.sampled} == {"rejected"}  # type: ignore[union-attr]
    assert all(c.effect is None for c in rejected if c.status == "rejected")


def test_only_plans_that_a_model_made_are_counted_as_unusable() -> None:
    store, history = campaign()
    told = history.campaign
    assert told is not None
    came = [
        e.DroppedPlan(title="Look", reason="no surface"),
        e.DroppedPlan(title="", reason="the answer is no plan: it is empty", what="answer"),
        e.DroppedPlan(title="", reason="the model was not asked: no budget", what="nothing"),
        e.DroppedPlan(title="", reason="the model was not asked: no budget", what="nothing"),
    ]
    rounds = [msgspec.structs.replace(each, dropped=()) for each in told.rounds]
    rounds[:4] = [msgspec.structs.replace(each, dropped=(d,)) for each, d in zip(rounds, came, strict=False)]
    history = msgspec.structs.replace(
        history, campaigns=(msgspec.structs.replace(told, rounds=tuple(rounds)),)
    )
    sentences = review_sentences(build(Snapshot(store.events, store.blobs), history))
    assert sentences == [
        "1 plan of the planner's model could not be used.",
        "In 1 round the answer of the planner's model held no plan.",
        "In 2 rounds the planner's model was not asked; `ratchet show ROUND` says why.",
    ]


def test_without_models_nothing_is_said_of_reviews() -> None:
    store, history = campaign()
    report = build(Snapshot(store.events, store.blobs), history)
    assert review_sentences(report) == []
    assert "Reviews" not in markdown(report)


def test_rejections_that_nobody_measured_are_said_to_be_unmeasured() -> None:
    store, history = campaign()
    report = build(Snapshot(store.events, store.blobs), history)
    report = msgspec.structs.replace(report, reviews=Reviews(rejected=2))
    assert "nothing is known of how often it is right" in " ".join(review_sentences(report))


def test_progress_tells_of_rejections_without_taking_a_models_words_for_markup() -> None:
    _, history = campaign()
    event = e.ChangeReviewed(
        campaign="c", round=1, candidate=3, approved=False, reasons=("it says [/] \x1b[31m in rules/x.py",)
    )
    [line] = describe(event, history.state)
    drawn = shown(line)
    assert "rejects change 3: it says [/]" in drawn
    assert "\x1b" not in drawn
    assert not describe(msgspec.structs.replace(event, approved=True), history.state)
    dropped = e.PlansDropped(campaign="c", round=1, plans=(e.DroppedPlan(title="[b]", reason="no surface"),))
    assert "no surface" in describe(dropped, history.state)[0]
