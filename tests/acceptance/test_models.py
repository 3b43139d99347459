"""Campaigns whose model is behind an endpoint: on record, in their budget, whatever the endpoint does."""

import os
import subprocess
import sys
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.models.costs import read_calls, total
from agents.models.faulty import FaultyServer
from agents.models.scripted import half, hang, raw, status
from agents.models.serve import ModelServer
from agents.models.store import embedded_model, load_or_train
from agents.testing import History, outcome, without_clocks, write_suite
from contracts import events as e
from contracts.chat import ChatReply, ChatRequest, Model, Usage
from eventstore.audit.archive import opened

RATCHET = str(Path(sys.executable).with_name("ratchet"))
KEY = "canary-key-0c5e77"
ROUNDS = 2
FAULTS = [
    status(429, f"slow down, {KEY}", retry_after=0),
    status(500),
    half(),
    raw(b"{'this is no JSON"),
    raw(b'{"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}'),
    raw(b'{"choices": []}'),
    hang(),
]

Done = subprocess.CompletedProcess[str]


def run(place: Path, store: str, *arguments: str, key: str = KEY, rounds: int = ROUNDS) -> Done:
    """`ratchet run` as a process of its own."""
    command = [
        RATCHET, "run", str(place / "suite"), "--store", str(place / store), "--rounds", str(rounds),
        "--plans", "4", "--candidates", "2", "--race-seeds", "1", "--confirm-seeds", "2", "--release-seeds", "2",
        "--null-every", "0", "--executors", "2", *arguments,
    ]  # fmt: skip
    env = {**os.environ, "RATCHET_API_KEY": key, "COLUMNS": "200"}
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=place, env=env
    )


@pytest.fixture(scope="module")
def embedded() -> Model:
    return embedded_model(load_or_train())


def spec(server: ModelServer) -> str:
    return f"openai:embedded@{server.url}"


def prices(folder: Path, *, output: float = 1.0, server: ModelServer | None = None, more: str = "") -> str:
    """A ratchet.toml where the model costs something."""
    file = folder / "ratchet.toml"
    endpoint = f'[endpoints."{server.url}"]\ntimeout = 2.0\nmax_tokens = 200\n' if server else ""
    file.write_text(f'{endpoint}[[prices]]\nmodel = "embedded"\ninput = 0.5\noutput = {output}\n{more}')
    return str(file)


class Place:
    """A campaign over HTTP, and what is left when its endpoint is gone."""

    def __init__(self, folder: Path, model: Model) -> None:
        self.folder = folder
        write_suite(folder / "suite")
        server = ModelServer(model, "embedded", key=KEY)
        server.start()
        self.spec = spec(server)
        config = prices(folder, server=server)
        self.ran = run(folder, "store", "--model", f"harness={self.spec}", "--config", config)
        server.shutdown()
        server.server_close()

    @property
    def store(self) -> Path:
        return self.folder / "store"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, embedded: Model) -> Place:
    return Place(tmp_path_factory.mktemp("models"), embedded)


def lineage(store: Path) -> list[e.Event]:
    history = History(store)
    history.look()
    return [event for _, event in history.events]


def test_a_campaign_over_http_finishes_and_every_call_is_charged(place: Place) -> None:
    assert place.ran.returncode == 0, place.ran.stderr
    events = lineage(place.store)
    requested = next(event for event in events if isinstance(event, e.CampaignRequested))
    assert requested.model == requested.settings.models.harness == place.spec
    finished = events[-1]
    assert isinstance(finished, e.CampaignFinished)
    with opened(place.store) as archive:
        calls = list(read_calls(archive))
    assert {made.charge.role for made in calls} == {"harness"}
    tasks = {task.id for task in (*requested.suite.practice, *requested.suite.sealed)}
    assert {made.charge.task for made in calls} <= tasks
    assert {made.charge.round for made in calls} - {0} == {*range(1, ROUNDS + 1)}
    assert any(made.charge.candidate >= 0 for made in calls)
    whole = total(calls)
    assert whole.unanswered == 0
    assert whole.cost > 0
    # Episodes that say the same to the model share its answer, so that no more is paid than they come to.
    assert whole.cost <= finished.spent.cost * (1 + 1e-9)


def test_the_replay_is_the_same_to_the_byte_with_no_endpoint(place: Place) -> None:
    replayed = run(place.folder, "replay", "--model", f"recorded:{place.store}")
    assert replayed.returncode == 0, replayed.stderr
    one, other = lineage(place.store), lineage(place.folder / "replay")
    # Duties of one moment, such as the patches of a round, are done side by side and end in any order.
    assert sorted(map(repr, map(without_clocks, one))) == sorted(map(repr, map(without_clocks, other)))


def test_what_was_never_asked_is_not_answered(place: Place) -> None:
    other = run(place.folder, "other", "--model", f"recorded:{place.store}", "--seed", "7")
    assert other.returncode == 1
    assert "this was never asked of" in other.stderr
    assert "differ from those of the recorded campaign" in other.stderr
    assert "goes on from here" not in other.stderr


