"""The critic: reads the failures before a plan is made, reviews what models wrote, and writes down the lesson."""

from collections.abc import Mapping, Sequence

import msgspec

from agents.critic.fixes import fixes
from agents.critic.lesson import Scored, score_predictions, write_lesson
from agents.critic.names import SuiteNames, findings, suite_names
from agents.critic.review import judge, remark, sampled, with_remarks
from agents.critic.story import Story, places, read_story
from agents.critic.taxonomy import KINDS, clusters
from agents.evaluator.measure import Arm, measure
from agents.models.errors import BudgetSpentError, RequestRefusedError
from agents.thinking.ask import Rejected
from agents.work import LineageWork as Work
from agents.work import Models, headline
from contracts import events as e
from contracts.jobs import EpisodeResult
from contracts.lineage import Candidate
from contracts.tasks import GradedTask
from eventstore.trees import diff_trees


class Critic:
    """Analyzes failed episodes, reviews what models wrote, and keeps the campaign's memory."""

    role = "critic"

    def __init__(self, models: Models = Work.model) -> None:
        self.models = models
        self._names: dict[str, SuiteNames] = {}

    async def perform(self, work: Work) -> Sequence[e.Event]:
        """Answer a duty of the critic."""
        return await getattr(self, f"_{work.duty.kind}")(work)  # type: ignore[no-any-return]

    async def _analyze(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        # The same jobs as the evaluator's: their results are there, or are made again, to the letter.
        measured = await measure(work.desk, campaign, [Arm(tree=round_.tree)], round_.seeds, transcript=True)
        results = [result for row in measured.results[0] for result in row] if measured.results else []
        stories = {result.job: read_story(result) for result in results}
        found_places = _places_of(results, stories)
        known = {
            task: {*work.state.places.get(task, ()), *found_places.get(task, ())}
            for task in {result.task_id for result in results}
        }
        found = clusters(results, stories, known)
        failed = sum(not result.solved for result in results)
        failures = []
        for kind, group in found.items():
            example = min(group, key=lambda result: (-result.score, result.job))
            blob = await work.desk.ledger.put(example.transcript) if example.transcript else ""
            tasks = tuple(sorted({result.task_id for result in group}))
            failures.append(
                e.FailureCluster(
                    kind=kind,
                    count=len(group),
                    share=round(len(group) / failed, 4),
                    tasks=tasks,
                    example=blob,
                    example_task=example.task_id,
                    note=f"{KINDS[kind]} (for example {example.task_id})",
                )
            )
        summary = (
            f"{failed} of {len(results)} episodes failed: "
            + ", ".join(f"{len(group)} {kind.replace('_', ' ')}" for kind, group in found.items())
            if failed
            else f"all {len(results)} episodes were solved"
        )
        if not measured.complete:
            summary = f"the episodes could not be read again: {measured.reason}"
        return [
            e.FailuresAnalyzed(
                campaign=campaign.id,
                round=round_.number,
                failures=tuple(failures),
                summary=summary,
                fixes=fixes(list(stories.values())),
                places=found_places,
            )
        ]

    async def _review(self, work: Work) -> Sequence[e.Event]:
        candidate = next(c for c in work.round.candidates if c.number == work.duty.candidate)
        parent, tree = await work.desk.tree(work.round.tree), await work.desk.tree(candidate.tree)
        found = findings(parent, tree, await self._suite_names(work))
        model = None if found else self.models(work, "critic")
        reasons = [each.reason for each in found]
        through = False
        if model is not None:
            patch = await diff_trees(work.desk.ledger, work.round.tree, candidate.tree)
            try:
                answer = await judge(model, candidate.plan, patch, parent)
            except (RequestRefusedError, BudgetSpentError) as error:
                work.desk.log.warning("reviewed without the model", reason=str(error))
                model, reasons = None, [f"the model was not asked: {error}"]
            else:
                if isinstance(answer, Rejected):
                    reasons = [f"the model's review could not be used: {answer.reason}"]
                else:
                    found = answer.value.findings
                    reasons = list(answer.value.reasons) if found else []
                    # What the check without a model finds is out; what a model says may be wrong, and some of it is
                    # put to the test.
                    through = bool(found) and sampled(work.campaign.settings.seed, work.duty.key)
        return [
            e.ChangeReviewed(
                campaign=work.campaign.id,
                round=work.round.number,
                candidate=candidate.number,
                approved=not found,
                reasons=tuple(reason[:600] for reason in reasons[:8]),
                checks=tuple(dict.fromkeys(each.check for each in found)),
                sampled=through,
                model=model.fingerprint if model else "",
            )
        ]

    async def _suite_names(self, work: Work) -> SuiteNames:
        """What no patch may name; of sealed tasks only how they are called is looked at."""
        suite = work.campaign.suite
        if suite.digest not in self._names:
            tasks = {}
            for task in suite.practice:
                data = await work.desk.ledger.get(task.blob)
                tasks[task.id] = msgspec.json.decode(data, type=GradedTask)
            sealed = frozenset(name for task in suite.sealed for name in (task.id, task.package))
            self._names = {suite.digest: suite_names(tasks, sealed)}
        return self._names[suite.digest]

    async def _lesson(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        best: Candidate | None = next((c for c in round_.candidates if c.number == round_.best), None)
        scored = score_predictions(best, round_) if best else Scored()
        before = [headline(page) for page in await work.lessons()]
        text = await self._remarked(work, write_lesson(work.state, round_, best, scored, before))
        return [
            e.LessonRecorded(
                campaign=campaign.id,
                round=round_.number,
                lesson=await work.desk.ledger.put(text.encode()),
                headline=headline(text),
                hits=scored.hits,
                misses=scored.misses,
                credit=scored.credit,
            )
        ]

    async def _remarked(self, work: Work, page: str) -> str:
        """The page with what a model adds to it, if there is one and it has something to say."""
        model = self.models(work, "critic")
        if model is None or work.round.fault:
            return page
        patches = {
            candidate.plan.title: await diff_trees(work.desk.ledger, work.round.tree, candidate.tree)
            for candidate in work.round.candidates
            if candidate.effect is not None
        }
        try:
            answer = await remark(model, page, patches)
        except (RequestRefusedError, BudgetSpentError) as error:
            work.desk.log.warning("the lesson has no remarks", reason=str(error))
            return page
        if isinstance(answer, Rejected):
            work.desk.log.warning("the lesson has no remarks", reason=answer.reason)
            return page
        return with_remarks(page, answer.value)


def _places_of(results: Sequence[EpisodeResult], stories: Mapping[str, Story]) -> dict[str, tuple[str, ...]]:
    """Task → where its episodes made failing tests pass; tasks without such a place are left out."""
    tasks = sorted({result.task_id for result in results})
    found = {task: places([stories[r.job] for r in results if r.task_id == task]) for task in tasks}
    return {task: lines for task, lines in found.items() if lines}
