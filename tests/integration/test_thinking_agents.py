"""Planner, patcher and critic with a model: asked over HTTP, answered by a script, in good faith and in bad."""

import asyncio
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec
import pytest
import structlog

from agents.cli.request import seed_files
from agents.critic.policy import Critic
from agents.critic.review import sampled
from agents.models import scripted
from agents.models.endpoint import EndpointModel, parse
from agents.models.errors import ModelUnavailableError
from agents.models.scripted import ScriptedServer, say
from agents.patcher.policy import Patcher
from agents.planner.bandit import directions
from agents.planner.policy import Planner
from agents.sandbox import Sandbox
from agents.work import Desk, LineageWork
from contracts import events as e
from contracts.chat import Model
from contracts.duties import Duty, duties
from contracts.envelope import GENESIS, seal
from contracts.gate import Verdict
from contracts.lineage import Arm, Branch, Campaign, Candidate, Lineage, Round, RoundSummary, Version, evolve
from contracts.models import ModelRole, Models
from contracts.settings import CampaignSettings, SuiteManifest, TaskRef
from contracts.tasks import GradedTask, Task
from eventstore.testing import MemoryStore
from eventstore.trees import diff_file, put_tree

SEED = seed_files()
SECRETS = ("sealed-alpha", "sealedpack", "HIDDENMARK", "test_hidden_mark", "seedmark")
"""What no model may ever be told."""
BUG = "def first(xs):\n    return xs[1]  # the very first of all of the things that were given\n"
GRADED = GradedTask(
    task=Task(
        id="bag-1",
        package="bag",
        instruction="The function `first` hands back the second thing that is in the list instead of the first one.",
        files={
            "bag.py": BUG,
            "tests/test_bag.py": "def test_first_of_bag():\n    assert first([1, 2]) == 1\n",
        },
        solution_files=("bag.py",),
    ),
    hidden={"tests/test_more.py": "def test_hidden_mark():\n    assert HIDDENMARK\n"},
    digest="d",
)
TRANSCRIPT = zlib.compress(
    b"\n".join(
        json.dumps(line).encode()
        for line in (
            {"test": 1, "status": "ok", "failed": ["tests/test_bag.py::test_first_of_bag"], "passed": 3},
            {
                "call": 1,
                "said": [{"role": "system", "content": "mend"}, {"role": "user", "content": "The bag is wrong."}],
                "reply": {"role": "assistant", "content": "", "tool_calls": [
                    {"id": "1", "name": "edit", "arguments": {"path": "bag.py", "line": 2, "old": "a", "new": "b"}}
                ]},
            },
            {"end": "done", "error": "", "files": {"bag.py": "x"}, "log": ""},
        )
    )
)  # fmt: skip
WORDS = {
    "surface": "rule",
    "title": "Show failing lines at every step",
    "root_cause": "the model does not see which lines fail",
    "risks": "longer prompts",
    "effect": 0.03,
    "cost": 1.2,
    "flips": ["bag-1"],
    "words": "Add rules/lines.py that shows the failing lines on step, and turn it on.",
}
LINES = b"""\
from primitives import show_lines

on = "step"


def when(run):
    return True


def act(run):
    show_lines(run)
"""


def diff_to(**files: bytes) -> str:
    """The seed's diff to one with other files."""
    paths = {"toml": "harness.toml", "rule": "rules/lines.py", "agent": "agent.py"}
    return "".join(diff_file(paths[name], SEED.get(paths[name]), data) for name, data in files.items())


TOML = SEED["harness.toml"]
RULE = diff_to(rule=LINES, toml=TOML.replace(b"on = []", b'on = ["lines"]'))


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[ScriptedServer, EndpointModel]]:
    with ScriptedServer([say("nothing")]) as made:
        yield made, EndpointModel(parse(f"openai:scripted@{made.url}"), key="k", sleep=lambda _: None)


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox() as made:
        yield made


