import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from bus import logs

SECRET = "s3cret-Word_x"
URL = f"nats://ratchet:{SECRET}@127.0.0.1:4222"


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.mark.parametrize("style", ["json", "console"])
def test_no_secret_is_ever_written(style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_LOG", style)
    out = io.StringIO()
    logs.configure("test", file=out)
    log = structlog.get_logger("x")
    log.info("going to %s", URL, url=URL, nested={"deep": [URL]}, data=URL.encode())
    logging.getLogger("nats.aio.client").error("lost %s", URL)
    try:
        raise OSError(f"cannot reach {URL}")  # noqa: TRY301
    except OSError:
        log.exception("failed")
    said = out.getvalue()
    assert said.count("ratchet:***@127.0.0.1") >= 6
    assert SECRET not in said
    if style == "json":
        lines = [json.loads(line) for line in said.splitlines()]
        assert [line["logger"] for line in lines] == ["x", "nats.aio.client", "x"]
        assert "OSError" in lines[2]["exception"]


def test_redact() -> None:
    assert logs.redact(URL) == "nats://ratchet:***@127.0.0.1:4222"
    assert logs.redact("nats://tok-en@host, https://host/a@b") == "nats://***@host, https://host/a@b"


def test_what_is_bound_stands_in_every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RATCHET_LOG", "json")
    out = io.StringIO()
    logs.configure("test", file=out)
    logs.configure("test", file=out)  # once more does not double the lines
    log = structlog.get_logger("x")
    with logs.bound(role="planner", round=3):
        log.info("in")
        logging.getLogger("other").warning("there")
    log.info("out")
    log.debug("hidden")
    inside, there, outside = (json.loads(line) for line in out.getvalue().splitlines())
    assert (inside["role"], inside["round"], inside["service"]) == ("planner", 3, "test")
    assert there["role"] == "planner"
    assert "role" not in outside


@pytest.mark.parametrize(("name", "value"), [("RATCHET_LOG", "xml"), ("RATCHET_LOG_LEVEL", "loud")])
def test_unknown_words_are_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=value):
        logs.configure("test")
