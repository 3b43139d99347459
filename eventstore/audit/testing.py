"""A campaign that nobody ran: consistent events with real verdicts and real hashes, for tests and examples.

Scores are drawn at random; everything that follows from scores is computed by the contracts, and every state is
folded from the events as the store hands them back.
"""

import random
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from contracts import events as e
from contracts import gate
from contracts.duties import approval_needed, null_due, release_due
from contracts.envelope import Envelope, seal
from contracts.gate import ArmScores, GateSettings, Verdict
from contracts.harness import departure
from contracts.ledger import BlobStore, EventStore
from contracts.lineage import Campaign, Candidate, Lineage, Round, fold, state_hash
from contracts.settings import CampaignSettings, Spent, SuiteManifest, TaskRef
from contracts.statistics import cluster_interval, derive_seed
from eventstore.audit.archive import Snapshot
from eventstore.audit.verdicts import packages, solved_share
from eventstore.trees import diff_trees, get_tree, put_tree

SEED_FILES = {
    "agent.py": b"def solve(task, model, workspace):\n    return model.complete(task)\n",
    "harness.toml": b"[decoding]\ntemperature = 1.0\n\n[rules]\non = []\n",
    "prompts/system.md": b"Mend the program.\n",
}
GATE = GateSettings(candidates=3, race_seeds=2, confirm_seeds=6, alpha=0.1, resamples=400)
"""A gate that decides quickly."""


class Store(EventStore, BlobStore, Protocol):
    """Both protocols."""


async def snapshot(store: EventStore, blobs: dict[str, bytes] | None = None) -> Snapshot:
    """What a store holds at this moment, as an archive (blobs as given)."""
    events: list[Envelope] = []
    while True:
        page = await store.read_all(after=len(events), limit=10_000)
        events += page.events
        if not page.more:
            return Snapshot(events, blobs or {})


def forge(
    archive: Snapshot, position: int, change: Callable[[e.Event], e.Event], *, rehash: bool = False
) -> Snapshot:
    """What a forger leaves behind: one event changed, and the chain sealed anew so that its hashes fit.

    With `rehash` the state hashes of later rounds are made to fit as well.
    """
    heads: dict[str, bytes] = {}
    states: dict[str, dict[int, Lineage]] = {}
    events = []
    for old in archive.all:
        known = states.setdefault(old.stream, {0: Lineage()})
        event = e.decode(old)
        if old.position == position:
            event = change(event)
        if rehash and old.position > position and isinstance(event, e.RoundClosed):
            event = msgspec.structs.replace(event, state_hash=state_hash(known[event.state_version]))
        payload = msgspec.json.encode(event) if event != e.decode(old) else old.payload
        new = e.encode(event, duty="", index=0, actor=old.actor, correlation=old.correlation)
        new = msgspec.structs.replace(
            new,
            payload=payload,
            event_id=old.event_id,
            causation=old.causation,
            traceparent=old.traceparent,
        )
        envelope = seal(
            new,
            stream=old.stream,
            version=old.version,
            position=old.position,
            at=old.at,
            prev=heads.get(old.stream, old.prev_hash),
        )
        heads[old.stream] = envelope.hash
        if rehash:
            known[old.version] = fold(known[old.version - 1], envelope)
        events.append(envelope)
    return Snapshot(events, archive.blobs)