class House:
    """A store with a campaign in a round, and agents whose model is the scripted one."""

    def __init__(self, running: tuple[ScriptedServer, EndpointModel], sandbox: Sandbox) -> None:
        self.server, self.endpoint = running
        self.server.asked.clear()
        self.sandbox = sandbox
        self.store = MemoryStore()
        self.roles: tuple[str, ...] = ("planner", "patcher", "critic")
        self.settings: dict[str, Any] = {}
        self.state = asyncio.run(self._begin())

    async def _begin(self) -> Lineage:
        tree = await put_tree(self.store, SEED)
        self.example = await self.store.put(TRANSCRIPT)
        blob = await self.store.put(msgspec.json.encode(GRADED))
        page = (
            "# Round 1: reverted a rule\n\n## Directions\n\n- More of action:keep: +0.02 on average so far.\n"
        )
        suite = SuiteManifest(
            name="s",
            digest="d",
            practice=(TaskRef(id="bag-1", package="bag", blob=blob),),
            sealed=(TaskRef(id="sealed-alpha", package="sealedpack", blob="f" * 64),),
        )
        cluster = e.FailureCluster(
            kind="gave_up", count=3, share=1.0, tasks=("bag-1",), example=self.example, example_task="bag-1",
            note="it ended early",
        )  # fmt: skip
        round_ = Round(
            number=2,
            tree=tree,
            executed=True,
            incumbent_means=(0.25,),
            seeds=("seedmark-1",),
            failures=(cluster,),
        )
        campaign = Campaign(
            id="c1",
            settings=CampaignSettings(plans=8, models=Models(planner="openai:x@http://h/v1")),
            suite=suite,
            fingerprint="f",
            status="running",
            rounds_done=1,
            round=round_,
        )
        summary = RoundSummary(
            campaign="c1", number=1, tree=tree, decision="reverted", title="a rule", reason="luck"
        )
        return Lineage(
            head=tree,
            seed_tree=tree,
            campaigns=1,
            versions=(Version(number=0, tree=tree, position=1, round=0, reason="seed"),),
            campaign=campaign,
            history=(summary,),
            lessons=(await self.store.put(page.encode()),),
        )

    def models(self, _: LineageWork, role: ModelRole) -> Model | None:
        return self.endpoint if role in self.roles else None

    @property
    def campaign(self) -> Campaign:
        assert self.state.campaign is not None
        return self.state.campaign

    @property
    def round(self) -> Round:
        assert self.campaign.round is not None
        return self.campaign.round

    def set(self, **fields: Any) -> None:
        campaign = msgspec.structs.replace(self.campaign, round=msgspec.structs.replace(self.round, **fields))
        self.state = msgspec.structs.replace(self.state, campaign=campaign)

    def asked_for(self, kind: str, candidate: int = -1) -> LineageWork:
        log = structlog.get_logger()
        desk = Desk(
            bus=cast("Any", None),
            ledger=cast("Any", self.store),
            jobs=cast("Any", None),
            instance="x",
            log=log,
        )
        duty = Duty(key=f"c1/2/{kind}/{candidate}", kind=kind, candidate=candidate)
        return LineageWork(desk=desk, stream="lineage/main", state=self.state, duty=duty, now=0.0)

    def take(self, events: Sequence[e.Event]) -> None:
        for event in events:
            new = e.encode(event, duty="d", index=0, actor="a", correlation="c")
            self.state = evolve(
                event, self.state, seal(new, stream="s", version=1, position=1, at=0.0, prev=GENESIS)
            )

    def plan(self, *script: Any) -> list[Any]:
        self.server.script = list(script) or [say("not asked")]
        return list(asyncio.run(Planner(self.models).perform(self.asked_for("plan"))))

    def patch(self, change: Mapping[str, Any], *script: Any) -> Any:
        self.set(candidates=(Candidate(number=0, plan=plan_of(change)),))
        self.server.script = list(script) or [say("not asked")]
        patcher = Patcher(self.sandbox.check_starts, self.models)
        [event] = asyncio.run(patcher.perform(self.asked_for("patch", 0)))
        return event

    def review(self, files: Mapping[str, bytes], *script: Any, candidate: int = 0) -> Any:
        tree = asyncio.run(put_tree(self.store, {**SEED, **files}))
        made = Candidate(number=candidate, plan=plan_of({"words": "so"}), status="proposed", tree=tree)
        self.set(candidates=(made,))
        self.server.script = list(script) or [say("not asked")]
        [event] = asyncio.run(Critic(self.models).perform(self.asked_for("review", candidate)))
        return event


@pytest.fixture
def house(running: tuple[ScriptedServer, EndpointModel], sandbox: Sandbox) -> House:
    return House(running, sandbox)


def plan_of(change: Mapping[str, Any]) -> e.Plan:
    return e.Plan(
        surface="rule", operator="think", arm="model:rule", change=dict(change), title="Show failing lines",
        evidence="episode x", root_cause="unseen lines", risks="longer", prediction=e.Prediction(effect=0.03),
    )  # fmt: skip


