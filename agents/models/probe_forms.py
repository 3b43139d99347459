"""What an endpoint honours beside decoding: forms of an answer, streams, errors, and reasoning that is sent back."""

import json
from typing import TYPE_CHECKING, Any

from agents.models.errors import BadReplyError, ModelError, ModelUnavailableError, RequestRefusedError
from contracts.chat import ChatReply, ChatRequest, Decoding, Message
from contracts.models import Finding

if TYPE_CHECKING:
    from agents.models.probe import Probe, Question

HIGHEST = 2.0
"""The highest temperature that is searched."""
LONGEST = 320
"""Characters of an endpoint's words that are kept."""


def brief(said: object) -> str:
    """What was said, on one line, and cut between words where it is long."""
    text = " ".join(str(said).split())
    if len(text) <= LONGEST:
        return text
    whole, _, _ = text[:LONGEST].rpartition(" ")
    return f"{whole or text[:LONGEST]} …"


def lacking(name: str) -> Finding:
    """The finding for what the protocol does not have."""
    return Finding(name=name, state="refused", seen="the protocol has no such parameter")


def temperature_range(probe: "Probe", question: "Question") -> Finding:
    """Whether the highest temperature is taken."""
    name = f"temperature {HIGHEST:g}"
    try:
        probe.ask(question, decoding=Decoding(temperature=HIGHEST))
    except RequestRefusedError as error:
        return Finding(name=name, state="refused", seen=brief(error))
    return Finding(name=name, state="honoured", seen="it is taken")


def stop(probe: "Probe", question: "Question") -> Finding:
    """Whether an answer ends before a text at which it shall stop."""
    name = "stop"
    try:
        reply = probe.ask(question, extra={probe.model.wire.STOP: ["5"]})
    except RequestRefusedError as error:
        return Finding(name=name, state="refused", seen=brief(error))
    text = reply.message.content
    if "4" not in text:
        return Finding(name=name, state="unknown", seen="it did not count")
    state = "ignored" if "5" in text else "honoured"
    return Finding(name=name, state=state, seen=f"it said {text[:30]!r}")  # type: ignore[arg-type]


def forced_json(probe: "Probe", question: "Question") -> Finding:
    """Whether an answer is JSON where that is forced, to a question that nobody would answer so."""
    name = "forced JSON"
    if "response_format" in probe.model.wire.LACKS:
        return lacking(name)
    try:
        reply = probe.ask(question, extra={"response_format": {"type": "json_object"}})
    except RequestRefusedError as error:
        return Finding(name=name, state="refused", seen=brief(error))
    text = reply.message.content.strip()
    if not text:
        return Finding(name=name, state="unknown", seen="it said nothing")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    state = "honoured" if isinstance(found, dict) else "ignored"
    return Finding(name=name, state=state, seen=f"it said {text[:40]!r}")  # type: ignore[arg-type]


def streaming(probe: "Probe", request: ChatRequest) -> tuple[Finding, Finding]:
    """Whether an answer comes in pieces, and whether they tell its usage."""
    names = ("streams", "usage in streams")
    more: dict[str, Any] = {"stream": True}
    if probe.model.endpoint.protocol == "openai":
        more["stream_options"] = {"include_usage": True}
    probe.calls += 1
    try:
        pieces = [
            piece for line in probe.model.lines(probe.model.body(request, more)) if (piece := _piece(line))
        ]
    except (RequestRefusedError, ModelUnavailableError) as error:
        state = "refused" if isinstance(error, RequestRefusedError) else "unknown"
        one, other = (Finding(name=name, state=state, seen=brief(error)) for name in names)  # type: ignore[arg-type]
        return one, other
    told = any(piece.get("usage") or _inner(piece).get("usage") for piece in pieces)
    one = Finding(
        name=names[0], state="honoured" if len(pieces) > 1 else "ignored", seen=f"{len(pieces)} pieces"
    )
    if one.state == "ignored":
        return one, Finding(name=names[1], state="unknown", seen="no stream came")
    return one, Finding(
        name=names[1], state="honoured" if told else "ignored", seen="it is told" if told else "none is told"
    )


def _piece(line: str) -> dict[str, Any]:
    """What a line of a stream says; empty for the lines around it."""
    kind, _, data = line.partition(":")
    try:
        found = json.loads(data) if kind == "data" else None
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _inner(piece: dict[str, Any]) -> dict[str, Any]:
    message = piece.get("message")
    return message if isinstance(message, dict) else {}


def errors(probe: "Probe", request: ChatRequest) -> Finding:
    """Whether a request that is none is told so, by a status of failure and in words."""
    name = "errors"
    model = probe.model
    probe.calls += 1
    try:
        data = "\n".join(model.lines(model.body(request, {"messages": []}))).encode()
    except RequestRefusedError as error:
        return Finding(name=name, state="honoured", seen=brief(error))
    except ModelUnavailableError as error:
        seen = f"a request without messages: {brief(error)}"
        return Finding(name=name, state="ignored", seen=seen)
    try:
        model.wire.reply(data)
    except (BadReplyError, ModelError) as error:
        return Finding(
            name=name, state="ignored", seen=brief(model.plain(f"a status of success, and {error}"))
        )
    return Finding(name=name, state="ignored", seen="a request without messages was answered")


def reasoning(probe: "Probe", question: "Question", first: ChatReply) -> Finding:
    """Whether a reply's reasoning is taken again with the reply."""
    name = "reasoning"
    if not first.message.extra:
        return Finding(name=name, state="unknown", seen="none is told")
    said = [Message(role="tool", content="done", tool_call_id=call.id) for call in first.message.tool_calls]
    before = (first.message, *(said or [Message(role="user", content="Go on.")]))
    kinds = ", ".join(sorted(first.message.extra))
    try:
        probe.ask(question, before=before)
    except RequestRefusedError as error:
        return Finding(name=name, state="refused", seen=f"{kinds}: {brief(error)}")
    return Finding(name=name, state="honoured", seen=f"{kinds}: taken again")
