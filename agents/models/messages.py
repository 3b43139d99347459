"""Anthropic's messages protocol on the wire, and our own records: translated in both directions.

What differs from the OpenAI protocol: the system prompt stands apart; calls of tools and their results are blocks of a
message; roles alternate; there is no seed and there are no penalties; what shall be cached is marked, and usage tells
apart what was read from the cache, what was written to it, and the rest.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from agents.models import base
from agents.models.base import FinishReason
from agents.models.errors import BadReplyError
from contracts.chat import ChatReply, ChatRequest, Decoding, Message, Tool, ToolCall, Usage

KEYS = ("RATCHET_API_KEY", "ANTHROPIC_API_KEY")
MAX_TOKENS = 4096
"""Tokens of an answer where nothing is said; the protocol wants a number."""
LACKS = frozenset({"frequency_penalty", "presence_penalty", "seed", "response_format"})
"""Parameters of ours that the protocol does not have."""
STOP = "stop_sequences"
_VERSION = "2023-06-01"
_FINISH: dict[str, FinishReason] = {
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "refusal",
}
_OURS = ("text", "tool_use")
_REASONING = ("thinking", "redacted_thinking")
_CACHED = {"cache_control": {"type": "ephemeral"}}


class _Usage(msgspec.Struct):
    input_tokens: int | None = 0
    output_tokens: int | None = 0
    cache_read_input_tokens: int | None = 0
    cache_creation_input_tokens: int | None = 0


class _Answer(base.Answer):
    content: list[dict[str, Any]] | None = None
    stop_reason: str | None = None


def address(url: str) -> str:
    """Where requests go, for a base URL with or without its version."""
    return f"{url}/messages" if url.endswith("/v1") else f"{url}/v1/messages"


def headers(key: str) -> dict[str, str]:
    """What goes with every request."""
    return {"x-api-key": key, "anthropic-version": _VERSION}


# Requests ----------------------------------------------------------------------------------------------------


def body(request: ChatRequest, model: str, *, unsupported: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON of a request, without the parameters that a server does not honour.

    Cached shall be, if there is enough of it: tools and system prompt; all before the last message, since what is
    volatile comes last; and the whole of it where tools are offered, since such a conversation goes on.
    """
    leading = 0
    while leading < len(request.messages) and request.messages[leading].role == "system":
        leading += 1
    made: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens or MAX_TOKENS}
    if request.tools:
        made["tools"] = [_tool(tool) for tool in request.tools]
    system = [_text(m.content) for m in request.messages[:leading] if m.content]
    if system:
        system[-1] |= _CACHED
        made["system"] = system
    elif request.tools:
        made["tools"][-1] |= _CACHED
    turns = _turns(request.messages[leading:], replay="reasoning" not in unsupported)
    blocks = [block for turn in turns for block in turn["content"]]
    markable = [block for block in blocks if block["type"] not in _REASONING]
    if len(request.messages) - leading > 1 and len(markable) > 1:
        markable[-2] |= _CACHED
    if request.tools and markable:
        markable[-1] |= _CACHED
    made["messages"] = turns
    plain = Decoding()
    for name in (
        "temperature",
        "top_p",
    ):  # some models take only one of the two, so none is sent without need
        if (value := getattr(request.decoding, name)) != getattr(plain, name):
            made[name] = value
    return {name: value for name, value in made.items() if name not in unsupported}


