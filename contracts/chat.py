"""What a harness says to a model and hears back: the chat protocol with tool calls, as plain records.

Two conventions give text in messages a meaning that every model of ours understands; large models
understand them anyway:

- a file is shown as a fenced block whose info string names its path: ```` ```python pkg/mod.py ````.
  The latest block of a path is its current content;
- lines are pointed at as `File "pkg/mod.py", line 12` (a traceback), as `covered: pkg/mod.py:3-9,12`
  (lines that a failing test ran) or as `see pkg/mod.py:12` (a place worth looking at).
"""

from typing import Any, Literal, Protocol

import msgspec

from contracts.record import Record


class Decoding(Record):
    """How the next token, edit or argument is drawn. The defaults draw plainly from the model's own odds."""

    temperature: float = 1.0
    """Divides the log-odds; in (0, 2]."""
    top_p: float = 1.0
    """Only the most probable choices whose mass reaches this are drawn from; in (0, 1]."""
    frequency_penalty: float = 0.0
    """Subtracted from a choice's log-odds for every time that the context holds it; in [-2, 2]."""
    presence_penalty: float = 0.0
    """Subtracted once from a choice's log-odds if the context holds it at all; in [-2, 2]."""


class ToolCall(Record):
    """One call of a tool that the model asks for."""

    id: str
    name: str
    arguments: dict[str, Any] = {}


class Message(Record):
    """One message of a conversation, in the roles of the OpenAI chat protocol."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""
    extra: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    """What a provider wants to see again with this message, such as its reasoning: for nobody else to read. Where there
    is none it is left out of the message's bytes."""


class Tool(Record):
    """A tool that the model may call; `parameters` is a JSON Schema of type object."""

    name: str
    description: str = ""
    parameters: dict[str, Any] = {}


class ChatRequest(Record):
    """One call of a model."""

    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    decoding: Decoding = Decoding()
    max_tokens: int = 0
    """How long the answer may be, in tokens; 0: as the way to the model has it."""
    noise: str = ""
    """What the random draw of this call is keyed by (episode task, seed and call number): the same key and
    the same choices give the same luck, so that two arms of a comparison can share it."""


class Usage(Record):
    """Tokens that a call read and wrote, and what it cost in US dollars."""

    input_tokens: int = 0
    """All of them: those that were in the provider's cache, and those that were put there, are among them."""
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    output_tokens: int = 0
    cost: float = 0.0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost=self.cost + other.cost,
        )


class ChatReply(Record):
    """What a model answered."""

    message: Message
    finish_reason: Literal["stop", "tool_calls", "length", "refusal", "malformed"] = "stop"
    """`malformed`: a tool was called in a way that cannot be read, so no call is in the message."""
    usage: Usage = Usage()


class ModelFacts(Record):
    """What a harness is told of its model before it begins."""

    tools: bool = False
    """Whether it calls other tools than `edit`, several in one reply if it likes, and reads what they say."""
    context: int = 0
    """Tokens that a conversation and its answer may have together; 0: as many as there are."""


EDITS_ONLY = ModelFacts()
"""The embedded model's."""


class Model(Protocol):
    """Anything that answers a chat request: one method and the identity of its frozen weights."""

    @property
    def fingerprint(self) -> str:
        """What the weights are, as a hash or as a provider's name for them; equal means the same weights."""
        ...

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request. Blocks; raises `agents.models.errors.ModelError` when there is no answer."""
        ...


def estimate_tokens(text: str) -> int:
    """Tokens of a text by the usual rule of thumb of four characters each, at least 1 for any text."""
    return (len(text) + 3) // 4


def messages_bytes(messages: tuple[Message, ...]) -> bytes:
    """The canonical bytes of a conversation, for hashing and for counting."""
    return msgspec.json.encode(messages, order="deterministic")