def answer(house: House, *plans: Mapping[str, Any], **more: Any) -> str:
    """An answer with plans that name the episode that was shown."""
    evidence = [{"episode": house.example[:12], "shows": "one edit, then nothing"}]
    return json.dumps({"plans": [{**WORDS, "evidence": evidence, **plan, **more} for plan in plans or ({},)]})


def told(house: House) -> str:
    return json.dumps(house.server.asked)


# The planner


def test_a_models_plans_come_first_and_the_others_are_drawn(house: House) -> None:
    found = house.plan(say(f"Let me see.\n\n```json\n{answer(house)}\n```"))
    assert [planned.candidate for planned in found] == list(range(8))
    plan = found[0].plan
    assert (plan.operator, plan.arms, plan.surface, plan.cost) == ("think", ("model:rule",), "rule", 1.2)
    assert plan.change == {"words": WORDS["words"]}
    assert plan.prediction == e.Prediction(effect=0.03, flips=("bag-1",))
    assert plan.evidence == f"episode {house.example[:12]} (bag-1): one edit, then nothing"
    assert plan.free
    assert not any(planned.plan.free for planned in found[1:])
    assert found == house.plan(say(answer(house))), "the same state gives the same plans"
    assert house.server.asked[0] == house.server.asked[1]


def test_an_episode_may_be_named_in_full_or_in_quotes(house: House) -> None:
    evidence = [
        {"episode": name, "shows": "x"} for name in (f"episode `{house.example[:12]}`", house.example)
    ]
    plan = house.plan(say(answer(house, evidence=evidence)))[0].plan
    assert plan.evidence == "; ".join([f"episode {house.example[:12]} (bag-1): x"] * 2)


def test_the_model_is_told_what_it_needs_and_nothing_that_is_sealed(house: House) -> None:
    tried = Branch(round=1, parent=house.round.tree, tree="", plan=plan_of({"diff": "x"}), effect=-0.01)
    tried = msgspec.structs.replace(
        tried, plan=msgspec.structs.replace(tried.plan, operator="write", title="a line")
    )
    house.state = msgspec.structs.replace(house.state, archive=(tried,))
    house.plan(say(answer(house)))
    needed = ("gave_up", "bag-1: 0.25", f"Episode {house.example[:12]}, task bag-1", "The bag is wrong.")
    for words in (
        *needed,
        "def solve(task, model",
        "round 1, reverted: a rule",
        "of action:keep",
        "-0.0100: a line",
    ):
        assert words in house.server.asked[0]["messages"][1]["content"], words
    house.review({"rules/x.py": b"x = 1\n"}, say(GOOD))
    house.patch({"words": "so"}, say(RULE))
    assert len(house.server.asked) == 3
    for secret in SECRETS:
        assert secret not in told(house), secret


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"flips": ["sealed-alpha"]}, "there is no practice task sealed-alpha"),
        ({"surface": "everything"}, "is no surface; there are decoding"),
        ({"evidence": [{"episode": "e1", "shows": "x"}]}, "no episode e1 was shown"),
        ({"evidence": []}, "it names no episode as evidence"),
        ({"words": ""}, "neither in words nor as a diff"),
        ({"effect": 7}, "no difference of mean scores"),
        ({"risks": ""}, "root cause and risks"),
        ({"words": "x" * 20_001}, "longer than 20000 characters"),
        ({"effect": "nan"}, "no difference of mean scores"),
    ],
)
def test_a_plan_that_is_none_is_said_back_and_then_dropped(
    house: House, wrong: dict[str, Any], said: str
) -> None:
    both = answer(house, {}, {"title": "Another", **wrong})
    dropped, *planned = house.plan(say(both), say(both), say("not asked"))
    assert said in house.server.asked[1]["messages"][3]["content"]
    assert [each.title for each in dropped.plans] == ["Another"]
    assert said in dropped.plans[0].reason
    assert [each.plan.operator == "think" for each in planned] == [True] + [False] * 7
    mended = house.plan(say(both), say(answer(house, {}, {"title": "Another", "words": "else"})))
    assert [each.plan.title for each in mended[:2]] == [WORDS["title"], "Another"]


def test_without_an_answer_that_can_be_used_everything_is_drawn(house: House) -> None:
    dropped, *planned = house.plan(say("I would rather not."), say("{}"))
    assert "the answer is no plan: the JSON does not fit" in dropped.plans[0].reason
    assert dropped.plans[0].what == "answer"
    assert [each.candidate for each in planned] == list(range(8))
    assert not any(each.plan.free for each in planned)
    house.roles = ()
    assert house.plan() == planned, "as without any model"
    assert len(house.server.asked) == 2


