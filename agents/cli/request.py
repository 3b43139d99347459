"""Asking for a campaign: the suite, the seed harness and the model go into the ledger, then the request itself."""

from contextlib import suppress
from pathlib import Path

import msgspec

import contracts
from agents.cli.differences import differences, listed
from agents.models.endpoint import fingerprint, lacking
from agents.models.probed import last_probe
from agents.models.shared import ensure_model
from agents.tasks.join import Joined
from agents.tasks.suite import Suite
from contracts import events as e
from contracts.envelope import NewEvent
from contracts.ledger import stream_events
from contracts.lineage import Campaign, Lineage, fold
from contracts.models import EMBEDDED, facts_of
from contracts.settings import CampaignSettings, SuiteManifest, TaskRef
from contracts.tasks import GradedTask
from eventstore import trees
from eventstore.client import LedgerClient
from eventstore.errors import Conflict, Malformed
from eventstore.snapshots import Source, restore


class CampaignUnderWay(Exception):
    """Raised when a campaign with other settings has not ended yet."""

    def __init__(self, campaign: Campaign, differs: list[str]) -> None:
        self.campaign = campaign
        done, total = campaign.rounds_done, campaign.settings.rounds
        super().__init__(
            f"campaign {campaign.id} ({done} of {total} rounds done) is under way with other settings: "
            f"{listed(differs)}. Resume it with the settings that it was started with, give --abandon to end it, "
            "or use another --store"
        )


def seed_folder() -> Path:
    """The seed harness that travels beside the import packages."""
    return Path(contracts.__file__).parent.parent / "harness"


def seed_files() -> dict[str, bytes]:
    """The files of the seed harness."""
    files = trees.collect(seed_folder())
    return {path: data for path, data in files.items() if "__pycache__" not in path and path != "py.typed"}


async def lineage_state(ledger: Source, name: str) -> Lineage:
    """A lineage, folded from its latest snapshot or from nothing."""
    state = await restore(ledger, f"lineage/{name}")
    async for envelope in stream_events(ledger, f"lineage/{name}", after=state.version):
        state = fold(state, envelope)
    return state


async def ensure_lineage(ledger: LedgerClient, name: str, *, actor: str) -> Lineage:
    """The lineage; begun with the seed harness if it is not there yet."""
    state = await lineage_state(ledger, name)
    if state.head:
        return state
    seeded = e.HarnessSeeded(tree=await trees.put_tree(ledger, seed_files()))
    stream = f"lineage/{name}"
    new = e.encode(seeded, duty=f"{stream}/seed", index=0, actor=actor, correlation=stream)
    with suppress(Conflict):  # somebody else may begin it in this moment
        await ledger.append(stream, 0, [new])
    return await lineage_state(ledger, name)


async def put_task(ledger: LedgerClient, graded: GradedTask) -> TaskRef:
    """Store a task, with what grades it, and answer its reference."""
    blob = await ledger.put(msgspec.json.encode(graded))
    return TaskRef(id=graded.task.id, package=graded.task.package, blob=blob)


