"""Campaigns driven to their end by whatever is due, with faults, late answers and an operator who interferes."""

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import reduce
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts import events as e
from contracts import gate
from contracts.duties import ROLES, Duty, approval_needed, duties, stop_reason
from contracts.envelope import GENESIS, Envelope, NewEvent, blob_hash, seal
from contracts.gate import ArmScores, GateSettings
from contracts.lineage import ARCHIVE, PLACES, Campaign, Fixes, Lineage, Round, fold, state_hash
from contracts.settings import CampaignSettings, Limits, Spent, SuiteManifest, TaskRef

FAR = 1e12
"""Seconds: later than every deadline."""
HEADS = {"HarnessSeeded", "ChangeKept", "HeadReset"}

PRACTICE = tuple(TaskRef(id=f"practice-{i}", package=f"p{i}", blob=f"b{i}") for i in range(4))
SEALED = tuple(TaskRef(id=f"sealed-{i}", package=f"s{i}", blob=f"c{i}") for i in range(2))
SUITE = SuiteManifest(name="small", digest="d", practice=PRACTICE, sealed=SEALED)


class Driver:
    """A store of one stream, and everybody who writes to it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.state = Lineage()
        self.envelopes: list[Envelope] = []
        self.hashes = [state_hash(self.state)]
        self.answered: set[str] = set()
        self.now = 1_000.0
        self.meddling = 5
        self.trees = 0
        self.faults = 0.0
        self.operator = 0

    # The store

    def append(self, events: Sequence[e.Event], duty: str) -> None:
        for index, event in enumerate(events):
            self.append_new(e.encode(event, duty=duty, index=index, actor="test", correlation="c"))
        assert not {due.key for _, due in self.open()} & self.answered, "an answered duty is open again"

    def append_new(self, new: NewEvent) -> None:
        version = len(self.envelopes) + 1
        prev = self.envelopes[-1].hash if self.envelopes else GENESIS
        envelope = seal(
            new, stream="lineage/main", version=version, position=3 * version, at=self.now, prev=prev
        )
        before = self.state
        self.state = fold(before, envelope)
        self.envelopes.append(envelope)
        self.hashes.append(state_hash(self.state))
        self.check(before, envelope)

    def check(self, before: Lineage, envelope: Envelope) -> None:
        """What holds after every event."""
        event, state = e.decode(envelope), self.state
        if (before.head, before.versions) != (state.head, state.versions):
            assert envelope.type in HEADS
            assert state.versions[-1].tree == state.head
        if isinstance(event, e.ChangeKept):
            assert event.parent == before.head, "a kept change undid what a person had set"
        if isinstance(event, e.RoundOpened) and before.campaign is not None:
            assert not before.campaign.exhausted, "a round was opened that nothing can pay for"
        if isinstance(event, e.RoundClosed):
            assert event.state_hash == self.hashes[event.state_version]
        if isinstance(event, e.Unknown):
            assert state == msgspec.structs.replace(
                before,
                unknown=before.unknown + 1,
                version=envelope.version,
                hash=envelope.hash,
                position=envelope.position,
            )
        assert all(0 < len(set(found)) == len(found) <= PLACES for found in state.places.values())
        campaign = state.campaign
        if campaign is not None:
            limit = campaign.settings.limits.episodes
            assert not limit or campaign.spent.episodes <= limit, "more was spent than granted"
            if before.campaign is not None and before.campaign.status == "finished":
                assert campaign.status in {"finished", "requested"}

    # Whose turn it is

    def open(self, now: float | None = None) -> list[tuple[str, Duty]]:
        found = [
            (role, duty)
            for role in ROLES
            for duty in duties(role, self.state, self.now if now is None else now)
        ]
        keys = [duty.key for _, duty in found]
        assert len(keys) == len(set(keys))
        return found

    @property
    def campaign(self) -> Campaign:
        assert self.state.campaign is not None
        return self.state.campaign

    @property
    def round(self) -> Round:
        assert self.campaign.round is not None
        return self.campaign.round

    def drive(self, *, until: Callable[["Driver"], bool] | None = None) -> int:
        """Answer duties until the campaign is finished; answers the number of steps."""
        gate_settings = self.campaign.settings.gate
        bound = 20 + self.campaign.settings.rounds * (16 + gate_settings.candidates) + 4 * self.meddling
        for step in range(bound):
            if self.campaign.status == "finished" or (until is not None and until(self)):
                return step
            self.step()
        pytest.fail(f"not finished after {bound} steps: {self.campaign}")

    def step(self) -> None:
        self.now += self.chance.choice((0.0, 1.0, 7.5))
        found = self.open()
        if not found:
            self.unblock()
            return
        role, duty = self.chance.choice(found)
        events = getattr(self, f"_{duty.kind}")(duty)  # the answer of an agent that saw this state …
        if self.meddling and self.chance.random() < 0.15:
            self.meddle()  # … and meanwhile something else is written
        if duty in duties(role, self.state, self.now):
            assert duty.key not in self.answered
            self.answered.add(duty.key)
            self.append(events, duty.key)

    def unblock(self) -> None:
        """Nothing is due: then a person is asked, or has paused the campaign; and time alone helps the first."""
        if self.campaign.status == "paused":
            self.operate(e.CampaignResumed(campaign=self.campaign.id))
            return
        approval = self.round.approval
        assert approval is not None
        assert approval.status == "open", "a deadlock"
        assert [duty.kind for _, duty in self.open(approval.deadline + 0.1)] == ["deny"]
        answer = self.chance.choice(("grant", "deny", "silence", "other"))
        if answer == "grant":
            self.operate(e.ApprovalGranted(approval=approval.id, by="me"))
        elif answer == "deny":
            self.operate(e.ApprovalDenied(approval=approval.id, by="me"))
        else:
            if answer == "other":
                self.operate(e.ApprovalGranted(approval="of something else", by="me"))
            self.now = approval.deadline + 1

    # A person

    def operate(self, event: e.Event) -> None:
        self.operator += 1
        self.append([event], f"operator/{self.operator}")

    def meddle(self) -> None:
        self.meddling -= 1
        kind = self.chance.choice(
            ("reset", "reset", "pause", "resume", "unknown", "newer", "both answers", "spent")
        )
        if kind == "reset":
            version = self.chance.choice(self.state.versions)
            self.operate(e.HeadReset(tree=version.tree, reason="a person wants it"))
        elif kind == "pause":
            self.operate(e.CampaignPaused(campaign=self.campaign.id, reason="lunch"))
        elif kind == "resume":
            self.operate(e.CampaignResumed(campaign=self.campaign.id))
        elif kind == "spent":
            self.operate(e.BudgetSpent(campaign=self.campaign.id, reason="nothing is left", cost=1.0))
        elif kind == "both answers":
            asked = self.campaign.round.approval if self.campaign.round else None
            for answer in (e.ApprovalGranted, e.ApprovalDenied):
                self.operate(answer(approval=asked.id if asked else "none", by="two persons"))
        else:
            self.operator += 1
            self.append_new(
                NewEvent(
                    event_id=f"unknown-{self.operator}",
                    type="HeadReset" if kind == "newer" else "HeadTurned",
                    payload=b'{"tree": "x", "reason": "from the future"}',
                    schema=99,
                )
            )

    def request(self, campaign: str, asked: CampaignSettings, suite: SuiteManifest = SUITE) -> None:
        self.operate(
            e.CampaignRequested(campaign=campaign, settings=asked, suite=suite, fingerprint="weights")
        )

    # What agents answer

    def arm(self, tree: str, tasks: int, seeds: int, better: float = 0.0) -> ArmScores:
        luck = random.Random(self.chance.getrandbits(32))
        scores = [
            [min(1.0, max(0.0, luck.gauss(0.4 + better, 0.2))) for _ in range(seeds)] for _ in range(tasks)
        ]
        return ArmScores(
            tree=tree, scores=tuple(map(tuple, scores)), cost=luck.choice((1.0, 1.2)), episodes=tasks * seeds
        )

    def spent(self, *arms: ArmScores) -> Spent:
        episodes = sum(arm.episodes for arm in arms)
        return Spent(episodes=episodes, tokens=episodes * self.chance.randint(1, 100), cost=0.01 * episodes)

    def fault(self) -> bool:
        return self.chance.random() < self.faults

    def _start(self, _: Duty) -> list[e.Event]:
        return [e.CampaignStarted(campaign=self.campaign.id, tree=self.state.head, fingerprint="weights")]

    def _open(self, _: Duty) -> list[e.Event]:
        number = self.campaign.rounds_done + 1
        return [e.RoundOpened(campaign=self.campaign.id, round=number, tree=self.state.head)]

    def _execute(self, _: Duty) -> list[e.Event]:
        seeds = self.campaign.settings.gate.race_seeds
        arm = self.arm(self.round.tree, len(self.campaign.suite.practice), seeds)
        broken = self.fault()
        return [
            e.TasksExecuted(
                campaign=self.campaign.id,
                round=self.round.number,
                seeds=tuple(f"s{i}" for i in range(seeds)),
                incumbent=ArmScores(tree=self.round.tree) if broken else arm,
                spent=self.spent(arm),
                complete=not broken,
            )
        ]

    def _analyze(self, _: Duty) -> list[e.Event]:
        cluster = e.FailureCluster(kind="gave_up", count=3, share=1.0, tasks=("practice-0",), example="blob")
        failures = self.chance.choice(((), (cluster,)))
        return [
            e.FailuresAnalyzed(
                campaign=self.campaign.id,
                round=self.round.number,
                failures=failures,
                summary="so",
                fixes=tuple(
                    e.Fix(kind=kind, count=self.chance.randint(0, 3), tried=self.chance.randint(3, 9))
                    for kind in self.chance.sample(["operator", "constant", "slice"], 2)
                ),
                places={
                    f"practice-{self.chance.randint(0, 3)}": tuple(
                        f"a.py:{line}" for line in self.chance.sample(range(1, 12), 3)
                    )
                },
            )
        ]

    def _plan(self, _: Duty) -> list[e.Event]:
        count = self.chance.randint(1, self.campaign.settings.gate.candidates)
        free = self.chance.choice((0, 0, 1, 2))
        dropped = e.PlansDropped(
            campaign=self.campaign.id,
            round=self.round.number,
            plans=(e.DroppedPlan(title="look into the tests", reason="there is no such surface"),),
        )
        return [
            *([dropped] if free else []),
            *(self._planned(number, "think" if number < free else "compose") for number in range(count)),
        ]

    def _planned(self, number: int, operator: str) -> e.Event:
        return e.ChangePlanned(
            campaign=self.campaign.id,
            round=self.round.number,
            candidate=number,
            parent=self.round.tree,
            plan=e.Plan(
                surface="rule",
                operator=operator,
                arm=f"action:{self.chance.choice('abcdef')}",
                change={"name": f"r{number}", "predicate": ["always", {}], "text": "x" * 200},
                title="on tested, when always: tell",
                evidence="3 failed episodes of kind gave_up: the episode ended early",
                root_cause="gave_up",
                risks="it may fire where it does harm",
                prediction=e.Prediction(
                    effect=0.01, flips=tuple(task.id for task in self.campaign.suite.practice[:6])
                ),
            ),
        )

    def _review(self, duty: Duty) -> list[e.Event]:
        candidate = next(c for c in self.round.candidates if c.number == duty.candidate)
        assert candidate.plan.operator == "think"
        assert candidate.status == "proposed"
        approved = self.chance.random() < 0.5
        return [
            e.ChangeReviewed(
                campaign=self.campaign.id,
                round=self.round.number,
                candidate=duty.candidate,
                approved=approved,
                reasons=() if approved else ("it names a task",),
                checks=() if approved else ("names",),
                sampled=not approved and self.chance.random() < 0.5,
            )
        ]

    def _patch(self, duty: Duty) -> list[e.Event]:
        common: dict[str, Any] = {
            "campaign": self.campaign.id,
            "round": self.round.number,
            "candidate": duty.candidate,
        }
        if self.chance.random() < 0.25:
            return [e.ChangeRejected(**common, stage="start", reason="it does not start")]
        self.trees += 1
        tree = blob_hash(f"tree {self.trees}".encode())
        growth = self.chance.choice((-3, 0, 8))
        return [e.ChangeProposed(**common, parent=self.round.tree, tree=tree, patch="a diff", growth=growth)]

    def _race(self, _: Duty) -> list[e.Event]:
        round_, suite = self.round, self.campaign.suite
        seeds = self.campaign.settings.gate.race_seeds
        probed = [c for c in round_.candidates if c.status == "proposed"]
        for candidate in probed:
            assert (candidate.review is not None) == candidate.plan.free, "raced without a review"
            assert candidate.review is None or candidate.review.approved or candidate.review.sampled
        left_out = self.chance.randrange(len(probed)) if self.chance.random() < 0.3 else 0
        proposed, shown = probed[left_out:], {str(c.number): 0.25 for c in probed}
        incumbent = self.arm(round_.tree, len(suite.practice), seeds)
        arms = [
            self.arm(c.tree, len(suite.practice), seeds, self.chance.choice((-0.2, 0.3))) for c in proposed
        ]
        common: dict[str, Any] = {"campaign": self.campaign.id, "round": round_.number, "seeds": round_.seeds}
        if self.fault():
            return [
                e.CandidatesRaced(
                    **common,
                    incumbent=ArmScores(tree=round_.tree),
                    candidates=(),
                    effects=(),
                    spent=self.spent(*arms),
                    complete=False,
                )
            ]
        clusters = tuple(task.package for task in suite.practice)
        growth = [c.growth for c in proposed]
        outcome = gate.race(incumbent, arms, clusters, self.campaign.settings.gate, growth)
        return [
            e.CandidatesRaced(
                **common,
                incumbent=incumbent,
                candidates=tuple(
                    e.CandidateScores(candidate=c.number, arm=arm)
                    for c, arm in zip(proposed, arms, strict=True)
                ),
                effects=outcome.effects,
                best=-1 if outcome.best is None else proposed[outcome.best].number,
                reason=outcome.reason,
                shown=shown,
                spent=self.spent(*arms),
            )
        ]

    def _confirm(self, _: Duty) -> list[e.Event]:
        campaign, round_ = self.campaign, self.round
        seeds, tasks = campaign.settings.gate.confirm_seeds, len(campaign.suite.practice)
        best = next(c for c in round_.candidates if c.number == round_.best)
        arms = (
            self.arm(round_.tree, tasks, seeds),
            self.arm(best.tree, tasks, seeds, self.chance.choice((0, 0.5))),
        )
        spent = self.spent(*arms)
        complete = not self.fault()
        if complete:
            clusters = tuple(task.package for task in campaign.suite.practice)
            key = gate.verdict_key(campaign.id, round_.number, best.tree)
            verdict = gate.confirm(*arms, clusters, campaign.settings.gate, key=key, growth=best.growth)
        else:
            arms = ArmScores(tree=round_.tree), ArmScores(tree=best.tree)
            verdict = gate.inconclusive("an executor died")
        confirmed = e.ChangeConfirmed(
            campaign=campaign.id,
            round=round_.number,
            candidate=best.number,
            seeds=tuple(f"f{i}" for i in range(seeds)),
            incumbent=arms[0],
            challenger=arms[1],
            protected=(False,) * tasks,
            verdict=verdict,
            spent=spent,
            complete=complete,
        )
        decided = msgspec.structs.replace(round_, verdict=verdict)
        return [confirmed] if approval_needed(campaign, decided) else [confirmed, self.decide(decided)]

    def _verdict(self, _: Duty) -> list[e.Event]:
        return [self.decide(self.round)]

    def decide(self, round_: Round) -> e.Event:
        common: dict[str, Any] = {
            "campaign": self.campaign.id,
            "round": round_.number,
            "candidate": round_.best,
        }
        verdict, approval = round_.verdict, round_.approval
        if round_.fault or (verdict and verdict.decision == "inconclusive"):
            return e.ChangeInconclusive(**common, reason=round_.fault or "no scores")
        if verdict and verdict.decision == "keep" and not (approval and approval.status == "denied"):
            assert not approval_needed(self.campaign, round_) or (approval and approval.status == "granted")
            best = next(c for c in round_.candidates if c.number == round_.best)
            return e.ChangeKept(**common, tree=best.tree, parent=round_.tree, reason=verdict.reason)
        return e.ChangeReverted(**common, reason=verdict.reason if verdict else "nothing to keep")

    def _ask(self, _: Duty) -> list[e.Event]:
        return [
            e.ApprovalRequested(
                campaign=self.campaign.id,
                round=self.round.number,
                approval=f"{self.campaign.id}-{self.round.number}",
                summary="may I",
                deadline=self.now + self.campaign.settings.approve_seconds,
            )
        ]

    def _deny(self, _: Duty) -> list[e.Event]:
        assert self.round.approval is not None
        return [e.ApprovalDenied(approval=self.round.approval.id, by="deadline")]

    def _null(self, _: Duty) -> list[e.Event]:
        campaign, tree = self.campaign, self.round.tree
        numbers, tasks = campaign.settings.gate, len(campaign.suite.practice)
        race = self.arm(tree, tasks, numbers.race_seeds)
        arms = [self.arm(tree, tasks, numbers.race_seeds) for _ in range(numbers.candidates)]
        pair = self.arm(tree, tasks, numbers.confirm_seeds), self.arm(tree, tasks, numbers.confirm_seeds)
        clusters = tuple(task.package for task in campaign.suite.practice)
        verdict = gate.confirm(*pair, clusters, numbers, key="null")
        return [
            e.NullArmMeasured(
                campaign=campaign.id,
                round=self.round.number,
                race_seeds=("a",),
                confirm_seeds=("b",),
                raced=tuple(e.CandidateScores(candidate=i, arm=arm) for i, arm in enumerate(arms)),
                incumbent_race=race,
                incumbent=pair[0],
                challenger=pair[1],
                verdict=gate.inconclusive("lost") if self.fault() else verdict,
                spent=self.spent(race, *arms, *pair),
            )
        ]

    def _lesson(self, _: Duty) -> list[e.Event]:
        name = blob_hash(f"{self.campaign.id} {self.round.number}".encode())
        return [
            e.LessonRecorded(
                campaign=self.campaign.id, round=self.round.number, lesson=name, headline="so", credit=0.5
            )
        ]

    def _close(self, _: Duty) -> list[e.Event]:
        return [
            e.RoundClosed(
                campaign=self.campaign.id,
                round=self.round.number,
                state_version=self.state.version,
                state_hash=state_hash(self.state),
            )
        ]

    def _forgo(self, _: Duty) -> list[e.Event]:
        due = self.campaign.release
        assert due is not None
        return [
            e.ReleaseRefused(campaign=self.campaign.id, check=due.check, tree=due.tree, reason="no money")
        ]

    def _release_due(self, _: Duty) -> list[e.Event]:
        check = self.state.releases + 1
        return [
            e.ReleaseDue(
                campaign=self.campaign.id, check=check, base=self.state.released, tree=self.state.head
            )
        ]

    def _release(self, _: Duty) -> list[e.Event]:
        campaign, due = self.campaign, self.campaign.release
        assert due is not None
        seeds, tasks = campaign.settings.release_seeds, len(campaign.suite.sealed)
        base, head = self.arm(due.base, tasks, seeds), self.arm(due.tree, tasks, seeds, 0.3)
        clusters = tuple(task.package for task in campaign.suite.sealed)
        verdict = gate.release(base, head, clusters, due.check, key="release", resamples=50)
        if self.chance.random() < 0.5:  # two clusters can never pass by themselves
            verdict = msgspec.structs.replace(verdict, passed=True)
        queried = e.SealedQueried(
            campaign=campaign.id,
            check=due.check,
            seeds=tuple(f"r{i}" for i in range(seeds)),
            base=base,
            head=head,
            solved_base=0.1,
            solved_head=0.2,
            verdict=verdict,
            spent=self.spent(base, head),
        )
        common: dict[str, Any] = {"campaign": campaign.id, "check": due.check, "tree": due.tree}
        if verdict.passed:
            return [queried, e.HarnessReleased(**common, estimate=verdict.estimate_rounded)]
        return [queried, e.ReleaseRefused(**common, reason=verdict.reason)]

    def _finish(self, _: Duty) -> list[e.Event]:
        campaign = self.campaign
        return [
            e.CampaignFinished(
                campaign=campaign.id,
                reason=stop_reason(campaign, self.now) or "done",
                tree=self.state.head,
                fingerprint="weights",
                spent=campaign.spent,
            )
        ]


def asked_for(chance: random.Random) -> CampaignSettings:
    return CampaignSettings(
        rounds=chance.randint(0, 4),
        plans=3,
        probes=2,
        gate=GateSettings(
            candidates=chance.randint(1, 3), race_seeds=1, confirm_seeds=2, resamples=20, alpha=0.2
        ),
        release_seeds=2,
        null_every=chance.choice((0, 1, 2)),
        approve=chance.choice(("never", "keeps")),
        approve_seconds=chance.choice((0.0, 30.0)),
        limits=Limits(
            episodes=chance.choice((0, 30, 90, 200)),
            tokens=chance.choice((0, 0, 4_000)),
            cost=chance.choice((0.0, 0.0, 1.0)),
            seconds=chance.choice((0.0, 0.0, 100.0)),
        ),
    )


def lived(chance: random.Random) -> Driver:
    """A lineage with one or two campaigns behind it."""
    driver = Driver(chance)
    driver.operate(e.HarnessSeeded(tree=blob_hash(b"seed")))
    assert driver.open(FAR) == []
    for number in range(chance.randint(1, 2)):
        driver.faults = chance.choice((0.0, 0.2))
        driver.meddling = chance.choice((0, 3, 6))
        driver.request(f"c{number}", asked_for(chance))
        driver.drive()
        assert driver.open(FAR) == [], "something is due although all is over"
    return driver


chances = st.randoms(use_true_random=False)
quick = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@quick
@given(chances)
def test_a_campaign_comes_to_its_end_whatever_happens_to_it(chance: random.Random) -> None:
    driver = lived(chance)  # `Driver.check` looks after every event, `Driver.drive` bounds the steps
    assert driver.campaign.status == "finished"
    assert driver.campaign.round is None
    assert driver.campaign.release is None


def test_such_campaigns_hold_every_event_that_a_campaign_can_hold() -> None:
    seen = {envelope.type for seed in range(200) for envelope in lived(random.Random(seed)).envelopes}
    tasks = {"TaskCollected", "TaskDismissed", "TaskFailed", "TaskSolved", "TaskSubmitted"}
    calls = {"CallsReserved", "CallsMade"}
    models = {"ModelProbed", "ModelTrained"}
    elsewhere = {"AgentLost", "CheckpointSigned", "HarnessForked", *models, *calls, *tasks}
    assert seen == e.EVENTS.keys() - elsewhere | {"HeadTurned"}


@settings(quick, max_examples=30)
@given(chances)
def test_a_replay_from_nothing_gives_the_live_state_at_every_version(chance: random.Random) -> None:
    driver = lived(chance)
    state = Lineage()
    for envelope, known in zip(driver.envelopes, driver.hashes[1:], strict=True):
        stored = msgspec.msgpack.decode(msgspec.msgpack.encode(envelope), type=Envelope)
        state = fold(state, stored)
        assert state_hash(state) == known
    assert state == driver.state
    encoded = msgspec.msgpack.encode(state)
    assert state_hash(msgspec.msgpack.decode(encoded, type=Lineage)) == driver.hashes[-1]


@settings(quick, max_examples=15)
@given(chances, st.integers(0, 10_000))
def test_an_event_that_is_not_the_next_one_is_refused(chance: random.Random, at: int) -> None:
    driver = lived(chance)
    at %= len(driver.envelopes)
    state = reduce(fold, driver.envelopes[:at], Lineage())
    following = driver.envelopes[at]
    for version in (following.version - 1, following.version + 1):
        with pytest.raises(ValueError, match="does not follow"):
            fold(state, msgspec.structs.replace(following, version=version))
    with pytest.raises(ValueError, match="does not point"):
        fold(state, msgspec.structs.replace(following, prev_hash=bytes(31) + b"x"))
    assert fold(state, following).version == at + 1


def begun(asked: CampaignSettings, *, seed: int = 1) -> Driver:
    driver = Driver(random.Random(seed))
    driver.meddling = 0
    driver.operate(e.HarnessSeeded(tree="seed"))
    driver.request("c", asked)
    return driver


def answer(driver: Driver, *kinds: str) -> None:
    """Answer duties until one of these kinds is open."""
    for _ in range(400):
        if any(duty.kind in kinds for _, duty in driver.open()):
            return
        driver.step()
    pytest.fail(f"no duty of the kinds {kinds} came up")


def reached(asked: CampaignSettings, until: Callable[[Driver], bool]) -> Driver:
    """A campaign that came so far: with some luck of the scores it does."""
    for seed in range(200):
        driver = begun(asked, seed=seed)
        driver.drive(until=until)
        if driver.campaign.status == "running":
            return driver
    pytest.fail("no campaign came so far")


def is_asked(driver: Driver) -> bool:
    return driver.campaign.round is not None and driver.campaign.round.approval is not None


SMALL = GateSettings(candidates=2, race_seeds=1, confirm_seeds=2, resamples=20, alpha=0.2)


def kinds(driver: Driver, now: float | None = None) -> list[str]:
    return [duty.kind for _, duty in driver.open(now)]


def test_nothing_is_due_before_there_is_a_harness_and_a_campaign() -> None:
    driver = Driver(random.Random(1))
    assert driver.open() == []
    driver.request("c", CampaignSettings())
    assert driver.open() == []
    driver.operate(e.HarnessSeeded(tree="seed"))
    assert kinds(driver) == ["start"]


def test_a_round_that_opened_on_a_head_reset_meanwhile_gives_no_verdict() -> None:
    driver = begun(CampaignSettings(rounds=2, gate=SMALL))
    answer(driver, "open")
    late = driver._open(Duty(key="c/1/open", kind="open"))
    driver.operate(e.HeadReset(tree="older", reason="a mistake"))
    driver.append(late, "c/1/open")
    assert kinds(driver) == ["verdict"]
    driver.step()
    assert driver.round.decision == "inconclusive"
    assert driver.state.head == "older"


def test_a_verdict_from_before_a_reset_does_not_fit_the_duty_after_it() -> None:
    driver = reached(CampaignSettings(rounds=6, gate=SMALL, approve="keeps"), is_asked)
    assert driver.round.approval is not None
    driver.operate(e.ApprovalGranted(approval=driver.round.approval.id, by="me"))
    [(_, before)] = driver.open()
    driver.operate(e.HeadReset(tree="seed", reason="on second thoughts"))
    [(_, after)] = driver.open()
    assert (before.kind, after.kind) == ("verdict", "verdict")
    assert before.key != after.key


@pytest.mark.parametrize("finish", [False, True])
def test_pause_and_resume_neither_skip_the_start_nor_wake_the_finished(finish: bool) -> None:
    driver = begun(CampaignSettings(rounds=1, gate=SMALL))
    if finish:
        driver.drive()
    before = kinds(driver)
    driver.operate(e.CampaignPaused(campaign="c", reason="lunch"))
    assert driver.open(FAR) == []
    driver.operate(e.CampaignResumed(campaign="c"))
    assert kinds(driver) == before == ([] if finish else ["start"])


def test_a_campaign_ends_with_its_release_check() -> None:
    """Cheap sealed tasks lower the tokens per episode: that must not make room for further rounds."""
    limits = Limits(tokens=2_600)
    driver = begun(CampaignSettings(rounds=9, gate=SMALL, plans=2, probes=0, release_seeds=40, limits=limits))
    answer(driver, "open")
    driver.operate(e.HeadReset(tree="better", reason="so that there is something to check"))
    driver.append(driver._open(Duty(key="", kind="")), "open")
    driver.append(
        [
            e.TasksExecuted(
                campaign="c",
                round=1,
                seeds=("s",),
                incumbent=driver.arm("better", 4, 1),
                spent=Spent(episodes=10, tokens=1_000),
            )
        ],
        "execute",
    )
    driver.append([e.ChangeReverted(campaign="c", round=1, candidate=-1, reason="no")], "verdict")
    driver.append(driver._lesson(Duty(key="", kind="")), "lesson")
    driver.append(driver._close(Duty(key="", kind="")), "close")
    assert kinds(driver) == ["release_due"]
    driver.step()
    queried, *rest = driver._release(Duty(key="", kind=""))
    driver.append([msgspec.structs.replace(queried, spent=Spent(episodes=160, tokens=160)), *rest], "release")
    assert stop_reason(driver.campaign, driver.now) is None
    assert kinds(driver) == ["finish"]


def test_the_reserve_covers_the_release_check() -> None:
    one_round = 4 * (1 * (1 + 2) + 2 * 2)
    for extra, rounds in ((-1, 0), (0, 1), (one_round - 1, 1), (one_round, 2)):
        limits = Limits(episodes=one_round + 2 * 2 * 2 + extra)
        driver = begun(
            CampaignSettings(
                rounds=9, gate=SMALL, plans=2, probes=0, release_seeds=2, null_every=0, limits=limits
            ),
            seed=extra,
        )
        answer(driver, "open", "finish")
        while "open" in kinds(driver) and driver.campaign.rounds_done < rounds:
            spent = Spent(episodes=one_round)
            number = driver.campaign.rounds_done + 1
            driver.append(driver._open(Duty(key="", kind="")), f"{number}/open")
            driver.append(
                [
                    e.TasksExecuted(
                        campaign="c", round=number, seeds=(), incumbent=ArmScores(tree="seed"), spent=spent
                    ),
                    e.ChangeReverted(campaign="c", round=number, candidate=-1, reason="no"),
                ],
                f"{number}/verdict",
            )
            driver.append(driver._close(Duty(key="", kind="")), f"{number}/close")
        assert driver.campaign.rounds_done == rounds
        assert "open" not in kinds(driver)
        assert "episodes does not cover" in (stop_reason(driver.campaign, 0.0) or "")


@pytest.mark.parametrize("kind", ["execute", "race", "confirm"])
def test_a_stage_that_could_not_be_measured_ends_its_round_without_a_verdict(kind: str) -> None:
    driver = reached(CampaignSettings(rounds=9, gate=SMALL), lambda d: kind in kinds(d))
    driver.faults = 1.0
    arms = driver.state.arms
    driver.step()
    if kind != "confirm":
        assert kinds(driver) == ["verdict"]
        driver.step()
    assert driver.round.decision == "inconclusive"
    assert driver.round.flips == ()
    assert {name: arm.confirmed for name, arm in driver.state.arms.items()} == {
        name: arm.confirmed for name, arm in arms.items()
    }
    assert kinds(driver) == ["lesson"]


def test_a_null_arm_without_scores_is_not_counted() -> None:
    for faults, counted in ((0.0, 1), (1.0, 0)):
        driver = reached(CampaignSettings(rounds=9, gate=SMALL, null_every=1), lambda d: "null" in kinds(d))
        driver.faults = faults
        driver.step()
        assert driver.state.nulls == counted


def test_the_first_answer_to_an_approval_stands() -> None:
    driver = reached(CampaignSettings(rounds=6, gate=SMALL, approve="keeps"), is_asked)
    approval = driver.round.approval
    assert approval is not None
    assert driver.open(approval.deadline) == []
    assert kinds(driver, approval.deadline + 1) == ["deny"]
    driver.operate(e.ApprovalDenied(approval=approval.id, by="me"))
    driver.operate(e.ApprovalGranted(approval=approval.id, by="you"))
    assert driver.round.approval is not None
    assert (driver.round.approval.status, driver.round.approval.by) == ("denied", "me")
    head = driver.state.head
    driver.step()
    assert (driver.round.decision, driver.state.head) == ("reverted", head)


def analyzed(driver: Driver, **found: Any) -> None:
    driver.operate(e.FailuresAnalyzed(campaign="c1", round=1, failures=(), summary="so", **found))


def test_what_mended_tests_is_added_up_by_kind() -> None:
    driver = begun(CampaignSettings())
    analyzed(driver, fixes=(e.Fix(kind="operator", count=2, tried=9), e.Fix(kind="slice", count=0, tried=1)))
    analyzed(driver, fixes=(e.Fix(kind="operator", count=1, tried=4),))
    assert driver.state.fixes == {"operator": Fixes(tried=13, helped=3), "slice": Fixes(tried=1)}


def test_few_places_of_a_task_are_remembered_the_first_for_good() -> None:
    driver = begun(CampaignSettings())
    analyzed(driver, places={"a": ("x.py:1", "x.py:2"), "b": ("y.py:7",)})
    analyzed(driver, places={"a": ("x.py:2", "x.py:3")})
    assert driver.state.places == {"a": ("x.py:1", "x.py:2", "x.py:3"), "b": ("y.py:7",)}
    for number in range(40):
        analyzed(driver, places={"a": tuple(f"x.py:{n}" for n in range(number, number + 20))})
    assert len(driver.state.places["a"]) == PLACES
    assert driver.state.places["a"][:3] == ("x.py:1", "x.py:2", "x.py:3")


def test_what_an_analysis_tells_outlives_its_campaign() -> None:
    driver = begun(CampaignSettings(rounds=0))
    analyzed(driver, fixes=(e.Fix(kind="operator", count=2, tried=9),), places={"a": ("x.py:1",)})
    known = driver.state.fixes, driver.state.places
    driver.drive()
    driver.request("c2", CampaignSettings())
    assert (driver.state.fixes, driver.state.places) == known


def test_a_confirmation_is_booked_apart_from_the_race() -> None:
    """On every ingredient of the plan: the race's winner looks better than it is."""
    driver = reached(CampaignSettings(rounds=9), lambda d: d.state.campaign is not None and confirmed(d) >= 3)
    events = [e.decode(envelope) for envelope in driver.envelopes]
    sums: dict[str, list[float]] = {}
    plans = {
        (event.round, event.candidate): event.plan for event in events if isinstance(event, e.ChangePlanned)
    }
    for event in events:
        if isinstance(event, e.ChangeConfirmed) and event.complete:
            for arm in plans[event.round, event.candidate].arms:
                sums.setdefault(arm, []).append(event.verdict.effect)
    for name, effects in sums.items():
        arm_ = driver.state.arms[name]
        assert arm_.confirmed == len(effects)
        assert arm_.confirmed_effect == pytest.approx(sum(effects))
    assert sum(arm.confirmed for arm in driver.state.arms.values()) == sum(map(len, sums.values()))


