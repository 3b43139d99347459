"""What an endpoint honours, found out by asking: some sixty short calls, none of which depends on what it claims.

Whether a parameter does anything shows only where answers differ by luck. So several questions are tried, an edit of a
small program, a number by chance, a made-up word: a model that answers one of them always alike may answer another
differently.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from agents.models import probe_forms as forms
from agents.models.endpoint import EndpointModel
from agents.models.errors import RequestRefusedError
from contracts.chat import (
    ChatReply,
    ChatRequest,
    Decoding,
    Message,
    Tool,
    ToolCall,
    Usage,
    estimate_tokens,
    messages_bytes,
)
from contracts.models import Capabilities, Finding
from contracts.record import Record

DRAWS = 4
"""Answers by which it is seen whether they differ."""
HOT, COLD = 1.0, 0.05
"""Temperatures; some providers take none above 1, and none of 0."""
SHORT, LONGER = 200, 2000
"""Tokens of an answer, and of one by a model that thinks before it answers."""
LONG = 1500
"""Words of a prompt that is worth a provider's cache."""

EDIT = Tool(
    name="edit",
    description="Replace lines of a file.",
    parameters={
        "type": "object",
        "properties": {
            "path": {"type": "string"},
            "line": {"type": "integer", "minimum": 1},
            "old": {"type": "string"},
            "new": {"type": "string"},
        },
        "required": ["path", "line", "old", "new"],
    },
)
PICK = Tool(
    name="pick",
    description="Say a number.",
    parameters={
        "type": "object",
        "properties": {"number": {"type": "integer", "minimum": 1, "maximum": 1000}},
        "required": ["number"],
    },
)
PLAIN = Decoding()
NO_QUESTION = "no question was found whose answers differ by temperature"
COUNT = "Count from 1 to 9, with spaces between."
CAT = "Say hello to a cat. Should you answer in JSON, call the field `words`."
PROGRAM = "def clip(xs, low, high):\n    return [x for x in xs if x > low and x < high]\n"


class Question(Record):
    """Something to be asked over and over."""

    text: str
    tools: tuple[Tool, ...] = ()


QUESTIONS = (
    Question(
        text=f"Mend this program with one call of the tool `edit`.\n\n```python clip.py\n{PROGRAM}```\n"
        "1 passed, 1 failed\nFAILED tests/test_clip.py::test_ends",
        tools=(EDIT,),
    ),
    Question(text="Pick a number from 1 to 1000 by chance, and say it with the tool `pick`.", tools=(PICK,)),
    Question(text="Invent a name for a cat. Answer with that one word."),
)


