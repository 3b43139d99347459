"""What the gateway does with a call: find it on record, or reserve it, send it, settle it, and answer."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

import anyio
import anyio.abc
import msgspec

from agents.book import Book
from agents.categories import LINEAGES
from agents.models.endpoint import Answered
from agents.models.errors import (
    BudgetSpentError,
    EndpointMisconfiguredError,
    ModelError,
    ModelUnavailableError,
    RequestRefusedError,
    UnseenRequestError,
)
from agents.models.gateway.account import Account
from agents.models.gateway.budget import most_input_tokens
from agents.models.gateway.ways import Way, Ways
from agents.models.probed import last_probe
from agents.models.record import CallRecord
from agents.work import Desk
from bus import semconv, traces
from contracts import events as e
from contracts.calls import Call, ModelAnswer, ModelRequest, call_key, pack, unpack
from contracts.chat import ChatReply, ChatRequest, Usage, estimate_tokens, messages_bytes
from contracts.lineage import Campaign
from contracts.models import Capabilities, Charge
from eventstore.errors import Conflict

MESSAGE = 768 * 1024
"""Bytes of a call whose answer goes into a message; that of a larger one goes by the ledger."""
CALLS = 1024
"""Calls under way at once, those that wait for their time included."""


class Gateway:
    """Answers calls of models."""

    def __init__(
        self, desk: Desk, ways: Ways, tasks: anyio.abc.TaskGroup, record: CallRecord | None = None
    ) -> None:
        """With a `record` nothing is ever sent: it answers, or the campaign is halted. Accounts run in `tasks`."""
        self._desk = desk
        self._tasks = tasks
        self._ways = ways
        self._record = record
        self._lineages = Book(desk.ledger, LINEAGES)
        self._accounts: dict[str, Account] = {}
        self._opening = anyio.Lock()
        self._under_way: dict[tuple[str, str], asyncio.Future[ModelAnswer]] = {}
        self._threads = anyio.CapacityLimiter(CALLS)
        self._down: dict[str, float] = {}
        """Model → since when calls of it have gone without an answer, one after the other."""

    async def answer(self, data: bytes) -> bytes:
        """The handler of requests.

        Raises:
            MalformedMessage: the message is no call.
        """
        asked = msgspec.msgpack.decode(data, type=ModelRequest)
        request = asked.request
        if request is None:
            stored = await self._desk.ledger.get(asked.blob)
            request = msgspec.json.decode(stored, type=ChatRequest)
        answer = await self._answered(asked, request)
        return msgspec.msgpack.encode(answer)

    async def _answered(self, asked: ModelRequest, request: ChatRequest) -> ModelAnswer:
        key = call_key(asked.model, request)
        try:
            if self._record is not None:
                return await self._from_record(key, asked, request)
            account = await self._account(asked)
        except ModelError as error:
            return _no(error)
        if blob := account.answers.get(key):
            return await self._stored(blob)
        place = (asked.charge.campaign, key)
        if place not in self._under_way:  # who asks again meanwhile waits for the same answer
            future: asyncio.Future[ModelAnswer] = asyncio.ensure_future(
                self._make(key, asked, request, account)
            )
            self._under_way[place] = future
            future.add_done_callback(lambda _: self._under_way.pop(place, None))
        return await asyncio.shield(self._under_way[place])

    # Where answers come from ------------------------------------------------------------------------------------

    async def _stored(self, blob: str) -> ModelAnswer:
        call = unpack(await self._desk.ledger.get(blob))
        return ModelAnswer(blob=blob) if _large(call) else ModelAnswer(reply=call.reply)

    async def _from_record(self, key: str, asked: ModelRequest, request: ChatRequest) -> ModelAnswer:
        if self._record is None:
            raise ModelUnavailableError("there is no record")
        try:
            call = await self._record.find(key, asked.model, request)
        except UnseenRequestError as error:
            await self._halt(asked.charge, str(error))
            raise
        if _large(call):
            return ModelAnswer(blob=await self._desk.ledger.put(pack(call)))
        return ModelAnswer(reply=call.reply)

    async def _make(
        self, key: str, asked: ModelRequest, request: ChatRequest, account: Account
    ) -> ModelAnswer:
        """Make a call that is nowhere on record."""
        try:
            way = self._ways.to(asked.model)
            asking = msgspec.structs.replace(request, max_tokens=request.max_tokens or way.max_tokens)
            most = most_input_tokens(asking)
            bound, tokens = way.price.bound(most, asking.max_tokens), most + asking.max_tokens
            number = await account.reserve(key, asked.model, asked.charge, bound=bound, tokens=tokens)
        except ModelError as error:
            await self._tell(asked.charge, error, account.state.cost)
            return _no(error)
        return await self._send(number, asked, request, asking, way, account, bound, tokens)

    async def _send(
        self,
        number: int,
        asked: ModelRequest,
        request: ChatRequest,
        asking: ChatRequest,
        way: Way,
        account: Account,
        bound: float,
        tokens: int,
    ) -> ModelAnswer:
        """Send what is reserved, and settle it whatever comes."""
        settlement = partial(e.Settlement, number=number)
        try:
            found = await self._asked(asked, asking, way, tokens)
        except ModelError as error:
            lost = getattr(error, "lost", 0)
            sent = getattr(error, "sent", True)
            await account.settle(
                settlement(
                    outcome=_kind(error),
                    usage=Usage(cost=lost * bound),
                    tries=1 + lost if sent else 0,
                    reason=str(error)[:500],
                )
            )
            await self._tell(asked.charge, error, account.state.cost)
            return _no(error)
        reply, estimated = _counted(asking, found.reply)
        paid = way.price.cost(reply.usage)
        reply = _with_usage(reply, msgspec.structs.replace(reply.usage, cost=paid))
        call = Call(model=asked.model, request=request, reply=reply, seconds=found.seconds)
        blob = await self._desk.ledger.put(pack(call))
        usage = msgspec.structs.replace(reply.usage, cost=paid + found.lost * bound)
        await account.settle(
            settlement(
                outcome="answered", blob=blob, usage=usage, estimated=estimated, seconds=found.seconds,
                tries=found.tries,
            )
        )  # fmt: skip
        return ModelAnswer(blob=blob) if _large(call) else ModelAnswer(reply=reply)

    async def _asked(self, asked: ModelRequest, asking: ChatRequest, way: Way, tokens: int) -> Answered:
        """Ask when it is the call's turn; and again, while the endpoint is down and that is not for too long."""
        lost, sent = 0, False
        while True:
            try:
                async with way.throttle.place(tokens):
                    with _span(asked, asking) as span:
                        found = await anyio.to_thread.run_sync(
                            way.model.ask, asking, limiter=self._threads, abandon_on_cancel=True
                        )
                        _tell_span(span, found.reply)
            except ModelUnavailableError as error:
                error.lost = lost = lost + error.lost
                error.sent = sent = sent or error.sent
                since = self._down.setdefault(asked.model, anyio.current_time())
                if not error.again or anyio.current_time() + error.again > since + way.outage:
                    raise
                way.throttle.hold(error.again)
            else:
                self._down.pop(asked.model, None)
                return msgspec.structs.replace(found, lost=found.lost + lost)

    # Campaigns --------------------------------------------------------------------------------------------------

    async def _account(self, asked: ModelRequest) -> Account:
        """The account of the campaign that pays. Keys serve for models that its operator named, and for no others."""
        name = asked.charge.campaign
        async with self._opening:
            if name not in self._accounts:
                _, campaign = await self._lineage_of(name)
                if campaign is None:
                    raise RequestRefusedError(f"there is no campaign {name!r}")
                limits, models = campaign.settings.limits, campaign.settings.models
                account = Account(self._desk.ledger, name, limits, models, instance=self._desk.instance)
                await account.open()
                for spec in models.named:
                    if probed := await last_probe(self._desk.ledger, spec):
                        found = Capabilities(model=spec, findings=probed.findings)
                        self._ways.leave_out(spec, found.left_out)
                self._tasks.start_soon(account.run)
                self._accounts[name] = account
        if asked.model not in self._accounts[name].models.named:
            raise RequestRefusedError(f"{asked.model} is none of the models of campaign {name}")
        return self._accounts[name]

    async def _lineage_of(self, campaign: str) -> tuple[str, Campaign | None]:
        """The stream of a campaign's lineage, and the campaign; nothing if it is none's latest."""
        await self._lineages.survey()
        for stream, state in self._lineages.states.items():
            if state.campaign is not None and state.campaign.id == campaign:
                return stream, state.campaign
        return "", None

    async def _tell(self, charge: Charge, error: ModelError, cost: float) -> None:
        """Say on the lineage what concerns the whole campaign."""
        down = isinstance(error, ModelUnavailableError) and error.again > 0
        if down or isinstance(error, EndpointMisconfiguredError):
            await self._halt(charge, str(error))
        elif isinstance(error, BudgetSpentError) and error.budget in ("run", "tokens"):
            await self._tell_spent(charge, str(error), cost)

    async def _halt(self, charge: Charge, reason: str) -> None:
        """Pause a campaign that cannot go on before a person has done something."""

        def paused(campaign: Campaign) -> e.Event | None:
            running = campaign.status == "running"
            return e.CampaignPaused(campaign=campaign.id, reason=reason) if running else None

        await self._note(charge, paused)

    async def _tell_spent(self, charge: Charge, reason: str, cost: float) -> None:
        def spent(campaign: Campaign) -> e.Event | None:
            over = campaign.exhausted or campaign.status == "finished"
            return None if over else e.BudgetSpent(campaign=campaign.id, reason=reason, cost=cost)

        await self._note(charge, spent)

    async def _note(self, charge: Charge, event_for: Callable[[Campaign], e.Event | None]) -> None:
        """Append an event to the lineage of a campaign, unless the campaign has no need of it."""
        while True:
            stream, campaign = await self._lineage_of(charge.campaign)
            event = event_for(campaign) if campaign else None
            if event is None:
                return
            version = self._lineages.states[stream].version
            duty = f"{charge.campaign}/gateway/{version}"
            new = e.encode(event, duty=duty, index=0, actor=self._desk.instance, correlation=charge.campaign)
            with suppress(Conflict):  # somebody wrote in between: look again whether it is still needed
                await self._desk.ledger.append(stream, version, [new])
                return


