"""What a request holds a served model to beside decoding: how long its answer may be, and which tools it may call.

The models that we serve know nothing of these. A request that says nothing of them is answered as the model has it.
"""

import msgspec

from agents.models.errors import RequestRefusedError
from agents.models.wire import Asked
from contracts.chat import ChatReply, ChatRequest, Message, ToolCall, estimate_tokens

CHARACTERS = 4
"""Of a token, as `contracts.chat.estimate_tokens` counts."""


def admitted(request: ChatRequest, asked: Asked) -> ChatRequest:
    """The request with the tools that may be called.

    Raises:
        RequestRefusedError: it wants several answers, or a tool that is not offered.
    """
    if asked.n is not None and asked.n != 1:
        raise RequestRefusedError(
            f"n: a request gets one answer here and not {asked.n}; ask again for another"
        )
    choice = asked.tool_choice
    if choice in (None, "auto", "required"):
        return request
    if choice == "none":
        return msgspec.structs.replace(request, tools=())
    function = choice.get("function") if isinstance(choice, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    chosen = tuple(tool for tool in request.tools if tool.name == name)
    if not chosen:
        raise RequestRefusedError(
            f"tool_choice: {choice!r} is neither none, auto or required nor one of the tools that are offered"
        )
    return msgspec.structs.replace(request, tools=chosen)


def held(reply: ChatReply, request: ChatRequest, asked: Asked) -> ChatReply:
    """The reply as far as its length allows; a call of a tool that is too long is left out.

    Raises:
        RequestRefusedError: a tool had to be called, and none is.
    """
    message = reply.message
    must_call = asked.tool_choice == "required" or isinstance(asked.tool_choice, dict)
    if must_call and not message.tool_calls:
        raise RequestRefusedError(
            f"tool_choice: no tool can be called here; the model says: {message.content}"
        )
    most = request.max_tokens
    if not most or _tokens(message) <= most:
        return reply
    return ChatReply(
        message=Message(role="assistant", content=message.content[: most * CHARACTERS]),
        finish_reason="length",
        usage=msgspec.structs.replace(reply.usage, output_tokens=most),
    )


def _tokens(message: Message) -> int:
    return estimate_tokens(message.content) + sum(map(_of_call, message.tool_calls))


def _of_call(call: ToolCall) -> int:
    return estimate_tokens(msgspec.json.encode({"name": call.name, "arguments": call.arguments}).decode())