class Probe:
    """One endpoint under question."""

    def __init__(self, make: Callable[[], EndpointModel], model: str) -> None:
        """`make` gives a client of the endpoint that `model` names."""
        self.model = make()
        self._name = model
        self._tokens = SHORT
        self.calls = 0
        self.usage = Usage()

    def run(self, told: Callable[[str], None] = lambda _: None) -> Capabilities:
        """Ask everything. Raises ModelError when the endpoint does not answer a plain question."""
        first = self.ask(QUESTIONS[0])
        if first.finish_reason == "length":
            self._tokens = LONGER
            first = self.ask(QUESTIONS[0])
        found = [_usage(first), self._tools(first), forms.reasoning(self, QUESTIONS[0], first)]
        told("temperature")
        lively, temperature = self._temperature()
        found += [temperature, self._zero(lively), forms.temperature_range(self, lively or QUESTIONS[0])]
        told("top_p, seed")
        found += [self._narrow(lively), self._seed(lively)]
        for name in ("frequency_penalty", "presence_penalty"):
            told(name)
            found.append(self._penalty(name))
        told("stop, JSON, max_tokens, caching")
        found += [forms.stop(self, Question(text=COUNT)), forms.forced_json(self, Question(text=CAT))]
        found += [self._max_tokens(), self._caching()]
        told("streams, errors")
        plain = self.request(QUESTIONS[0])
        found += [*forms.streaming(self, plain), forms.errors(self, plain)]
        return Capabilities(model=self._name, findings=tuple(found))

    # Asking

    def ask(
        self,
        question: Question,
        *,
        luck: str = "",
        before: Sequence[Message] = (),
        extra: dict[str, Any] | None = None,
        tokens: int = 0,
        decoding: Decoding = PLAIN,
    ) -> ChatReply:
        """One answer."""
        request = self.request(question, luck=luck, before=before, tokens=tokens, decoding=decoding)
        self.calls += 1
        reply = self.model.ask(request, extra).reply
        self.usage += reply.usage
        return reply

    def request(
        self,
        question: Question,
        *,
        luck: str = "",
        before: Sequence[Message] = (),
        tokens: int = 0,
        decoding: Decoding = PLAIN,
    ) -> ChatRequest:
        """What is asked for one answer."""
        return ChatRequest(
            messages=(Message(role="user", content=question.text), *before),
            tools=question.tools,
            decoding=decoding,
            max_tokens=tokens or self._tokens,
            noise=luck,
        )

    def different(self, question: Question, decoding: Decoding) -> int:
        """How many different answers there are among some."""
        return len({_said(self.ask(question, luck=f"probe {i}", decoding=decoding)) for i in range(DRAWS)})

    # Findings

    def _tools(self, reply: ChatReply) -> Finding:
        calls = reply.message.tool_calls
        fit = bool(calls) and {"path", "line", "old", "new"} <= calls[0].arguments.keys()
        state = "honoured" if fit else "ignored"
        seen = "a call that fits its schema" if fit else f"{len(calls)} calls, ended {reply.finish_reason}"
        return Finding(name="tools", state=state, seen=seen)  # type: ignore[arg-type]

    def _temperature(self) -> tuple[Question | None, Finding]:
        """Whether it makes a difference, and the question by which that shows."""
        seen = []
        for question in QUESTIONS:
            try:
                hot, cold = (self.different(question, Decoding(temperature=t)) for t in (HOT, COLD))
            except RequestRefusedError as error:
                return None, Finding(name="temperature", state="refused", seen=forms.brief(error))
            seen.append(f"{hot} and {cold} different answers of {DRAWS} at {HOT:g} and {COLD:g}")
            if hot > cold:
                return question, Finding(name="temperature", state="honoured", seen=seen[-1])
        alike = all(part.startswith("1 and 1") for part in seen)
        state = "unknown" if alike else "ignored"
        return None, Finding(name="temperature", state=state, seen="; ".join(seen))  # type: ignore[arg-type]

    def _zero(self, question: Question | None) -> Finding:
        name = "temperature 0"
        asked = question or QUESTIONS[0]
        try:
            answers = {
                _said(self.ask(asked, luck=f"zero {i}", decoding=Decoding(temperature=0.0))) for i in range(2)
            }
        except RequestRefusedError as error:
            return Finding(name=name, state="refused", seen=forms.brief(error))
        if len(answers) > 1:
            return Finding(name=name, state="ignored", seen="two different answers")
        return Finding(name=name, state="honoured" if question else "unknown", seen="the same answer twice")

    def _narrow(self, question: Question | None) -> Finding:
        """Whether only the most probable answer is left where the least mass is drawn from."""
        name = "top_p"
        if question is None:
            return Finding(name=name, state="unknown", seen=NO_QUESTION)
        try:
            count = self.different(question, Decoding(temperature=HOT, top_p=0.01))
        except RequestRefusedError as error:
            return Finding(name=name, state="refused", seen=forms.brief(error))
        seen = f"{count} different answers of {DRAWS} at 0.01"
        return Finding(name=name, state="honoured" if count == 1 else "ignored", seen=seen)

    def _seed(self, question: Question | None) -> Finding:
        if "seed" in self.model.wire.LACKS:
            return forms.lacking("seed")
        if question is None:
            return Finding(
                name="seed", state="unknown", seen="no question has answers that differ by temperature"
            )
        hot = Decoding(temperature=HOT)
        answers = [_said(self.ask(question, luck=f"seed {i // 2}", decoding=hot)) for i in range(2 * DRAWS)]
        pairs = sum(answers[i] == answers[i + 1] for i in range(0, len(answers), 2))
        seen = f"{pairs} of {DRAWS} pairs alike, {len(set(answers))} different answers"
        return Finding(name="seed", state="honoured" if pairs == DRAWS else "ignored", seen=seen)

    def _penalty(self, name: str) -> Finding:
        """Whether an answer that stands there several times already is given again."""
        if name in self.model.wire.LACKS:
            return forms.lacking(name)
        cold = Decoding(temperature=COLD)
        fine = msgspec.structs.replace(cold, **{name: 2.0})
        seen = []
        for question in (
            QUESTIONS[0],
            Question(text="Write the word `yes` twenty times, with spaces between."),
        ):
            try:
                plain = self.ask(question, luck="penalty", decoding=cold)
                before = _repeated(plain) if question.tools else ()
                again = self.ask(question, luck="penalty", before=before, decoding=cold)
                fined = self.ask(question, luck="penalty", before=before, decoding=fine)
            except RequestRefusedError as error:
                return Finding(name=name, state="refused", seen=forms.brief(error))
            if _said(again) != _said(fined):
                return Finding(name=name, state="honoured", seen="another answer at 2 than at 0")
            if _said(again) != _said(ChatReply(message=Message(role="assistant"))):
                seen.append("the same answer at 2 as at 0")
        if not seen:  # a model that was still thinking when its tokens were spent
            return Finding(name=name, state="unknown", seen="it answered nothing")
        return Finding(name=name, state="ignored", seen=seen[0])

    def _max_tokens(self) -> Finding:
        name, question = "max_tokens", Question(text="Count from 1 to 200 in words.")
        try:
            reply = self.ask(question, tokens=16)
        except RequestRefusedError as error:
            return Finding(name=name, state="refused", seen=forms.brief(error))
        tokens = estimate_tokens(reply.message.content)
        seen = f"about {tokens} tokens where 16 were asked for, ended {reply.finish_reason}"
        if reply.finish_reason == "length":
            return Finding(name=name, state="honoured", seen=seen)
        return Finding(name=name, state="ignored" if tokens > 40 else "unknown", seen=seen)

    def _caching(self) -> Finding:
        """Whether the second of two long prompts that begin alike is read from a cache."""
        text = " ".join(f"word{i}" for i in range(LONG))
        question = Question(text=f"{text}\n\n{QUESTIONS[0].text}", tools=(EDIT,))
        cached = [self.ask(question, luck=f"cache {i}").usage.cached_tokens for i in range(2)]
        state = "honoured" if cached[1] else "unknown"
        return Finding(name="caching", state=state, seen=f"{cached[1]} tokens from the cache")  # type: ignore[arg-type]