def _large(call: Call) -> bool:
    """Whether a call is too large for a message."""
    return len(msgspec.msgpack.encode(call)) > MESSAGE


def _no(error: ModelError) -> ModelAnswer:
    """Why there is no reply, as it is answered."""
    kinds = {BudgetSpentError: "spent", UnseenRequestError: "unseen"}
    return ModelAnswer(kind=kinds.get(type(error)) or _kind(error), reason=str(error))


def _kind(error: ModelError) -> e.CallOutcome:
    if isinstance(error, EndpointMisconfiguredError):
        return "misconfigured"
    return "refused" if isinstance(error, RequestRefusedError) else "unavailable"


def _counted(request: ChatRequest, reply: ChatReply) -> tuple[ChatReply, bool]:
    """The reply with its usage, counted here where the endpoint tells none; and whether it was."""
    if reply.usage.input_tokens or reply.usage.output_tokens:
        return reply, False
    usage = Usage(
        input_tokens=estimate_tokens(messages_bytes(request.messages).decode()),
        output_tokens=estimate_tokens(messages_bytes((reply.message,)).decode()),
    )
    return _with_usage(reply, usage), True


def _with_usage(reply: ChatReply, usage: Usage) -> ChatReply:
    return msgspec.structs.replace(reply, usage=usage)