async def synthetic_campaign(
    store: Store,
    *,
    rounds: int = 6,
    seed: int = 0,
    name: str = "main",
    settings: CampaignSettings | None = None,
    tasks: int = 8,
    sealed: int = 12,
    mishaps: bool = True,
    finish: bool = True,
    ablate: bool = False,
    free: bool = False,
) -> Lineage:
    """Append a campaign to a lineage (and seed the lineage if it is new); returns the state that it led to.

    Args:
        store: takes events and blobs.
        rounds: how many rounds.
        seed: of everything random; the same seed gives the same events.
        name: of the lineage.
        settings: of the campaign; the default is a quick gate with a null arm every third round.
        tasks: practice tasks, in clusters of two.
        sealed: sealed tasks, in clusters of two; 0 for none.
        mishaps: whether candidates are rejected, stages fail and the head is reset now and then.
        finish: False leaves the campaign in the middle of its last round.
        ablate: whether a candidate of every round takes back what an earlier one brought, where there is any.
        free: whether two candidates of every round were written by a model, and are reviewed.
    """
    settings = settings or CampaignSettings(gate=GATE, null_every=3, release_seeds=5)
    settings = msgspec.structs.replace(settings, rounds=rounds, seed=seed)
    author = _Author(store, f"lineage/{name}", random.Random(seed), mishaps=mishaps)  # noqa: S311
    author.ablate, author.free = ablate, free
    await author.catch_up()
    await author.begin(settings, tasks, sealed)
    for number in range(1, rounds + 1):
        await author.round(number, complete=finish or number < rounds)
    if finish:
        await author.end()
    return author.state