def _usage(reply: ChatReply) -> Finding:
    """Whether tokens are told, and can be true."""
    told = reply.usage
    if not told.input_tokens and not told.output_tokens:
        return Finding(name="usage", state="ignored", seen="none is told; it is counted here instead")
    about = estimate_tokens(QUESTIONS[0].text)
    seen = f"{told.input_tokens} in, {told.output_tokens} out, where about {about} went in"
    likely = about / 4 <= told.input_tokens <= 8 * about and told.output_tokens <= 20 * SHORT
    return Finding(name="usage", state="honoured" if likely else "ignored", seen=seen)


def _said(reply: ChatReply) -> bytes:
    """What an answer says, without what only names it."""
    calls = tuple(ToolCall(id="", name=c.name, arguments=c.arguments) for c in reply.message.tool_calls)
    return messages_bytes((Message(role="assistant", content=reply.message.content, tool_calls=calls),))


def _repeated(reply: ChatReply) -> tuple[Message, ...]:
    """A conversation in which an edit was asked for three times, in vain."""
    found: list[Message] = []
    for number in range(3):
        calls = tuple(
            ToolCall(id=f"call_{number}", name=c.name, arguments=c.arguments)
            for c in reply.message.tool_calls[:1]
        )
        if not calls:
            return ()
        found.append(Message(role="assistant", tool_calls=calls))
        found.append(Message(role="tool", tool_call_id=f"call_{number}", content="1 passed, 1 failed"))
    return tuple(found)