def _tool(tool: Tool) -> dict[str, Any]:
    schema = {"type": "object", **tool.parameters}
    return {"name": tool.name, "description": tool.description, "input_schema": schema}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _turns(messages: Sequence[Message], *, replay: bool) -> list[dict[str, Any]]:
    """Messages of user and assistant in turn, the user first, none of them empty: as the protocol wants them."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _assistant(message, replay=replay) if role == "assistant" else _user(message)
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += blocks
        elif blocks:
            turns.append({"role": role, "content": blocks})
    if not turns or turns[0]["role"] == "assistant":
        turns.insert(0, {"role": "user", "content": [_text("(nothing was said)")]})
    return turns


def _user(message: Message) -> list[dict[str, Any]]:
    if message.role == "tool":
        result = {"type": "tool_result", "tool_use_id": message.tool_call_id}
        return [result | ({"content": message.content} if message.content else {})]
    return [_text(message.content)] if message.content.strip() else []


def _assistant(message: Message, *, replay: bool) -> list[dict[str, Any]]:
    kept = message.extra.get("content") if message.extra and replay else None
    if kept and _is_of(kept, message):
        return [dict(block) for block in kept]
    # The protocol refuses text of nothing but white space, and white space after the last word.
    said = [_text(text)] if (text := message.content.rstrip()) else []
    return [
        *said,
        *({"type": "tool_use", "id": c.id, "name": c.name, "input": c.arguments} for c in message.tool_calls),
    ]


def _is_of(blocks: Any, message: Message) -> bool:
    """Whether blocks are those that a message came as: it may have been changed since, or forged."""
    if not isinstance(blocks, list) or not all(isinstance(block, dict) for block in blocks):
        return False
    if any(block.get("type") not in (*_OURS, *_REASONING) for block in blocks):
        return False
    try:
        found = _message(blocks)
    except BadReplyError:
        return False
    return (found.content, found.tool_calls) == (message.content, message.tool_calls)


# Replies -----------------------------------------------------------------------------------------------------


def reply(data: bytes) -> ChatReply:
    """A reply from a server's JSON; see `agents.models.wire.reply`, which raises the same."""
    found = base.decoded(data, _Answer)
    if isinstance(found, ChatReply):
        return found
    if found.content is None:
        raise BadReplyError("the reply holds no content")
    usage = _spent(found.usage)
    finish = _FINISH.get(found.stop_reason or "", "stop")
    try:
        message = _message(found.content)
    except BadReplyError as error:
        return base.unreadable(error, usage, cut=finish == "length")
    if message.tool_calls and finish == "stop":
        finish = "tool_calls"
    return ChatReply(message=message, finish_reason=finish, usage=usage)


def _message(blocks: Sequence[dict[str, Any]]) -> Message:
    text = ""
    calls: list[ToolCall] = []
    for block in blocks:
        if block.get("type") == "text":
            text += str(block.get("text", ""))
        elif block.get("type") == "tool_use":
            calls.append(_call(block, len(calls)))
    made = Message(role="assistant", content=text, tool_calls=tuple(calls))
    if any(block.get("type") in _REASONING for block in blocks):
        kept = [block for block in blocks if block.get("type") in (*_OURS, *_REASONING)]
        return msgspec.structs.replace(made, extra={"content": kept})
    return made


def _call(block: dict[str, Any], number: int) -> ToolCall:
    name, arguments = block.get("name"), block.get("input")
    if not isinstance(name, str) or not name or not isinstance(arguments, dict):
        raise BadReplyError(f"a call of {name!r} whose arguments are no object")
    return ToolCall(id=str(block.get("id") or f"call-{number}"), name=name, arguments=arguments)


def _spent(told: Any) -> Usage:
    try:
        usage = msgspec.convert(told, _Usage)
    except msgspec.ValidationError:
        return Usage()  # none, or nonsense: the answer is one all the same
    read, written = (
        max(0, count or 0) for count in (usage.cache_read_input_tokens, usage.cache_creation_input_tokens)
    )
    return Usage(
        input_tokens=max(0, usage.input_tokens or 0) + read + written,
        cached_tokens=read,
        cache_write_tokens=written,
        output_tokens=max(0, usage.output_tokens or 0),
    )


def answer(given: ChatReply, model: str, name: str) -> dict[str, Any]:
    """The JSON of a reply, for a server of ours."""
    usage = given.usage
    reasons = {"tool_calls": "tool_use", "length": "max_tokens", "refusal": "refusal"}
    return {
        "id": name,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": _assistant(given.message, replay=True),
        "stop_reason": reasons.get(given.finish_reason, "end_turn"),
        "stop_sequence": None,
        "usage": {
            "input_tokens": usage.input_tokens - usage.cached_tokens - usage.cache_write_tokens,
            "cache_read_input_tokens": usage.cached_tokens,
            "cache_creation_input_tokens": usage.cache_write_tokens,
            "output_tokens": usage.output_tokens,
        },
    }


def events(given: ChatReply, model: str, name: str) -> Iterator[dict[str, Any]]:
    """A reply as the events of a stream, for a server of ours."""
    whole = answer(given, model, name)
    usage, ended = whole["usage"], {key: whole[key] for key in ("stop_reason", "stop_sequence")}
    yield {
        "type": "message_start",
        "message": {**whole, "content": [], "usage": {**usage, "output_tokens": 1}},
    }
    for index, block in enumerate(whole["content"]):
        if block["type"] == "text":
            bare, delta = {**block, "text": ""}, {"type": "text_delta", "text": block["text"]}
        elif block["type"] == "tool_use":
            said = msgspec.json.encode(block["input"]).decode()
            bare, delta = {**block, "input": {}}, {"type": "input_json_delta", "partial_json": said}
        else:
            bare, delta = block, {}
        yield {"type": "content_block_start", "index": index, "content_block": bare}
        if delta:
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"]}}
    yield {"type": "message_stop"}
