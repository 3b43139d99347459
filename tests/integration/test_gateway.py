"""The gateway on a real bus and ledger, between callers and a scripted endpoint."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread
import msgspec
import pytest
from click.testing import CliRunner

from agents.cli.cost import cost
from agents.cli.request import CampaignUnderWay, lineage_state, request_campaign
from agents.config import Config, EndpointConfig
from agents.models import endpoint
from agents.models.costs import read_calls, total
from agents.models.errors import EndpointMisconfiguredError, ModelUnavailableError, RequestRefusedError
from agents.models.gateway.service import serve_gateway
from agents.models.probed import probe_stream
from agents.models.remote import RemoteModel
from agents.models.scripted import ScriptedServer, say, status
from agents.tasks.suite import load_suite
from agents.testing import write_suite
from bus.connection import Bus
from bus.testing import running_bus
from contracts.chat import ChatRequest, Message, ModelFacts
from contracts.events import CampaignStarted, ModelProbed, encode
from contracts.lineage import Campaign
from contracts.models import CONTEXT, Charge, Finding, Models
from contracts.settings import CampaignSettings
from eventstore.audit.archive import opened
from eventstore.client import LedgerClient
from eventstore.service import LedgerService
from eventstore.signing import Signer
from eventstore.sqlite import SqliteStore

pytestmark = pytest.mark.anyio
KEY = "canary-gateway-41"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class House(NamedTuple):
    url: str
    bus: Bus
    campaign: Campaign
    server: ScriptedServer

    def model(self, spec: str = "", patience: float = 20.0, **charge: str) -> RemoteModel:
        charged = Charge(campaign=charge.get("campaign", self.campaign.id))
        return RemoteModel(self.bus, spec or self.spec, charged, patience=patience)

    @property
    def spec(self) -> str:
        return self.campaign.settings.models.harness


@asynccontextmanager
async def house(
    folder: Path, server: ScriptedServer, *, gateways: int = 1, key_env: str = "", outage: float = 300.0
) -> AsyncIterator[House]:
    """A bus, a ledger with a campaign whose model is behind the scripted server, and gateways."""
    store = folder / "store"
    async with (
        running_bus(store, lease_ttl=1.0) as (running, bus),
        SqliteStore.open(store, create=True) as file,
    ):
        service = LedgerService(file, bus, Signer(file))
        await service.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(service.lead)
            await service.leading.wait()
            suite = load_suite(str(write_suite(folder / "suite")))
            settings = CampaignSettings(models=Models(harness=f"openai:scripted@{server.url}"))
            campaign, _ = await request_campaign(LedgerClient(bus), suite, settings)
            allowed = EndpointConfig(concurrency=4, timeout=5.0, key_env=key_env, outage=outage)
            config = Config(endpoints={server.url: allowed})
            for _ in range(gateways):
                tasks.start_soon(serve_gateway, running.url, config)
            yield House(running.url, bus, campaign, server)
            tasks.cancel_scope.cancel()
        await service.stop()


def asking(text: str) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),))


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_API_KEY", KEY)


async def test_what_was_answered_once_is_answered_from_the_record(tmp_path: Path) -> None:
    with ScriptedServer([say("one"), say("another")]) as server:
        async with house(tmp_path, server) as place:
            model = place.model()
            first = await model.ask(asking("hello"))
            assert first.message.content == "one"
            assert await model.ask(asking("hello")) == first
            assert (await model.ask(asking("bye"))).message.content == "another"
        assert [each["messages"][0]["content"] for each in server.asked] == ["hello", "bye"]
        assert set(server.keys) == {f"Bearer {KEY}"}
        assert server.asked[0]["max_tokens"] == 4096


async def test_who_asks_the_same_at_the_same_time_shares_one_call(tmp_path: Path) -> None:
    with ScriptedServer([say("one")]) as server:
        async with house(tmp_path, server) as place:
            replies: list[str] = []

            async def ask() -> None:
                replies.append((await place.model().ask(asking("hello"))).message.content)

            async with anyio.create_task_group() as tasks:
                for _ in range(5):
                    tasks.start_soon(ask)
            assert replies == ["one"] * 5
        assert len(server.asked) == 1


async def test_what_is_too_large_for_a_message_goes_by_the_ledger(tmp_path: Path) -> None:
    large = "x" * 1_500_000
    with ScriptedServer([say(large)]) as server:
        async with house(tmp_path, server) as place:
            reply = await place.model().ask(asking(large))
            assert reply.message.content == large
            assert (await place.model().ask(asking(large))).message.content == large
        assert [len(each["messages"][0]["content"]) for each in server.asked] == [1_500_000]


async def test_the_key_is_used_for_what_the_operator_named_and_for_nothing_else(tmp_path: Path) -> None:
    with ScriptedServer([say("one")]) as server, ScriptedServer([say("mine")]) as other:
        async with house(tmp_path, server) as place:
            with pytest.raises(RequestRefusedError, match="is none of the models of campaign"):
                await place.model(f"openai:scripted@{other.url}").ask(asking("hello"))
            with pytest.raises(RequestRefusedError, match="there is no campaign 'c9'"):
                await place.model(campaign="c9").ask(asking("hello"))
        assert server.asked == other.asked == []


async def test_no_other_key_is_sent_where_a_key_of_its_own_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OTHER_KEY", raising=False)
    with ScriptedServer([say("one")]) as server:
        async with house(tmp_path, server, key_env="OTHER_KEY") as place:
            with pytest.raises(EndpointMisconfiguredError, match="OTHER_KEY, which is not set"):
                await place.model().ask(asking("hello"))
        assert server.asked == []


@pytest.fixture
def quick_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endpoint counts as down as soon as one try fails, and not for long."""
    monkeypatch.setattr(endpoint, "TRIES", 1)
    monkeypatch.setattr(endpoint, "BROKEN_AFTER", 1)
    monkeypatch.setattr(endpoint, "COOLING", 0.05)