def test_a_refused_request_is_done_without_and_a_fault_of_the_way_is_tried_again(house: House) -> None:
    dropped, *planned = house.plan(scripted.status(400, "too long"))
    assert "the model was not asked" in dropped.plans[0].reason
    assert dropped.plans[0].what == "nothing", "no plan of the model's could not be used"
    assert len(planned) == 8
    with pytest.raises(ModelUnavailableError):
        house.plan(scripted.status(503))


def test_no_more_plans_than_asked_for_and_none_twice(house: House) -> None:
    many = [{"title": f"Plan {i}", "words": f"do {min(i, 4)}"} for i in range(6)]
    found = house.plan(say(answer(house, *many)))
    dropped, *planned = found
    assert [each.plan.title for each in planned[:5] if each.plan.free] == [f"Plan {i}" for i in range(4)]
    assert len(planned) == 8
    assert ["4 were asked for" in each.reason for each in dropped.plans] == [True, True]
    dropped, *planned = house.plan(say(answer(house, *[{"title": "x", "words": ""}] * 40)))
    assert len(dropped.plans) == 13
    assert dropped.plans[-1].reason == "28 more are no plans either"
    dropped, *planned = house.plan(say(answer(house, {}, {"title": "Again"})))
    assert "it is there twice" in dropped.plans[0].reason


def test_whoever_promises_much_and_keeps_little_is_believed_less(house: House) -> None:
    expected = []
    for arm in (Arm(), Arm(raced=20, effect=-0.1), Arm(raced=20, effect=0.6)):
        house.state = msgspec.structs.replace(house.state, arms={"model:rule": arm})
        expected.append(house.plan(say(answer(house, effect=0.5)))[0].plan.prediction.effect)
    assert expected[0] == 0.08
    assert expected[1] < 0.02
    assert 0.04 < expected[2] < 0.06


def test_in_a_round_of_ablations_no_model_is_asked(house: House) -> None:
    campaign = msgspec.structs.replace(
        house.campaign, settings=msgspec.structs.replace(house.campaign.settings, ablate_every=2)
    )
    house.state = msgspec.structs.replace(house.state, campaign=campaign)
    assert not any(each.plan.free for each in house.plan())
    assert not house.server.asked


def test_what_a_model_wrote_and_raced_ahead_comes_back_as_the_diff_that_it_was(house: House) -> None:
    house.roles = ()
    event = house.patch({"diff": RULE})
    branch = Branch(
        round=1, parent=house.round.tree, tree=event.tree, plan=plan_of({"words": "x"}), effect=0.05
    )
    house.state = msgspec.structs.replace(house.state, archive=(branch, branch))
    again = [each.plan for each in house.plan() if each.plan.operator == "diff"]
    assert [plan.title for plan in again] == ["Show failing lines"]
    assert again[0].free
    house.set(candidates=(Candidate(number=0, plan=again[0]),))
    made: Any
    [made] = asyncio.run(Patcher(lambda _: None, house.models).perform(house.asked_for("patch", 0)))
    assert made.tree == event.tree


# The patcher


def test_words_become_a_patch_that_starts(house: House) -> None:
    event = house.patch({"words": "Add a rule."}, say(f"Here you are:\n```diff\n{RULE}```"))
    assert isinstance(event, e.ChangeProposed), event
    tree = asyncio.run(house.asked_for("x").desk.tree(event.tree))
    assert b'on = ["lines"]' in tree["harness.toml"]
    assert tree["rules/lines.py"].startswith(b"from primitives")
    assert "+++ b/rules/lines.py" in event.patch
    assert event.growth > 0


def test_a_plans_own_diff_needs_no_second_model(house: House) -> None:
    event = house.patch({"words": "Add a rule.", "diff": RULE})
    assert isinstance(event, e.ChangeProposed), event
    assert not house.server.asked


