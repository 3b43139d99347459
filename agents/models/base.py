"""What the protocols share: how requests become JSON and replies records, and errors that hide behind a success."""

from typing import Any, Literal, Protocol, TypeVar

import msgspec

from agents.models.errors import BadReplyError, EndpointMisconfiguredError, ModelError, RequestRefusedError
from contracts.chat import ChatReply, ChatRequest, Message, Usage

FinishReason = Literal["stop", "tool_calls", "length", "refusal", "malformed"]

_WRONG = {401, 402, 403, 404, 1004, 1008, 2049}
"""Codes of errors that a person has to mend: HTTP's, and those of a `base_resp`."""
_REFUSED = {400, 413, 422, 1039, 2013}
"""Codes of requests that are refused whenever they are sent."""
_UNWANTED = {1026, 1027}
"""Codes of requests and answers that a provider finds objectionable."""


class Wire(Protocol):
    """A protocol on the wire. Implemented by modules: `agents.models.wire` and `agents.models.messages`."""

    @property
    def KEYS(self) -> tuple[str, ...]:  # noqa: N802 (a constant of a module)
        """Variables that may hold the key, the first that is set."""
        ...

    @property
    def LACKS(self) -> frozenset[str]:  # noqa: N802 (a constant of a module)
        """Parameters of ours that the protocol does not have."""
        ...

    @property
    def STOP(self) -> str:  # noqa: N802 (a constant of a module)
        """What the parameter is called that holds texts at which an answer stops."""
        ...

    def address(self, url: str) -> str:
        """Where requests go, for a base URL."""
        ...

    def headers(self, key: str) -> dict[str, str]:
        """What goes with every request."""
        ...

    def body(
        self, request: ChatRequest, model: str, *, unsupported: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """The JSON of a request, without the parameters that a server does not honour."""
        ...

    def reply(self, data: bytes) -> ChatReply:
        """A reply from a server's JSON.

        A call of a tool that cannot be read makes a reply that ended `malformed`: the model's fault, and said so. What
        is no reply at all, or an error under a status of success, is the server's.

        Raises:
            BadReplyError: the server sent something else than a reply.
            EndpointMisconfiguredError, RequestRefusedError: it says so under a status of success.
        """
        ...


class BaseResp(msgspec.Struct):
    """How some providers report errors under a status of success."""

    status_code: int = 0
    status_msg: str = ""


class Answer(msgspec.Struct):
    """What a reply's body has in every protocol."""

    usage: Any = None
    base_resp: BaseResp | None = None
    error: dict[str, Any] | str | None = None


A = TypeVar("A", bound=Answer)


def decoded(data: bytes, kind: type[A]) -> A | ChatReply:
    """A reply's body; or the refusal that it reports under a status of success. Raises as `Wire.reply` does."""
    try:
        found = msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadReplyError(f"the reply cannot be read ({error})") from error
    return reported(found.base_resp, found.error) or found


def reported(resp: BaseResp | None, error: dict[str, Any] | str | None) -> ChatReply | None:
    """Raise the error that a body reports under a status of success; None if it reports none.

    Returns:
        A refusal, where the provider does not want to hear or to say such things: so the model behaved.
    """
    code: Any = 0
    if resp is not None and resp.status_code:
        code, said = resp.status_code, resp.status_msg
    elif error:
        code = error.get("code") if isinstance(error, dict) else 0
        code = code if isinstance(code, int | str) else 0
        said = str(error.get("message") or error) if isinstance(error, dict) else error
    else:
        return None
    if code in _UNWANTED:
        return ChatReply(message=Message(role="assistant", content=said), finish_reason="refusal")
    text = f"the server reports error {code or ''} under a status of success: {said}".replace("  ", " ")
    problem: ModelError = BadReplyError(text, billed=False)
    if code in _WRONG:
        problem = EndpointMisconfiguredError(f"{text}; look at the key, the account and the model's name")
    elif code in _REFUSED:
        problem = RequestRefusedError(text)
    raise problem


def unreadable(error: BadReplyError, usage: Usage, *, cut: bool) -> ChatReply:
    """The reply in place of one that calls a tool in a way that cannot be read, perhaps since it was cut off."""
    return ChatReply(
        message=Message(role="assistant", content=f"[the tool call could not be read: {error}]"),
        finish_reason="length" if cut else "malformed",
        usage=usage,
    )
