"""The evaluator: runs the tasks, races the candidates, confirms the best, and gives the verdict."""

from collections.abc import Sequence
from typing import Any

import anyio
import msgspec

from agents.evaluator.measure import Arm, Measured, faults_reason, mean_signs, measure, stage_seeds
from agents.evaluator.probe import HOPELESS, Probed, hope, probe
from agents.evaluator.resampling import Workers
from agents.work import LineageWork as Work
from contracts import events as e
from contracts import gate
from contracts.duties import approval_needed, stage_fault
from contracts.gate import Verdict
from contracts.lineage import Candidate, Round
from contracts.statistics import cluster_interval, derive_seed


class Evaluator:
    """Measures the incumbent and its challengers, and says what the gate says."""

    role = "evaluator"

    async def perform(self, work: Work) -> Sequence[e.Event]:
        """Answer a duty of the evaluator."""
        return await getattr(self, f"_{work.duty.kind}")(work)  # type: ignore[no-any-return]

    async def _execute(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        seeds = stage_seeds(campaign, f"race/{round_.number}", campaign.settings.gate.race_seeds)
        measured = await measure(work.desk, campaign, [Arm(tree=round_.tree)], seeds, transcript=True)
        return [
            e.TasksExecuted(
                campaign=campaign.id,
                round=round_.number,
                seeds=seeds,
                incumbent=measured.arms[0] if measured.complete else gate.ArmScores(tree=round_.tree),
                signs=mean_signs(measured),
                spent=measured.spent,
                complete=measured.complete,
                reason=measured.reason,
            )
        ]

    async def _race(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        # Of two changes that come to the same harness only the first races.
        first = {c.tree: c.number for c in reversed(round_.candidates) if c.status == "proposed"}
        proposed = [c for c in round_.candidates if first.get(c.tree) == c.number]
        settings = campaign.settings
        # The incumbent ran on these seeds in the round's first stage: the same jobs, so its results are there.
        stage = await measure(work.desk, campaign, [Arm(tree=round_.tree)], round_.seeds, transcript=True)
        if not stage.complete:
            return [_raced(work, [], stage, Measured(arms=()), Probed())]
        arms = min(len(proposed), settings.gate.candidates)
        episodes = len(proposed) * settings.probes + arms * len(stage.results[0]) * len(round_.seeds)
        if short := stage_fault(campaign, "the race", episodes):
            return [_raced(work, [], stage, Measured(arms=()), Probed(faults=(short,)))]
        trees = {c.tree: c.number for c in proposed}
        probed = await probe(work.desk, campaign, stage.results[0], trees, settings.probes)
        # What does nothing is not worth a race, unless it makes the harness simpler.
        alive = [c for c in proposed if c.tree not in probed.inert or c.growth < 0]
        hopes = {
            c.number: hope(c.plan.prediction.effect, probed.shown.get(c.tree, 0.0), len(probed.pairs))
            for c in alive
        }
        alive = [c for c in alive if c.growth < 0 or hopes[c.number] >= HOPELESS]
        alive.sort(key=lambda c: -hopes[c.number])
        alive = sorted(alive[: settings.gate.candidates], key=lambda c: c.number)
        raced = Measured(arms=())
        if alive and not probed.faults:
            raced = await measure(
                work.desk, campaign, [Arm(tree=c.tree, candidate=c.number) for c in alive], round_.seeds
            )
        return [_raced(work, alive, stage, raced, probed)]

    async def _confirm(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        settings = campaign.settings.gate
        best = next(c for c in round_.candidates if c.number == round_.best)
        seeds = stage_seeds(campaign, f"confirm/{round_.number}", settings.confirm_seeds)
        arms = [Arm(tree=round_.tree), Arm(tree=best.tree, candidate=best.number)]
        short = stage_fault(campaign, "the confirmation", 2 * len(seeds) * len(campaign.suite.practice))
        if short:
            measured = Measured(arms=(), faults=(short,))
        else:
            measured = await measure(work.desk, campaign, arms, seeds)
        protected = tuple(mean >= settings.protected_at for mean in round_.incumbent_means)
        if measured.complete:
            key = gate.verdict_key(campaign.id, round_.number, best.tree)
            verdict = await self._confirmed(work, measured.arms, key, protected, best.growth)
        else:
            verdict = gate.inconclusive(measured.reason)
        incumbent, challenger = measured.arms or tuple(gate.ArmScores(tree=a.tree) for a in arms)
        confirmed = e.ChangeConfirmed(
            campaign=campaign.id,
            round=round_.number,
            candidate=best.number,
            seeds=seeds,
            incumbent=incumbent,
            challenger=challenger,
            protected=protected,
            verdict=verdict,
            spent=measured.spent,
            complete=measured.complete,
        )
        decided = msgspec.structs.replace(round_, verdict=verdict)
        if approval_needed(campaign, decided):
            return [confirmed]
        return [confirmed, self._decide(work, decided)]

    async def _confirmed(
        self,
        work: Work,
        arms: tuple[gate.ArmScores, ...],
        key: str,
        protected: Sequence[bool],
        growth: int = 0,
    ) -> Verdict:
        """The gate's word, found off the loop that renews leases."""
        campaign = work.campaign
        clusters = tuple(task.package for task in campaign.suite.practice)
        incumbent, challenger = arms
        return await anyio.to_thread.run_sync(
            lambda: gate.confirm(
                incumbent,
                challenger,
                clusters,
                campaign.settings.gate,
                key=key,
                protected=protected,
                growth=growth,
                resampler=Workers(work.desk),
            )
        )

    async def _verdict(self, work: Work) -> Sequence[e.Event]:
        return [self._decide(work, work.round)]

    def _decide(self, work: Work, round_: Round) -> e.Event:
        """The event that ends the round's question, from what the state already holds."""
        campaign = work.campaign.id
        verdict, number = round_.verdict, round_.number
        fault = round_.fault or (verdict.reason if verdict and verdict.decision == "inconclusive" else "")
        if fault:
            return e.ChangeInconclusive(campaign=campaign, round=number, candidate=round_.best, reason=fault)
        if verdict is None:
            reason = round_.reason or "no candidate could be made"
            return e.ChangeReverted(campaign=campaign, round=number, candidate=-1, reason=reason)
        best = next(c for c in round_.candidates if c.number == round_.best)
        approval = round_.approval
        if verdict.decision == "keep" and approval is not None and approval.status == "denied":
            reason = f"denied by {approval.by}; the gate would have kept it: {verdict.reason}"
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

    async def _null(self, work: Work) -> Sequence[e.Event]:
        """The A/A arm: the same pipeline with the same harness everywhere, the challengers' seeds salted."""
        campaign, round_ = work.campaign, work.round
        settings = campaign.settings.gate
        clusters = tuple(t.package for t in campaign.suite.practice)
        tree = round_.tree
        race_seeds = stage_seeds(campaign, f"null/race/{round_.number}", settings.race_seeds)
        confirm_seeds = stage_seeds(campaign, f"null/confirm/{round_.number}", settings.confirm_seeds)
        salts = [derive_seed("salt", round_.number, i) for i in range(settings.candidates)]
        arms = [Arm(tree=tree), *(Arm(tree=tree, salt=salt) for salt in salts)]
        raced = await measure(work.desk, campaign, arms, race_seeds)
        spent, verdict = raced.spent, gate.inconclusive(raced.reason)
        incumbent = challenger = None
        if raced.complete:
            outcome = gate.race(raced.arms[0], raced.arms[1:], clusters, settings)
            verdict = Verdict(decision="revert", reason=outcome.reason)
            if outcome.best is not None:
                pair = [Arm(tree=tree), arms[1 + outcome.best]]
                measured = await measure(work.desk, campaign, pair, confirm_seeds)
                spent += measured.spent
                verdict = gate.inconclusive(measured.reason)
                if measured.complete:
                    incumbent, challenger = measured.arms
                    key = gate.verdict_key(campaign.id, round_.number, tree, pair[1].salt)
                    protected = gate.protected_tasks(raced.arms[0], settings)
                    verdict = await self._confirmed(work, measured.arms, key, protected)
        empty = gate.ArmScores(tree=tree)
        return [
            e.NullArmMeasured(
                campaign=campaign.id,
                round=round_.number,
                race_seeds=race_seeds,
                confirm_seeds=confirm_seeds,
                raced=tuple(e.CandidateScores(candidate=i, arm=arm) for i, arm in enumerate(raced.arms[1:])),
                incumbent_race=raced.arms[0] if raced.complete else empty,
                incumbent=incumbent,
                challenger=challenger,
                verdict=verdict,
                spent=spent,
            )
        ]

    async def _release(self, work: Work) -> Sequence[e.Event]:
        campaign, due = work.campaign, work.campaign.release
        if due is None:
            return []
        sealed = campaign.suite.sealed
        clusters = tuple(t.package for t in sealed)
        seeds = stage_seeds(campaign, f"release/{due.check}", campaign.settings.release_seeds)
        measured = await measure(
            work.desk, campaign, [Arm(tree=due.base), Arm(tree=due.tree)], seeds, tasks=sealed
        )
        if not measured.complete:
            raise RuntimeError(f"the sealed tasks could not be measured: {measured.reason}")
        base, head = measured.arms
        key = gate.release_key(campaign.id, due.check, due.tree)
        verdict = await anyio.to_thread.run_sync(
            lambda: gate.release(base, head, clusters, due.check, key=key, resampler=Workers(work.desk))
        )
        solved = [
            sum(result.solved for row in rows for result in row) / max(1, arm.episodes)
            for rows, arm in zip(measured.results, measured.arms, strict=True)
        ]
        intervals = [cluster_interval(arm.scores, clusters, key=key) for arm in measured.arms]
        queried = e.SealedQueried(
            campaign=campaign.id,
            check=due.check,
            seeds=seeds,
            base=base,
            head=head,
            solved_base=solved[0],
            solved_head=solved[1],
            verdict=verdict,
            interval_base=(intervals[0].low, intervals[0].high),
            interval_head=(intervals[1].low, intervals[1].high),
            spent=measured.spent,
        )
        ended: e.Event
        if verdict.passed:
            ended = e.HarnessReleased(
                campaign=campaign.id,
                check=due.check,
                tree=due.tree,
                estimate=verdict.estimate_rounded,
            )
        else:
            ended = e.ReleaseRefused(
                campaign=campaign.id, check=due.check, tree=due.tree, reason=verdict.reason
            )
        return [queried, ended]


def _raced(
    work: Work, raced: Sequence[Candidate], stage: Measured, measured: Measured, probed: Probed
) -> e.CandidatesRaced:
    campaign, round_ = work.campaign, work.round
    faults = (*stage.faults, *probed.faults, *measured.faults)
    inert = tuple(c.number for c in round_.candidates if c.tree in probed.inert and c.growth >= 0)
    facts: dict[str, Any] = {
        "campaign": campaign.id,
        "round": round_.number,
        "seeds": round_.seeds,
        "probes": probed.pairs,
        "probed": {
            str(c.number): round(probed.gains[c.tree], 6) for c in round_.candidates if c.tree in probed.gains
        },
        "shown": {
            str(c.number): round(probed.shown[c.tree], 6) for c in round_.candidates if c.tree in probed.shown
        },
        "inert": inert,
        "spent": probed.spent + measured.spent,
    }
    if faults:
        return e.CandidatesRaced(
            **facts,
            incumbent=gate.ArmScores(tree=round_.tree),
            candidates=(),
            effects=(),
            reason=faults_reason(faults),
            complete=False,
        )
    clusters = tuple(t.package for t in campaign.suite.practice)
    growth = [candidate.growth for candidate in raced]
    outcome = gate.race(stage.arms[0], measured.arms, clusters, campaign.settings.gate, growth)
    changes = "1 change" if len(inert) == 1 else f"{len(inert)} changes"
    ineffective = f" {changes} showed no effect at all." if inert else ""
    return e.CandidatesRaced(
        **facts,
        incumbent=stage.arms[0],
        candidates=tuple(
            e.CandidateScores(candidate=c.number, arm=arm)
            for c, arm in zip(raced, measured.arms, strict=True)
        ),
        effects=outcome.effects,
        best=raced[outcome.best].number if outcome.best is not None else -1,
        reason=outcome.reason + ineffective,
    )