def test_a_store_is_not_replayed_into_itself(place: Place) -> None:
    before = len(lineage(place.store))
    done = run(place.folder, "store", "--model", f"recorded:{place.folder / 'suite' / '..' / 'store'}")
    assert done.returncode == 2
    assert "give it another --store" in done.stderr
    assert len(lineage(place.store)) == before


def test_the_cost_is_told_by_whatever_it_is_charged_to(place: Place) -> None:
    def cost(*arguments: str) -> Any:
        command = [RATCHET, "cost", "--store", str(place.store), "--json", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return msgspec.json.decode(done.stdout)

    whole = cost()["total"]
    assert whole["cost"] > 0
    for by in ("model", "role", "round", "candidate", "task", "outcome", "campaign"):
        found = cost("--by", by, "--most", "1000")
        assert sum(group["cost"] for group in found["groups"]) == pytest.approx(whole["cost"]), by
    told = subprocess.run(
        [RATCHET, "status", "--store", str(place.store)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert f"paid for calls of models: ${whole['cost']:.4f}" in told.stdout
    assert cost()["elsewhere"]["frontier-large"] > cost()["elsewhere"]["MiniMax-M2.7"] > 0


def test_the_key_is_nowhere(place: Place) -> None:
    assert KEY not in place.ran.stdout + place.ran.stderr
    secret = KEY.encode()
    for path in place.folder.rglob("*"):
        assert not path.is_file() or secret not in path.read_bytes(), path
    with opened(place.store) as archive:
        for stream in archive.streams(""):
            for envelope in archive.events(stream):
                assert secret not in envelope.payload
        blobs = {
            call.settlement.blob for call in read_calls(archive) if call.settlement.outcome == "answered"
        }
        assert blobs
        for name in blobs:
            assert secret not in zlib.decompress(archive.blob(name))


def test_no_fault_of_an_endpoint_becomes_a_score(place: Place, tmp_path: Path, embedded: Model) -> None:
    write_suite(tmp_path / "suite")
    with FaultyServer(embedded, "embedded", FAULTS, every=10, key=KEY) as server:
        more = "[budget]\nrun = 5.0\n"
        config = prices(tmp_path, server=server, more=more)
        ran = run(tmp_path, "store", "--model", f"harness={spec(server)}", "--config", config)
        assert server.failed >= 4
    assert ran.returncode == 0, ran.stderr

    assert without_campaign(tmp_path / "store") == without_campaign(place.store)
    assert KEY not in ran.stdout + ran.stderr
    with opened(tmp_path / "store") as archive:
        assert total(list(read_calls(archive))).cost < 5.0


def without_campaign(store: Path) -> list[Any]:
    """What a campaign came to, whatever its endpoint's address is."""
    return [
        (name, *(getattr(item, "scores", item) for item in items if not isinstance(item, float)))
        for name, *items in outcome(store)
    ]


class Surprising:
    """A model that charges for five times what its answers can be."""

    def __init__(self, model: Model) -> None:
        self.model = model

    @property
    def fingerprint(self) -> str:
        return self.model.fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        reply = self.model.complete(request)
        return msgspec.structs.replace(reply, usage=Usage(input_tokens=9000, output_tokens=900))


@pytest.mark.parametrize("surprising", [False, True])
def test_a_run_ends_at_its_budget_and_never_above_it(
    tmp_path: Path, embedded: Model, surprising: bool
) -> None:
    write_suite(tmp_path / "suite")
    budget = 0.03 if surprising else 0.0018  # less than the first stage of a round takes
    server = ModelServer(Surprising(embedded) if surprising else embedded, "embedded", key=KEY)
    server.start()
    config = prices(tmp_path, server=server)
    ran = run(
        tmp_path,
        "store",
        "--model",
        f"harness={spec(server)}",
        "--config",
        config,
        "--budget",
        f"{budget}usd",
    )
    server.shutdown()
    server.server_close()
    assert ran.returncode == 0, ran.stderr
    events = lineage(tmp_path / "store")
    finished = events[-1]
    assert isinstance(finished, e.CampaignFinished)
    assert "budget" in finished.reason
    with opened(tmp_path / "store") as archive:
        cost = total(list(read_calls(archive))).cost
    assert 0.1 * budget < cost <= budget
    assert f"the run's budget of ${budget:g} does not cover a call" in finished.reason
    assert not any(isinstance(event, e.ChangeKept) for event in events)


def test_a_wrong_key_halts_the_campaign_and_the_right_one_lets_it_go_on(
    tmp_path: Path, embedded: Model
) -> None:
    write_suite(tmp_path / "suite")
    server = ModelServer(embedded, "embedded", key=KEY)
    server.start()
    words = ("--model", f"harness={spec(server)}")
    halted = run(tmp_path, "store", *words, key="canary-wrong-key", rounds=1)
    assert halted.returncode == 3, "an endpoint that takes no key of ours is not available"
    assert "goes on from here" in halted.stderr
    assert "set RATCHET_API_KEY to a key that it knows" in halted.stderr
    assert "canary-wrong-key" not in halted.stdout + halted.stderr
    assert not any(isinstance(event, e.TasksExecuted) for event in lineage(tmp_path / "store"))
    resumed = run(tmp_path, "store", *words, rounds=1)
    server.shutdown()
    server.server_close()
    assert resumed.returncode == 0, resumed.stderr
    kinds = [type(event).__name__ for event in lineage(tmp_path / "store")]
    assert kinds.count("CampaignPaused") == kinds.count("CampaignResumed") == 1
    assert kinds[-1] == "CampaignFinished"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--model", "gpt"), "want openai:NAME@BASE_URL"),
        (("--model", "cook=embedded"), "'cook' is no role: want one of harness, planner, patcher, critic"),
        (("--model", "recorded:nowhere"), "nowhere"),
        (("--model", ""), "--model '' names no model (is a variable empty?)"),
        (("--model", "planner="), "--model 'planner=' names no model"),
        (("--model", "recorded:"), "--model 'recorded:' names no model"),
        (("--model", "recorded:a", "--model", "embedded"), "by itself"),
        (("--config", "broken.toml"), "broken.toml"),
        (("--config", "typo.toml"), "concurency"),
    ],
)
def test_what_is_not_understood_is_told(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    write_suite(tmp_path / "suite")
    (tmp_path / "broken.toml").write_text("[models\n")
    (tmp_path / "typo.toml").write_text('[endpoints."http://x/v1"]\nconcurency = 3\n')
    done = run(tmp_path, "store", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    with suppress(FileNotFoundError):
        assert not list((tmp_path / "store").iterdir())


def command(place: Path, *words: str, **env: str | None) -> Done:
    """`ratchet` with these words, in a folder."""
    named = {"RATCHET_API_KEY": KEY, "COLUMNS": "200", **env}
    environment = {**os.environ, **{name: value for name, value in named.items() if value is not None}}
    return subprocess.run(
        [RATCHET, *words], capture_output=True, text=True, timeout=60, check=False, cwd=place, env=environment
    )


def test_eval_and_solve_keep_limits_and_budget(tmp_path: Path, embedded: Model) -> None:
    suite = write_suite(tmp_path / "suite", practice=1.0)
    server = ModelServer(embedded, "embedded", key=KEY)
    server.start()
    prices(tmp_path, more="[budget]\nharness = 0.002\n")
    words = ("--model", spec(server), "--store", "none")
    told = command(tmp_path, "eval", str(suite), "--seeds", "2", *words)
    assert told.returncode == 1
    assert "the budget of $0.002 in ratchet.toml does not cover a call" in told.stderr
    (tmp_path / "ratchet.toml").write_text(f'[endpoints."{server.url}"]\nkey_env = "RATCHET_TEST_KEY"\n')
    for name in ("eval", "solve"):
        folder = str(suite if name == "eval" else next((suite / "tasks").iterdir()))
        told = command(tmp_path, name, folder, *words)
        assert told.returncode == 3
        assert "RATCHET_TEST_KEY, which is not set" in told.stderr
        assert "Traceback" not in told.stderr
    server.shutdown()
    server.server_close()


def test_what_cannot_hold_or_answer_is_told_before_anything_begins(tmp_path: Path) -> None:
    suite = str(write_suite(tmp_path / "suite"))
    unknown = command(
        tmp_path, "run", suite, "--model", "openai:nobody@http://127.0.0.1:9/v1", "--budget", "1usd"
    )
    assert unknown.returncode == 2
    assert "no price is known for nobody, so a budget in dollars cannot hold" in unknown.stderr
    away = command(tmp_path, "run", suite, "--model", "openai:nobody@http://127.0.0.1:9/v1")
    assert away.returncode == 3
    assert "Warning: no price is known for nobody" in away.stderr
    assert "nothing answers at 127.0.0.1, port 9" in away.stderr
    assert not (tmp_path / ".ratchet").exists()
    (tmp_path / "ratchet.toml").write_text(
        '[endpoints."http://127.0.0.1:9/v1"]\nkey_env = "RATCHET_TEST_KEY"\n'
    )
    probed = command(tmp_path, "doctor", "--model", "openai:nobody@http://127.0.0.1:9/v1")
    assert probed.returncode == 3
    assert "RATCHET_TEST_KEY, which is not set" in probed.stderr
    assert "Traceback" not in probed.stderr


@pytest.mark.parametrize("name", ["eval", "solve"])
def test_where_episodes_are_run_only_the_harness_has_a_model(tmp_path: Path, name: str) -> None:
    write_suite(tmp_path / "suite")
    named = command(tmp_path, name, "suite", "--model", "planner=openai:x@http://127.0.0.1:9/v1")
    assert named.returncode == 2
    assert "--model planner=… means nothing here" in named.stderr
    empty = command(tmp_path, name, "suite", "--model", "")
    assert empty.returncode == 2
    assert "names no model (is a variable empty?)" in empty.stderr
    told = command(tmp_path, name, "--help").stdout
    assert "--model MODEL" in told
    assert "planner" not in told
