"""The OpenAI chat protocol on the wire, and our own records: translated in both directions, by client and server alike.

Whatever a server sends is taken as hostile: what cannot be understood is an error that says so, and never half a reply.
"""

from typing import Any

import msgspec

from agents.models import base
from agents.models.base import FinishReason
from agents.models.errors import BadReplyError, RequestRefusedError
from contracts.chat import ChatReply, ChatRequest, Decoding, Message, Tool, ToolCall, Usage
from contracts.statistics import derive_seed

KEYS = ("RATCHET_API_KEY", "OPENAI_API_KEY")
LACKS: frozenset[str] = frozenset()
STOP = "stop"
REASONING = ("reasoning", "reasoning_content", "reasoning_details")
"""Fields in which providers tell how a model came to its answer, and which some of them want to see again."""
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "length": "length",
    "content_filter": "refusal",
}


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | dict[str, Any] | None = ""


class _Call(msgspec.Struct):
    function: _Function
    id: str = ""
    type: str = "function"


class _Said(msgspec.Struct):
    role: str = "assistant"
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str = ""
    refusal: str | None = None
    reasoning: Any = None
    reasoning_content: Any = None
    reasoning_details: Any = None


class _ToolFunction(msgspec.Struct):
    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class _Tool(msgspec.Struct):
    function: _ToolFunction
    type: str = "function"


class Asked(msgspec.Struct):
    """A request as it comes in over the wire; fields that we do not know are passed over."""

    messages: list[_Said]
    model: str = ""
    tools: list[_Tool] = []
    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    """The newer name of the same."""
    seed: int | None = None
    n: int | None = None
    tool_choice: str | dict[str, Any] | None = None
    stream: bool = False
    stream_options: dict[str, Any] = {}


class _Details(msgspec.Struct):
    cached_tokens: int | None = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = 0
    completion_tokens: int | None = 0
    prompt_tokens_details: _Details | None = None
    prompt_cache_hit_tokens: int | None = None
    """How some say the same."""


class _Choice(msgspec.Struct):
    message: _Said
    finish_reason: str | None = None


class _Answer(base.Answer):
    choices: list[_Choice] | None = None


def address(url: str) -> str:
    """Where requests go, for a base URL."""
    return f"{url}/chat/completions"


def headers(key: str) -> dict[str, str]:
    """What goes with every request."""
    return {"Authorization": f"Bearer {key}"}


# Requests ----------------------------------------------------------------------------------------------------


