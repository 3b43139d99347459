"""The critic: reads the failures before a plan is made, and writes down the lesson after the verdict."""

from collections.abc import Mapping, Sequence

from agents.critic.fixes import fixes
from agents.critic.lesson import Scored, score_predictions, write_lesson
from agents.critic.story import Story, places, read_story
from agents.critic.taxonomy import KINDS, clusters
from agents.evaluator.measure import Arm, measure
from agents.work import LineageWork as Work
from agents.work import headline
from contracts import events as e
from contracts.jobs import EpisodeResult
from contracts.lineage import Candidate


class Critic:
    """Analyzes failed episodes, scores the planner's predictions, and keeps the campaign's memory."""

    role = "critic"

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

    async def _lesson(self, work: Work) -> Sequence[e.Event]:
        campaign, round_ = work.campaign, work.round
        best: Candidate | None = next((c for c in round_.candidates if c.number == round_.best), None)
        scored = score_predictions(best, round_) if best else Scored()
        before = [headline(page) for page in await work.lessons()]
        text = write_lesson(work.state, round_, best, scored, before)
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


def _places_of(results: Sequence[EpisodeResult], stories: Mapping[str, Story]) -> dict[str, tuple[str, ...]]:
    """Task → where its episodes made failing tests pass; tasks without such a place are left out."""
    tasks = sorted({result.task_id for result in results})
    found = {task: places([stories[r.job] for r in results if r.task_id == task]) for task in tasks}
    return {task: lines for task, lines in found.items() if lines}