@pytest.mark.usefixtures("quick_to_fail")
async def test_a_call_waits_for_an_endpoint_that_is_down(tmp_path: Path) -> None:
    with ScriptedServer([status(500), status(503), status(500), say("back")]) as server:
        async with house(tmp_path, server) as place:
            reply = await place.model().ask(asking("hello"))
            assert reply.message.content == "back"
            state = await lineage_state(LedgerClient(place.bus), "main")
            assert state.campaign is not None
            assert state.campaign.status == "requested"
        assert len(server.asked) == 4


@pytest.mark.usefixtures("quick_to_fail")
async def test_a_campaign_pauses_when_its_endpoint_is_down_for_too_long(tmp_path: Path) -> None:
    with ScriptedServer([status(500)]) as server:
        async with house(tmp_path, server, outage=0.5) as place:
            ledger = LedgerClient(place.bus)
            started = CampaignStarted(campaign=place.campaign.id, tree="t", fingerprint="f")
            new = encode(started, duty="start", index=0, actor="test", correlation=place.campaign.id)
            await ledger.append("lineage/main", (await lineage_state(ledger, "main")).version, [new])
            with pytest.raises(ModelUnavailableError, match="no answer from"):
                await place.model().ask(asking("hello"))
            campaign = (await lineage_state(ledger, "main")).campaign
            assert campaign is not None
            assert campaign.status == "paused"
        assert len(server.asked) > 1


@pytest.mark.usefixtures("quick_to_fail")
async def test_a_call_that_was_not_sent_is_told_from_one_that_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(endpoint, "COOLING", 60.0)
    with ScriptedServer([status(500)]) as server:
        async with house(tmp_path, server, outage=0.5) as place:
            for text in ("hello", "again", "and again"):
                with pytest.raises(ModelUnavailableError):
                    await place.model().ask(asking(text))
        assert len(server.asked) == 1
    with opened(tmp_path / "store") as archive:
        whole = total(list(read_calls(archive)))
    assert (whole.calls, whole.unanswered, whole.unsent) == (3, 3, 2)
    told = CliRunner().invoke(cost, ["--store", str(tmp_path / "store")])
    assert "not sent, as the endpoint was down: 2 calls" in told.output


async def test_a_campaign_offers_no_tools_to_a_model_that_was_found_to_call_none(tmp_path: Path) -> None:
    with ScriptedServer([say("one")]) as server:
        async with house(tmp_path, server) as place:
            assert place.campaign.settings.facts is None
            ledger, suite = LedgerClient(place.bus), load_suite(str(tmp_path / "suite"))
            findings = (Finding(name="tools", state="ignored"), Finding(name="top_p", state="ignored"))
            probed = ModelProbed(model=place.spec, fingerprint="p", findings=findings, unsupported=("top_p",))
            new = encode(probed, duty="probe", index=0, actor="test", correlation="probe")
            await ledger.append(probe_stream(place.spec), 0, [new])
            asked = CampaignSettings(models=Models(harness=place.spec))
            same, resumed = await request_campaign(ledger, suite, asked)
            assert (same.id, resumed) == (place.campaign.id, True)
            found, _ = await request_campaign(ledger, suite, asked, abandon=True, lineage="other")
            assert found.settings.facts == ModelFacts(tools=False, context=CONTEXT)
            assert found.settings.fixed == ("top_p",)
            said = msgspec.structs.replace(asked, facts=ModelFacts(tools=True, context=9000))
            with pytest.raises(CampaignUnderWay, match=r"facts\.context"):
                await request_campaign(ledger, suite, said, lineage="other")
            found, _ = await request_campaign(ledger, suite, said, lineage="third")
            assert found.settings.facts == said.facts


async def test_without_a_gateway_there_is_no_answer_and_it_is_said_so(tmp_path: Path) -> None:
    with ScriptedServer([say("one")]) as server:
        async with house(tmp_path, server, gateways=0) as place:
            with pytest.raises(ModelUnavailableError, match="no gateway answers on the bus"):
                await place.model(patience=0.5).ask(asking("hello"))


async def test_of_several_gateways_one_serves_and_a_thread_may_ask(tmp_path: Path) -> None:
    with ScriptedServer([say("one")]) as server:
        async with house(tmp_path, server, gateways=3) as place:
            reply = await anyio.to_thread.run_sync(place.model().complete, asking("hello"))
            assert reply.message.content == "one"
            assert (reply.usage.input_tokens, reply.usage.cost) == (10, 0.0)
        assert len(server.asked) == 1