@contextmanager
def _span(asked: ModelRequest, request: ChatRequest) -> Iterator[Any]:
    """A span for a call, with what the conventions for generative models want to be told."""
    decoding = request.decoding
    facts: dict[str, traces.Attribute] = {
        semconv.GEN_AI_OPERATION_NAME: "chat",
        semconv.GEN_AI_PROVIDER_NAME: asked.model.partition(":")[0],
        semconv.GEN_AI_REQUEST_MODEL: asked.model,
        semconv.GEN_AI_REQUEST_MAX_TOKENS: request.max_tokens,
        semconv.GEN_AI_REQUEST_TEMPERATURE: decoding.temperature,
        semconv.GEN_AI_REQUEST_TOP_P: decoding.top_p,
        semconv.GEN_AI_REQUEST_FREQUENCY_PENALTY: decoding.frequency_penalty,
        semconv.GEN_AI_REQUEST_PRESENCE_PENALTY: decoding.presence_penalty,
        semconv.GEN_AI_AGENT_NAME: asked.charge.role,
    }
    with traces.span(f"chat {asked.model}", traces.current_traceparent(), **facts) as span:
        yield span


def _tell_span(span: Any, reply: ChatReply) -> None:
    usage = reply.usage
    span.set_attribute(semconv.GEN_AI_RESPONSE_FINISH_REASONS, [reply.finish_reason])
    span.set_attribute(semconv.GEN_AI_USAGE_INPUT_TOKENS, usage.input_tokens)
    span.set_attribute(semconv.GEN_AI_USAGE_OUTPUT_TOKENS, usage.output_tokens)
    span.set_attribute(semconv.GEN_AI_USAGE_CACHE_READ_INPUT_TOKENS, usage.cached_tokens)