class _Author:
    """Plays every role at once."""

    def __init__(self, store: Store, stream: str, rng: random.Random, *, mishaps: bool) -> None:
        self.store = store
        self.stream = stream
        self.rng = rng
        self.mishaps = mishaps
        self.ablate = self.free = False
        self.state = Lineage()
        self.quality: dict[str, float] = {}
        """Harness → how much better than the seed it is."""
        self.odds: dict[str, float] = {}
        """Task → how often the seed harness solves it."""

    async def catch_up(self) -> None:
        more = True
        while more:
            page = await self.store.read(self.stream, after=self.state.version, limit=10_000)
            for envelope in page.events:
                self.state = fold(self.state, envelope)
            more = page.more

    async def say(self, role: str, duty: str, *events: e.Event) -> None:
        correlation = self.state.campaign.id if self.state.campaign else ""
        key = f"{self.stream}:{self.state.version}:{duty}"
        new = [
            e.encode(event, duty=key, index=index, actor=f"{role}-1", correlation=correlation)
            for index, event in enumerate(events)
        ]
        await self.store.append(self.stream, self.state.version, new)
        await self.catch_up()

    @property
    def campaign(self) -> Campaign:
        assert self.state.campaign is not None  # noqa: S101 (for the type checker)
        return self.state.campaign

    @property
    def current(self) -> Round:
        assert self.campaign.round is not None  # noqa: S101 (for the type checker)
        return self.campaign.round

    def chance(self, odds: float) -> bool:
        return self.mishaps and self.rng.random() < odds

    def arm(self, tree: str, tasks: Sequence[TaskRef], seeds: Sequence[str], salt: str = "") -> ArmScores:
        lift = self.quality.setdefault(tree, 0.0)
        scores = []
        for task in tasks:
            odds = min(1.0, self.odds.setdefault(task.id, self.rng.choice((0.1, 0.3, 0.5, 0.97))) + lift)
            scores.append(
                tuple(1.0 if self.rng.random() < odds else self.rng.choice((0.0, 0.0, 0.5)) for _ in seeds)
            )
        return ArmScores(
            tree=tree,
            salt=salt,
            scores=tuple(scores),
            cost=round(0.001 + 0.0004 * self.rng.random(), 6),
            episodes=len(tasks) * len(seeds),
        )

    def spent(self, *arms: ArmScores | None) -> Spent:
        episodes = sum(arm.episodes for arm in arms if arm is not None)
        return Spent(
            episodes=episodes,
            model_calls=9 * episodes,
            test_runs=7 * episodes,
            tokens=4200 * episodes,
            seconds=round(0.3 * episodes, 3),
        )

    def seeds(self, stage: str, count: int) -> tuple[str, ...]:
        return tuple(derive_seed(self.campaign.id, stage, i) for i in range(count))

    async def begin(self, settings: CampaignSettings, tasks: int, sealed: int) -> None:
        if not self.state.head:
            tree = await put_tree(self.store, SEED_FILES)
            await self.say("operator", "seed", e.HarnessSeeded(tree=tree))
        identity = f"c{self.state.campaigns + 1}"

        def refs(kind: str, count: int) -> tuple[TaskRef, ...]:
            return tuple(
                TaskRef(id=f"{kind}-{i:02}", package=f"{kind}-{i // 2}", blob=derive_seed("task", kind, i))
                for i in range(count)
            )

        suite = SuiteManifest(
            name="synthetic", digest="0" * 64, practice=refs("task", tasks), sealed=refs("sealed", sealed)
        )
        asked = e.CampaignRequested(campaign=identity, settings=settings, suite=suite, fingerprint="f" * 64)
        await self.say("operator", "request", asked)
        started = e.CampaignStarted(campaign=identity, tree=self.state.head, fingerprint="f" * 64)
        await self.say("monitor", "start", started)

    async def round(self, number: int, *, complete: bool = True) -> None:
        identity = self.campaign.id
        opened = e.RoundOpened(campaign=identity, round=number, tree=self.state.head)
        await self.say("planner", "open", opened)
        await self.execute()
        if not self.current.fault:
            await self.analyze()
            await self.plan()
            if self.chance(0.08):
                await self.reset()
        if not complete:
            return
        if not self.current.fault and any(c.status == "proposed" for c in self.current.candidates):
            await self.race()
        if not self.current.fault and self.current.best >= 0:
            await self.confirm()
        if not self.current.decision:
            await self.say("evaluator", "verdict", self.decision(self.current))
        if null_due(self.campaign, self.current):
            await self.null()
        await self.lesson()
        closing = e.RoundClosed(
            campaign=identity,
            round=number,
            state_version=self.state.version,
            state_hash=state_hash(self.state),
        )
        await self.say("planner", "close", closing)

    async def execute(self) -> None:
        tree, tasks = self.current.tree, self.campaign.suite.practice
        seeds = self.seeds(f"race/{self.current.number}", self.campaign.settings.gate.race_seeds)
        failed = self.chance(0.06)
        arm = ArmScores(tree=tree) if failed else self.arm(tree, tasks, seeds)
        executed = e.TasksExecuted(
            campaign=self.campaign.id,
            round=self.current.number,
            seeds=seeds,
            incumbent=arm,
            spent=self.spent(arm),
            complete=not failed,
            reason="3 episodes gave no score, the first because: the worker died" if failed else "",
        )
        self.stage = arm
        await self.say("evaluator", "execute", executed)

    async def analyze(self) -> None:
        weak = tuple(
            task.id
            for task, mean in zip(self.campaign.suite.practice, self.current.incumbent_means, strict=True)
            if mean < 1
        )
        found = (
            (
                e.FailureCluster(
                    kind="loop", count=len(weak), share=1.0, tasks=weak, note="the same edit again"
                ),
            )
            if weak
            else ()
        )
        analyzed = e.FailuresAnalyzed(
            campaign=self.campaign.id,
            round=self.current.number,
            failures=found,
            summary=f"{len(weak)} tasks failed: they try the same edit again"
            if weak
            else "all episodes were solved",
        )
        await self.say("critic", "analyze", analyzed)

    async def plan(self) -> None:
        count = self.campaign.settings.gate.candidates
        plans = [self.planned(number) for number in range(count)]
        dropped = e.PlansDropped(
            campaign=self.campaign.id,
            round=self.current.number,
            plans=(e.DroppedPlan(title="Look into the tests", reason="there is no practice task sealed-01"),),
        )
        await self.say("planner", "plan", *([dropped] if self.free else []), *plans)
        for planned in plans:
            if self.chance(0.2):
                answer: e.Event = e.ChangeRejected(
                    campaign=self.campaign.id,
                    round=self.current.number,
                    candidate=planned.candidate,
                    stage="compile",
                    reason="rules/again.py, line 3: expected ':'",
                )
            else:
                answer = await self.proposed(planned)
            await self.say("patcher", f"patch/{planned.candidate}", answer)
            if planned.plan.free and isinstance(answer, e.ChangeProposed):
                await self.say("critic", f"review/{planned.candidate}", self.reviewed(planned))

    def reviewed(self, planned: e.ChangePlanned) -> e.ChangeReviewed:
        verdict = self.rng.choice(("approved", "named", "rejected", "sampled"))
        checks = {"named": ("names",), "rejected": ("scope",), "sampled": ("plan", "answers")}.get(
            verdict, ()
        )
        return e.ChangeReviewed(
            campaign=planned.campaign,
            round=planned.round,
            candidate=planned.candidate,
            approved=verdict == "approved",
            reasons=() if verdict == "approved" else ("it treats task-01 in a way of its own",),
            checks=checks,  # type: ignore[arg-type]  # words of the contract
            sampled=verdict == "sampled",
            model="" if verdict == "named" else "e" * 64,
        )

    def planned(self, number: int) -> e.ChangePlanned:
        round_ = self.current
        surface, title, change = self.rng.choice(
            (
                ("decoding", "Lower the temperature", {"key": "temperature"}),
                ("rule", "Stop when an edit comes a second time", {"event": "step", "action": "avoid"}),
                ("prompt", "Ask for the smallest edit", {"file": "prompts/system.md"}),
            )
        )
        weak = [
            task.id
            for task, mean in zip(self.campaign.suite.practice, round_.incumbent_means, strict=True)
            if mean < 1
        ]
        free = self.free and number < 2
        drawn = "perturb" if surface == "decoding" else "compose"
        plan = e.Plan(
            surface=surface,  # type: ignore[arg-type]  # one of the contract's words
            operator="think" if free else drawn,
            arm=surface,
            change=change,
            title=f"{title} ({round_.number}.{number})",
            evidence=f"{len(weak)} tasks failed: they try the same edit again",
            root_cause="loop",
            risks="it may stop too early",
            prediction=e.Prediction(effect=round(self.rng.uniform(0.0, 0.2), 4), flips=tuple(weak[:3])),
            cost=1.1 if free else None,
        )
        return e.ChangePlanned(
            campaign=self.campaign.id,
            round=round_.number,
            candidate=number,
            parent=round_.tree,
            plan=plan,
        )

    async def proposed(self, planned: e.ChangePlanned) -> e.ChangeProposed:
        files = await get_tree(self.store, planned.parent)
        seed = await get_tree(self.store, self.state.seed_tree)
        before = departure(files, seed)
        mark = f"{self.campaign.id}, round {planned.round}, candidate {planned.candidate}"
        brought = [path for path in sorted(files) if files[path] != seed.get(path)]
        if self.ablate and planned.candidate == 0 and brought:
            files.pop(brought[0])
            files |= {path: seed[path] for path in brought[:1] if path in seed}
        elif planned.plan.surface == "decoding":
            temperature = f"temperature = {self.rng.uniform(0.2, 1.2):.3f}  # {mark}"
            lines = files["harness.toml"].decode().split("\n")
            files["harness.toml"] = "\n".join([lines[0], temperature, *lines[2:]]).encode()
        elif planned.plan.surface == "rule":
            name = f"rules/again_{self.campaign.id}_{planned.round}_{planned.candidate}.py"
            files[name] = f"# {mark}\ndef step(run):\n    return run.avoid_repeats()\n".encode()
        else:
            files["prompts/system.md"] += f"Make the smallest edit that helps ({mark}).\n".encode()
        tree = await put_tree(self.store, files)
        lift = 0.0 if departure(files, seed) < before else self.rng.choice((-0.15, 0.0, 0.05, 0.15, 0.3))
        self.quality[tree] = self.quality.get(planned.parent, 0.0) + lift
        return e.ChangeProposed(
            campaign=planned.campaign,
            round=planned.round,
            candidate=planned.candidate,
            parent=planned.parent,
            tree=tree,
            patch=await diff_trees(self.store, planned.parent, tree),
            growth=departure(files, seed) - before,
        )

    async def race(self) -> None:
        campaign, round_ = self.campaign, self.current
        proposed = [c for c in round_.candidates if c.status == "proposed"]
        if self.chance(0.06):
            failed = e.CandidatesRaced(
                campaign=campaign.id,
                round=round_.number,
                seeds=round_.seeds,
                incumbent=ArmScores(tree=round_.tree),
                candidates=(),
                effects=(),
                reason="2 episodes gave no score, the first because: the sandbox could not be made",
                complete=False,
            )
            await self.say("evaluator", "race", failed)
            return
        arms = [self.arm(c.tree, campaign.suite.practice, round_.seeds) for c in proposed]
        growth = [c.growth for c in proposed]
        clusters = packages(campaign.suite.practice)
        outcome = gate.race(self.stage, arms, clusters, campaign.settings.gate, growth)
        raced = e.CandidatesRaced(
            campaign=campaign.id,
            round=round_.number,
            seeds=round_.seeds,
            incumbent=self.stage,
            candidates=tuple(
                e.CandidateScores(candidate=c.number, arm=arm) for c, arm in zip(proposed, arms, strict=True)
            ),
            effects=outcome.effects,
            best=proposed[outcome.best].number if outcome.best is not None else -1,
            reason=outcome.reason,
            spent=self.spent(*arms),
        )
        await self.say("evaluator", "race", raced)

    async def confirm(self) -> None:
        campaign, round_, settings = self.campaign, self.current, self.campaign.settings.gate
        best = _best(round_)
        tasks = campaign.suite.practice
        seeds = self.seeds(f"confirm/{round_.number}", settings.confirm_seeds)
        ours, theirs = self.arm(round_.tree, tasks, seeds), self.arm(best.tree, tasks, seeds)
        protected = tuple(mean >= settings.protected_at for mean in round_.incumbent_means)
        verdict = gate.confirm(
            ours,
            theirs,
            packages(tasks),
            settings,
            key=gate.verdict_key(campaign.id, round_.number, best.tree),
            protected=protected,
            growth=best.growth,
        )
        confirmed = e.ChangeConfirmed(
            campaign=campaign.id,
            round=round_.number,
            candidate=best.number,
            seeds=seeds,
            incumbent=ours,
            challenger=theirs,
            protected=protected,
            verdict=verdict,
            spent=self.spent(ours, theirs),
        )
        decided = msgspec.structs.replace(round_, verdict=verdict)
        if not approval_needed(campaign, decided):
            await self.say("evaluator", "confirm", confirmed, self.decision(decided))
            return
        await self.say("evaluator", "confirm", confirmed)
        approval = f"{campaign.id}-{round_.number}"
        asked = e.ApprovalRequested(
            campaign=campaign.id,
            round=round_.number,
            approval=approval,
            summary=f"{best.plan.title}. {verdict.reason}",
            deadline=1.0e10,
        )
        await self.say("monitor", "ask", asked)
        if self.rng.random() < 0.5:
            await self.say("operator", "answer", e.ApprovalGranted(approval=approval, by="ada"))
        else:
            await self.say(
                "operator", "answer", e.ApprovalDenied(approval=approval, by="ada", note="too odd")
            )

    def decision(self, round_: Round) -> e.Event:
        campaign, number, verdict = self.campaign.id, round_.number, round_.verdict
        if round_.fault:
            return e.ChangeInconclusive(
                campaign=campaign, round=number, candidate=round_.best, reason=round_.fault
            )
        if verdict is None:
            reason = round_.reason or "no candidate could be made"
            return e.ChangeReverted(campaign=campaign, round=number, candidate=-1, reason=reason)
        best = _best(round_)
        if round_.approval is not None and round_.approval.status == "denied":
            reason = f"denied by {round_.approval.by}; the gate would have kept it: {verdict.reason}"
            return e.ChangeReverted(campaign=campaign, round=number, candidate=best.number, reason=reason)
        if verdict.decision == "keep":
            return e.ChangeKept(
                campaign=campaign,
                round=number,
                candidate=best.number,
                tree=best.tree,
                parent=round_.tree,
                reason=verdict.reason,
            )
        return e.ChangeReverted(campaign=campaign, round=number, candidate=best.number, reason=verdict.reason)

    async def null(self) -> None:
        campaign, round_, settings = self.campaign, self.current, self.campaign.settings.gate
        tree, tasks, clusters = round_.tree, campaign.suite.practice, packages(campaign.suite.practice)
        race_seeds = self.seeds(f"null/race/{round_.number}", settings.race_seeds)
        confirm_seeds = self.seeds(f"null/confirm/{round_.number}", settings.confirm_seeds)
        base = self.arm(tree, tasks, race_seeds)
        salts = [derive_seed("salt", round_.number, i) for i in range(settings.candidates)]
        arms = [self.arm(tree, tasks, race_seeds, salt) for salt in salts]
        outcome = gate.race(base, arms, clusters, settings)
        verdict = Verdict(decision="revert", reason=outcome.reason)
        ours = theirs = None
        if outcome.best is not None:
            salt = salts[outcome.best]
            ours, theirs = (
                self.arm(tree, tasks, confirm_seeds),
                self.arm(tree, tasks, confirm_seeds, salt),
            )
            verdict = gate.confirm(
                ours,
                theirs,
                clusters,
                settings,
                key=gate.verdict_key(campaign.id, round_.number, tree, salt),
                protected=gate.protected_tasks(base, settings),
            )
        measured = e.NullArmMeasured(
            campaign=campaign.id,
            round=round_.number,
            race_seeds=race_seeds,
            confirm_seeds=confirm_seeds,
            raced=tuple(e.CandidateScores(candidate=i, arm=arm) for i, arm in enumerate(arms)),
            incumbent_race=base,
            incumbent=ours,
            challenger=theirs,
            verdict=verdict,
            spent=self.spent(base, *arms, ours, theirs),
        )
        await self.say("evaluator", "null", measured)

    async def lesson(self) -> None:
        round_ = self.current
        headline = f"Round {round_.number}: {round_.decision}"
        text = f"# {headline}\n\n## What happened\n\n{round_.reason}\n\n## Directions\n\n- Wider steps.\n"
        recorded = e.LessonRecorded(
            campaign=self.campaign.id,
            round=round_.number,
            lesson=await self.store.put(text.encode()),
            headline=headline,
            hits=len(round_.flips),
            credit=0.5 if round_.decision == "kept" else -0.25,
        )
        await self.say("critic", "lesson", recorded)

    async def reset(self) -> None:
        tree = self.rng.choice(self.state.versions).tree
        await self.say("operator", "reset", e.HeadReset(tree=tree, reason="a person wanted it back"))

    async def end(self) -> None:
        campaign = self.campaign
        if release_due(self.state, campaign):
            await self.release()
        finished = e.CampaignFinished(
            campaign=campaign.id,
            reason=f"all {campaign.settings.rounds} rounds are done",
            tree=self.state.head,
            fingerprint=campaign.fingerprint,
            spent=self.campaign.spent,
        )
        await self.say("monitor", "finish", finished)

    async def release(self) -> None:
        campaign, check = self.campaign, self.state.releases + 1
        base, tree, tasks = self.state.released, self.state.head, self.campaign.suite.sealed
        due = e.ReleaseDue(campaign=campaign.id, check=check, base=base, tree=tree)
        await self.say("monitor", "release_due", due)
        seeds = self.seeds(f"release/{check}", campaign.settings.release_seeds)
        ours, theirs = self.arm(base, tasks, seeds), self.arm(tree, tasks, seeds)
        clusters, key = packages(tasks), gate.release_key(campaign.id, check, tree)
        verdict = gate.release(ours, theirs, clusters, check, key=key)
        spans = [cluster_interval(arm.scores, clusters, key=key) for arm in (ours, theirs)]
        queried = e.SealedQueried(
            campaign=campaign.id,
            check=check,
            seeds=seeds,
            base=ours,
            head=theirs,
            solved_base=solved_share(ours),
            solved_head=solved_share(theirs),
            verdict=verdict,
            interval_base=(spans[0].low, spans[0].high),
            interval_head=(spans[1].low, spans[1].high),
            spent=self.spent(ours, theirs),
        )
        ended: e.Event = (
            e.HarnessReleased(campaign=campaign.id, check=check, tree=tree, estimate=verdict.estimate_rounded)
            if verdict.passed
            else e.ReleaseRefused(campaign=campaign.id, check=check, tree=tree, reason=verdict.reason)
        )
        await self.say("evaluator", "release", queried, ended)


def _best(round_: Round) -> Candidate:
    return next(c for c in round_.candidates if c.number == round_.best)