def body(request: ChatRequest, model: str, *, unsupported: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The JSON of a request, without the parameters that a server does not honour."""
    made: dict[str, Any] = {"model": model}
    if request.tools:
        made["tools"] = [
            {
                "type": "function",
                "function": {
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                },
            }
            for tool in request.tools
        ]
    replay = "reasoning" not in unsupported
    made["messages"] = [_said(message, replay=replay) for message in request.messages]
    decoding = msgspec.structs.asdict(request.decoding)
    plain = msgspec.structs.asdict(Decoding())
    made |= {
        name: value
        for name, value in decoding.items()
        if value != plain[name] or name in ("temperature", "top_p")
    }
    if request.max_tokens:
        made["max_completion_tokens" if "max_tokens" in unsupported else "max_tokens"] = request.max_tokens
    if request.noise:
        made["seed"] = int(derive_seed("noise", request.noise)[:8], 16) & 0x7FFFFFFF
    return {name: value for name, value in made.items() if name not in unsupported}


def _said(message: Message, *, replay: bool = True) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.tool_calls:
        made["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": msgspec.json.encode(call.arguments).decode()},
            }
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        made["tool_call_id"] = message.tool_call_id
    if replay and message.extra and message.role == "assistant":
        # It came through a harness, which may put anything there: no other field is taken from it.
        made |= {name: message.extra[name] for name in REASONING if name in message.extra}
    return made


def asked(data: bytes) -> tuple[ChatRequest, Asked]:
    """A request from its JSON, for a server of ours.

    Raises:
        RequestRefusedError: it is none; the message says what is wrong with it.
    """
    try:
        found = msgspec.json.decode(data, type=Asked)
        messages = tuple(_message(each) for each in found.messages)
    except (msgspec.MsgspecError, UnicodeDecodeError, BadReplyError) as error:
        raise RequestRefusedError(f"this is no chat request: {error}") from error
    if not messages:
        raise RequestRefusedError("this is no chat request: it holds no message")
    given = {
        name: value
        for name in Decoding.__struct_fields__
        if (value := getattr(found, name, None)) is not None
    }
    longest = found.max_tokens if found.max_completion_tokens is None else found.max_completion_tokens
    if longest is not None and longest < 1:
        raise RequestRefusedError(f"max_tokens: {longest} leaves room for no answer; want 1 or more")
    request = ChatRequest(
        messages=messages,
        tools=tuple(
            Tool(name=t.function.name, description=t.function.description, parameters=t.function.parameters)
            for t in found.tools
        ),
        decoding=Decoding(**given),
        max_tokens=longest or 0,
        noise="" if found.seed is None else f"seed {found.seed}",
    )
    return request, found


def _message(said: _Said) -> Message:
    if said.role not in ("system", "user", "assistant", "tool", "developer"):
        raise BadReplyError(f"a role {said.role!r}")
    text = said.content
    if isinstance(text, list):
        text = "".join(str(part.get("text", "")) for part in text)
    extra = {name: value for name in REASONING if (value := getattr(said, name)) is not None}
    return Message(
        role="system" if said.role == "developer" else said.role,  # type: ignore[arg-type]
        content=text or "",
        tool_calls=tuple(_call(call, number) for number, call in enumerate(said.tool_calls or ())),
        tool_call_id=said.tool_call_id,
        extra=extra or msgspec.UNSET,
    )


def _call(call: _Call, number: int) -> ToolCall:
    arguments = call.function.arguments or "{}"
    if not call.function.name:
        raise BadReplyError("a call of a tool without a name")
    try:
        if isinstance(arguments, str):
            arguments = msgspec.json.decode(arguments, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise BadReplyError(
            f"a call of {call.function.name!r} whose arguments are no object ({error})"
        ) from error
    return ToolCall(id=call.id or f"call-{number}", name=call.function.name, arguments=arguments)


# Replies -----------------------------------------------------------------------------------------------------


def reply(data: bytes) -> ChatReply:
    """A reply from a server's JSON; see `agents.models.base.Wire.reply`."""
    found = base.decoded(data, _Answer)
    if isinstance(found, ChatReply):
        return found
    if not found.choices:
        raise BadReplyError("the reply holds no choice")
    choice = found.choices[0]
    usage = _spent(found.usage)
    finish: FinishReason = _FINISH.get(choice.finish_reason or "stop", "stop")
    if choice.message.refusal:
        return ChatReply(
            message=Message(role="assistant", content=choice.message.refusal),
            finish_reason="refusal",
            usage=usage,
        )
    try:
        message = _message(choice.message)
    except BadReplyError as error:
        return base.unreadable(error, usage, cut=finish == "length")
    if message.tool_calls and finish == "stop":
        finish = "tool_calls"
    return ChatReply(message=message, finish_reason=finish, usage=usage)


def _spent(told: Any) -> Usage:
    try:
        usage = msgspec.convert(told, _Usage)
    except msgspec.ValidationError:
        return Usage()  # none, or nonsense: the answer is one all the same
    details = usage.prompt_tokens_details
    cached = details.cached_tokens if details else usage.prompt_cache_hit_tokens
    return Usage(
        input_tokens=max(0, usage.prompt_tokens or 0),
        cached_tokens=max(0, cached or 0),
        output_tokens=max(0, usage.completion_tokens or 0),
    )


def answer(given: ChatReply, model: str, name: str, created: int) -> dict[str, Any]:
    """The JSON of a reply, for a server of ours."""
    message = _said(given.message)
    message["content"] = message["content"] or None
    finish = {"refusal": "content_filter", "malformed": "stop"}.get(given.finish_reason, given.finish_reason)
    return {
        "id": name,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {
            "prompt_tokens": given.usage.input_tokens,
            "completion_tokens": given.usage.output_tokens,
            "total_tokens": given.usage.input_tokens + given.usage.output_tokens,
            "prompt_tokens_details": {"cached_tokens": given.usage.cached_tokens},
        },
    }