async def request_campaign(
    ledger: LedgerClient,
    suite: Suite,
    settings: CampaignSettings,
    *,
    lineage: str = "main",
    actor: str = "operator",
    abandon: bool = False,
    joined: Joined | None = None,
    fixed: tuple[str, ...] | None = None,
) -> tuple[Campaign, bool]:
    """Begin a campaign, or find the one that was begun with the same settings and has not ended.

    `joined` is the suite with the collected tasks, if a new campaign is to practise on them; one that is resumed
    keeps those that it began with. `fixed` are decoding parameters that are not searched; None takes what was found out
    about the harness's model, and from it whether that calls tools, where the settings do not say.

    Returns:
        The campaign, and whether it is resumed.

    Raises:
        CampaignUnderWay: one with other settings has not ended.
    """
    spec = settings.models.harness
    print_ = fingerprint(spec) if spec else (await ensure_model(ledger, actor=actor)).fingerprint
    stream = f"lineage/{lineage}"
    tasks = joined.suite if joined else suite
    manifest = SuiteManifest(
        name=tasks.name,
        digest=tasks.digest,
        practice=tuple([await put_task(ledger, graded) for graded in tasks.practice]),
        sealed=tuple([await put_task(ledger, graded) for graded in tasks.sealed]),
        base=suite.digest if joined and joined.added else "",
        collected=joined.added if joined else (),
    )
    seen = -1
    while True:
        state = await ensure_lineage(ledger, lineage, actor=actor)
        if state.version == seen:
            raise Malformed(
                "the ledger holds a request for this campaign that cannot be read; use another store"
            )
        current = state.campaign
        new = []
        if current is not None and current.status != "finished":
            # What is not searched follows from the model, and nobody asks for it; facts may be said, or follow.
            facts = current.settings.facts if settings.facts else None
            then = msgspec.structs.replace(current.settings, fixed=settings.fixed, facts=facts)
            differs = differences(then, settings)
            differs += _other_suite(current, suite, collected=joined is not None)
            if not differs:
                if current.status == "paused":
                    await _resume(ledger, stream, state, actor)
                return current, True
            if not abandon:
                raise CampaignUnderWay(current, differs)
            new.append(_abandoned(state, current, actor))
        # Event ids follow from it, so no two campaigns of a ledger may share a name.
        name = f"{suite.name}-s{settings.seed}-c{state.campaigns + 1}"
        name = name if lineage == "main" else f"{lineage}:{name}"
        known = msgspec.structs.replace(settings, fixed=fixed or ())
        requested = e.CampaignRequested(
            campaign=name,
            settings=await _found_out(ledger, settings) if fixed is None else known,
            suite=manifest,
            fingerprint=print_,
            model=spec or EMBEDDED,
        )
        new.append(e.encode(requested, duty=f"{name}/request", index=0, actor=actor, correlation=name))
        try:
            appended = await ledger.append(stream, state.version, new)
        except Conflict:
            continue
        if appended.repeated:
            seen = state.version
            continue  # somebody else asked at the same time, perhaps with other settings: see what stands
        found = (await lineage_state(ledger, lineage)).campaign
        if found is None:
            raise Malformed("the request of a campaign was stored, and cannot be read; use another store")
        return found, False


async def _found_out(ledger: LedgerClient, settings: CampaignSettings) -> CampaignSettings:
    """The settings with what is known of the harness's model, as far as anybody has looked.

    Decoding parameters that do nothing are not searched, and it is offered no tools if it calls none.
    """
    spec = settings.models.harness
    if not spec:
        return msgspec.structs.replace(settings, fixed=())
    probed = await last_probe(ledger, spec)
    if probed is None:
        return msgspec.structs.replace(settings, fixed=lacking(spec))
    facts, known = settings.facts, facts_of(spec)
    if facts is None and known.tools and not probed.calls_tools:
        facts = msgspec.structs.replace(known, tools=False)
    return msgspec.structs.replace(settings, fixed=probed.unsupported, facts=facts)


async def _resume(ledger: LedgerClient, stream: str, state: Lineage, actor: str) -> None:
    """Let a campaign go on that was paused for want of something that a person has mended."""
    if state.campaign is None:
        return
    event = e.CampaignResumed(campaign=state.campaign.id, reason="the operator goes on")
    duty = f"{state.campaign.id}/resume/{state.version}"
    new = e.encode(event, duty=duty, index=0, actor=actor, correlation=state.campaign.id)
    with suppress(Conflict):  # somebody else may let it go on in this moment
        await ledger.append(stream, state.version, [new])


def _other_suite(campaign: Campaign, suite: Suite, *, collected: bool) -> list[str]:
    """How the suite differs that a campaign began with; it practises on collected tasks only if that is wanted."""
    manifest, found = campaign.suite, []
    if (manifest.base or manifest.digest) != suite.digest:
        same = manifest.name == suite.name
        found.append("the suite's tasks" if same else f"suite ({manifest.name} then, {suite.name} now)")
    if manifest.collected and not collected:
        found.append("--collected (then, and not now)")
    return found


def _abandoned(state: Lineage, campaign: Campaign, actor: str) -> NewEvent:
    event = e.CampaignFinished(
        campaign=campaign.id,
        reason="abandoned by the operator",
        tree=state.head,
        fingerprint=campaign.fingerprint,
        spent=campaign.spent,
    )
    return e.encode(event, duty=f"{campaign.id}/abandon", index=0, actor=actor, correlation=campaign.id)