HOT = diff_to(toml=TOML.replace(b"temperature = 1.0", b"temperature = 9.0"))
BROKEN = [
    (RULE.replace(" [rules]", " [rulez]"), "apply: harness.toml, hunk 1"),
    (RULE.replace("return True", "return ("), "compile: rules/lines.py"),
    (RULE.replace("import show_lines", "import show_nothing"), "start: "),
    (RULE.replace("b/rules/lines.py", "b/../lines.py"), "apply: '../lines.py' is not a plain relative path"),
    (HOT, "compile: harness.toml: decoding.temperature is 9.0"),
    (RULE.replace('+on = ["lines"]', '+on = ["line"]'), "apply: harness.toml turns on the rule 'line'"),
    (
        diff_to(toml=TOML.replace(b'"read", ', b'"peek", ')),
        "apply: harness.toml turns on the tool 'peek', and there is no tools/peek.py",
    ),
    (
        RULE.replace('+on = ["lines"]', '+on = ["lines"]  # so'),
        "apply: harness.toml: want one list `on = […]`",
    ),
    (
        "".join(f"diff --git a/agent.py b/a{n}\ncopy from agent.py\ncopy to a{n}\n" for n in range(500)),
        "apply: the patch is longer than 400000 bytes",
    ),
    ("I cannot.", "apply: there is no unified diff"),
]


@pytest.mark.parametrize(("diff", "fault"), BROKEN)
def test_a_faulty_patch_is_repaired_once_with_the_fault_said_back(
    house: House, diff: str, fault: str
) -> None:
    event = house.patch({"words": "Add a rule."}, say(diff), say(RULE), say("not asked"))
    assert isinstance(event, e.ChangeProposed), event
    assert fault in house.server.asked[1]["messages"][3]["content"]
    event = house.patch({"words": "Add a rule."}, say(diff), say(diff), say(RULE))
    stage, _, reason = fault.partition(": ")
    assert isinstance(event, e.ChangeRejected)
    assert event.stage == stage
    assert event.reason.startswith(reason)
    house.take([event])
    assert house.round.candidates[0].rejection.startswith(fault)


def test_a_plans_own_faulty_diff_is_written_again_once(house: House) -> None:
    wrong = RULE.replace(" [rules]", " [rulez]")
    event = house.patch({"words": "Add a rule.", "diff": wrong}, say(RULE))
    assert isinstance(event, e.ChangeProposed), event
    assert "is '[rules]', and the diff expects '[rulez]'" in told(house)
    event = house.patch({"diff": wrong}, say("no"), say(RULE))
    assert isinstance(event, e.ChangeRejected)
    house.roles = ()
    assert house.patch({"words": "Add a rule."}).reason.endswith("no model that writes patches")
    house.roles = ("patcher",)
    assert "not asked" in house.patch({"words": "Add a rule."}, scripted.status(400)).reason


# The critic


VERDICT = (
    '{{"matches_plan": {}, "special_cases": false, "touches_others": false, "gives_answers": false, '
    '"reasons": [{}]}}'
)
GOOD, BAD = VERDICT.format("true", ""), VERDICT.format("false", '"agent.py does nothing of that"')
PLAIN = {"rules/x.py": b'on = "step"\n'}


def test_a_good_patch_is_approved_and_a_critic_without_a_model_looks_for_names_only(house: House) -> None:
    event = house.review(PLAIN, say(GOOD))
    assert (event.approved, event.checks, event.sampled) == (True, (), False)
    assert event.model == house.endpoint.fingerprint
    house.roles = ()
    event = house.review(PLAIN)
    assert (event.approved, event.model) == (True, "")
    assert len(house.server.asked) == 1


@pytest.mark.parametrize(
    ("path", "text", "check"),
    [
        ("rules/x.py", 'if "bag-1" in run.messages[1]["content"]:', "names"),
        ("rules/bag_1.py", "", None),
        ("rules/x.py", "if run.task.id.startswith('b'):", "names"),
        ("rules/x.py", "bag = []  # a bag of words", None),
        ("rules/x.py", "if run.task.solution_files == ['bag.py']:", "names"),
        ("rules/x.py", "if 'test_first_of_bag' in failing:", "names"),
        ("rules/x.py", "if 'test_hidden_mark' in failing:", "names"),
        ("rules/x.py", "wanted = 'sealed-alpha'", "names"),
        ("skills/a/SKILL.md", f"Remember: {GRADED.task.instruction}", "copies"),
        ("skills/a/SKILL.md", BUG, "copies"),
        ("skills/a/SKILL.md", "Look at the first thing in the list.", None),
    ],
)
def test_a_patch_that_knows_a_task_is_rejected_without_asking(
    house: House, path: str, text: str, check: str | None
) -> None:
    event = house.review({path: text.encode()}, say(GOOD))
    assert event.approved == (check is None)
    assert event.checks == (() if check is None else (check,))
    assert len(house.server.asked) == (check is None)
    assert not event.sampled
    for secret in SECRETS:
        assert secret not in " ".join(event.reasons)


