"""Asking a model for an answer in a form: what does not fit is said back once, and then the answer is rejected.

Faults of the way to the model are no answers and pass through; a refusal, an answer that was cut off and one that does
not fit are answers, and are rejected with the reason.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import anyio

from agents.models.errors import RequestRefusedError
from agents.thinking.answers import Unfit, read_json, without_thoughts
from agents.thinking.prompts import render
from contracts.chat import ChatReply, ChatRequest, Message, Model, Usage
from contracts.record import Record

T = TypeVar("T")

ANSWER_TOKENS = 12_000
"""How long an answer may be: thoughts count, where a model writes them."""
TRIES = 2
"""The answer, and its repair."""
NOTHING = "(nothing)"
"""Stands for an empty answer when it is said back: not every endpoint takes an empty message."""
ECHO = 500
"""Characters of a reason that the model is told."""


class Prompt(Record):
    """What a model is asked: what never changes first, what changes from call to call last."""

    system: str
    user: str


class Rejected(Record):
    """There is no answer that can be used, and why."""

    reason: str
    usage: Usage
    said: str = ""
    """What the model had said last."""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[T]):
    """An answer that fits."""

    value: T
    usage: Usage
    repaired: bool = False
    """Whether it took a second try."""


class NoAnswer(Unfit):
    """Raised when a reply holds nothing to read: it was declined, cut off, or empty."""


class Conversation:
    """A question, and what was said to it so far."""

    def __init__(self, model: Model, prompt: Prompt, *, max_tokens: int = ANSWER_TOKENS) -> None:
        self._model = model
        self._max_tokens = max_tokens
        self._messages: tuple[Message, ...] = (
            Message(role="system", content=prompt.system),
            Message(role="user", content=prompt.user),
        )
        self.usage = Usage()
        """Of all calls so far."""
        self.said = ""
        """The latest reply, as it came."""

    async def hear(self) -> str:
        """The model's next words, without its thoughts.

        Raises:
            NoAnswer: there is nothing to read in the reply.
            ModelError: there is no reply.
        """
        try:
            reply = await self._ask()
        except RequestRefusedError:
            if not self._max_tokens:
                raise
            self._max_tokens = 0  # it may be that so long an answer is not offered: then as long as it is
            reply = await self._ask()
        self.usage += reply.usage
        self.said = reply.message.content
        self._messages = (*self._messages, Message(role="assistant", content=self.said or NOTHING))
        return _readable(reply)

    async def _ask(self) -> ChatReply:
        request = ChatRequest(messages=self._messages, max_tokens=self._max_tokens)
        return await anyio.to_thread.run_sync(self._model.complete, request, abandon_on_cancel=True)

    def object(self, reason: str) -> None:
        """Say why an answer cannot be used, and ask for another one."""
        told = reason if len(reason) <= ECHO else reason[:ECHO] + " …"
        again = render("agents.thinking", "again", reason=told)
        self._messages = (*self._messages, Message(role="user", content=again))


def _readable(reply: ChatReply) -> str:
    if reply.finish_reason == "refusal":
        raise NoAnswer(f"the model declined: {reply.message.content[:200] or 'no reason given'}")
    text = without_thoughts(reply.message.content)
    if reply.finish_reason == "length":
        raise NoAnswer(f"it was cut off after {reply.usage.output_tokens} tokens; answer more briefly")
    if not text.strip():
        raise NoAnswer("it is empty")
    return text


async def ask(
    model: Model,
    prompt: Prompt,
    form: type[T],
    *,
    check: Callable[[T], None] | None = None,
    max_tokens: int = ANSWER_TOKENS,
) -> Answer[T] | Rejected:
    """A record from a model.

    Args:
        model: who is asked.
        prompt: what.
        form: the record that the answer's JSON has to fit.
        check: raises Unfit for an answer that fits the form and is wrong all the same.
        max_tokens: how long an answer may be.

    Raises:
        ModelError: there was no reply.
    """
    conversation = Conversation(model, prompt, max_tokens=max_tokens)
    reason = ""
    for tried in range(TRIES):
        try:
            found = read_json(await conversation.hear(), form)
            if check is not None:
                check(found)
        except Unfit as error:
            reason = str(error)
            if isinstance(error, NoAnswer) and reason.startswith("the model declined"):
                break  # what it does not want to answer it will not answer for being asked again
            conversation.object(reason)
        else:
            return Answer(value=found, usage=conversation.usage, repaired=tried > 0)
    return Rejected(reason=reason, usage=conversation.usage, said=conversation.said)