def test_what_was_probed_and_did_not_race_is_booked_by_its_probes() -> None:
    def probed(driver: Driver) -> int:
        return sum(arm.probed for arm in driver.state.arms.values())

    driver = reached(CampaignSettings(rounds=9), lambda d: d.state.campaign is not None and probed(d) >= 6)
    events = [e.decode(envelope) for envelope in driver.envelopes]
    plans = {
        (event.round, event.candidate): event.plan for event in events if isinstance(event, e.ChangePlanned)
    }
    counts: Counter[str] = Counter()
    for event in events:
        if isinstance(event, e.CandidatesRaced):
            raced = {scores.candidate for scores in event.candidates}
            for number in map(int, event.shown):
                counts.update(plans[event.round, number].arms if number not in raced else ())
    assert counts == {name: arm.probed for name, arm in driver.state.arms.items() if arm.probed}
    for arm in driver.state.arms.values():
        assert arm.shown == pytest.approx(0.25 * arm.probed)


def confirmed(driver: Driver) -> int:
    return sum(arm.confirmed for arm in driver.state.arms.values())


def sizes(rounds: int) -> Iterator[int]:
    practice = tuple(TaskRef(id=f"inventory-{i}", package=f"p{i // 2}", blob="b" * 64) for i in range(28))
    suite = SuiteManifest(name="large", digest="d", practice=practice)
    asked = CampaignSettings(
        rounds=rounds, gate=GateSettings(race_seeds=1, confirm_seeds=2, resamples=20), null_every=0
    )
    driver = Driver(random.Random(5))
    driver.meddling = 0
    driver.operate(e.HarnessSeeded(tree=blob_hash(b"seed")))
    driver.request("a-campaign", asked, suite)
    for done in range(1, rounds + 1):
        while driver.campaign.rounds_done < done:
            driver.step()
        yield len(msgspec.msgpack.encode(driver.state))
    assert len(driver.state.archive) == ARCHIVE


def test_the_state_grows_little_from_round_to_round() -> None:
    found = list(sizes(70))
    assert (found[39] - found[4]) / 35 < 3_000, "three candidates a round, of some 900 bytes each"
    assert (found[69] - found[49]) / 20 < 700, "once the archive is full a round is a line in a report"
    assert found[69] < 150_000