def test_of_a_models_rejections_one_in_four_is_let_through_by_the_campaigns_seed(house: House) -> None:
    events = [house.review(PLAIN, say(BAD), candidate=number) for number in range(24)]
    assert {event.approved for event in events} == {False}
    assert {event.checks for event in events} == {("plan",)}
    assert events[0].reasons == ("agent.py does nothing of that",)
    through = [event.candidate for event in events if event.sampled]
    assert through == [number for number in range(24) if sampled(1, f"c1/2/review/{number}")]
    assert 2 <= len(through) <= 12
    share = sum(sampled(seed, "c1/2/review/0") for seed in range(4000)) / 4000
    assert 0.22 < share < 0.28


def test_a_review_that_cannot_be_used_stops_nothing(house: House) -> None:
    no_reason = VERDICT.format("false", "")
    event = house.review(PLAIN, say(no_reason), say("Looks bad."))
    assert event.approved
    assert "could not be used: there is no JSON" in event.reasons[0]
    assert "gives no reason" in house.server.asked[1]["messages"][3]["content"]
    event = house.review(PLAIN, scripted.status(400))
    assert (event.approved, event.model) == (True, "")
    assert "the model was not asked" in event.reasons[0]


def closed(house: House) -> None:
    verdict = Verdict(decision="revert", effect=-0.01, low=-0.05, high=0.03, p=0.7, reason="no gain")
    house.set(raced=True, best=0, verdict=verdict, decision="reverted", reason="no gain", candidates=tuple(
        msgspec.structs.replace(each, effect=0.02) for each in house.round.candidates
    ))  # fmt: skip


def test_the_lesson_gains_remarks_and_keeps_its_figures(house: House) -> None:
    house.review(PLAIN, say(GOOD))
    closed(house)
    remarks = '{"remarks": ["- More of action:stop: +9.9\\n## Directions\\n- Less of x: 1", "The cause is not it."]}'
    pages = []
    for script in ([say(remarks)], [say("no"), say("no")], [scripted.status(400)]):
        house.server.script = script
        event: Any
        [event] = asyncio.run(Critic(house.models).perform(house.asked_for("lesson")))
        pages.append(house.store.blobs[event.lesson].decode())
    with_them, without, refused = pages
    assert without == refused
    assert with_them.startswith(without)
    assert with_them.endswith("## In the critic's words\n\n> - More of action:stop: +9.9 ## Directions - Less of x: 1"
                              "\n>\n> The cause is not it.\n")  # fmt: skip
    assert directions([with_them]) == directions([without])
    assert "+x = 1" not in with_them


# From plan to verdict


HOSTILE = diff_to(agent=SEED["agent.py"] + b"\n\ndef known(task):\n    return task.id == 'bag-1'\n")


def test_a_hostile_plan_never_races(house: House) -> None:
    """It special-cases a task, well-formed in every way: patched, reviewed, and out."""
    planned = house.plan(say(answer(house, {"diff": HOSTILE})))[:1]
    house.take(planned)
    patcher = Patcher(house.sandbox.check_starts, house.models)
    patched = asyncio.run(patcher.perform(house.asked_for("patch", 0)))
    assert isinstance(patched[0], e.ChangeProposed), patched
    house.take(patched)
    assert [duty.kind for duty in duties("critic", house.state, 0.0)] == ["review"]
    assert not duties("evaluator", house.state, 0.0)
    reviewed = asyncio.run(Critic(house.models).perform(house.asked_for("review", 0)))
    house.take(reviewed)
    assert house.round.candidates[0].status == "rejected"
    assert "asks which task it is at" in house.round.candidates[0].review.reason  # type: ignore[union-attr]
    assert not duties("critic", house.state, 0.0)
    assert [duty.kind for duty in duties("evaluator", house.state, 0.0)] == ["verdict"]


def test_the_race_waits_for_the_review_and_what_is_on_trial_races_too(house: House) -> None:
    number = next(number for number in range(99) if sampled(1, f"c1/2/review/{number}"))
    house.set(planned=True)
    for review, through in ((GOOD, False), (BAD, True)):
        event = house.review(PLAIN, say(review), candidate=number)
        assert event.sampled == through
        assert [duty.kind for duty in duties("critic", house.state, 0.0)] == ["review"]
        assert not duties("evaluator", house.state, 0.0)
        house.take([event])
        assert not duties("critic", house.state, 0.0)
        assert [duty.kind for duty in duties("evaluator", house.state, 0.0)] == ["race"]
