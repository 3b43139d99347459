"""The embedded model behind the chat protocol."""

from functools import lru_cache, partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from agents.models.embedded import argument, sample
from agents.models.embedded.candidates import Candidates
from agents.models.embedded.context import EDIT, Context, gather
from agents.models.embedded.counts import Counts
from agents.models.embedded.edits import Edit, is_solution_code
from contracts.chat import ChatReply, ChatRequest, Message, Tool, ToolCall, Usage, estimate_tokens

_CACHED_FILES = 512


class EmbeddedModel:
    """A frozen statistical model of Python code that answers with a call of `edit`, or of a tool of numbers.

    Safe to share between threads: nothing changes but caches.
    """

    def __init__(self, counts: Counts, fingerprint: str) -> None:
        self._fingerprint = fingerprint
        self._candidates = lru_cache(maxsize=_CACHED_FILES)(partial(Candidates, counts))

    @property
    def fingerprint(self) -> str:
        """Identity of the counts, the code's revision and the fixed head parameters."""
        return self._fingerprint

    def complete(self, request: ChatRequest) -> ChatReply:
        """Answer with one tool call, or with a sentence where there is nothing to propose.

        Raises:
            RequestRefusedError: The decoding is out of range.
        """
        sample.check(request.decoding)
        for tool in request.tools:
            if tool.name == EDIT:
                return self._edit(request, tool)
        for tool in request.tools:
            if argument.offered(tool):
                temperature = request.decoding.temperature
                chosen = argument.next_call(tool, request.messages, request.noise, temperature)
                return _calling(request, tool, chosen)
        return _saying(request, "I can only call a tool named `edit`, or one of numbers and choices.")

    def odds(self, request: ChatRequest) -> tuple[list[Edit], NDArray[np.float64]]:
        """All candidate edits for a request, and the probability with which each would be drawn."""
        edits, logits, _ = self._weighed(request)
        return edits, sample.probabilities(logits) if edits else logits

    def _weighed(self, request: ChatRequest) -> tuple[list[Edit], NDArray[np.float64], NDArray[np.uint64]]:
        context = self._with_kinds(gather(request.messages))
        tables = [
            self._candidates(path, text) for path, text in context.files.items() if is_solution_code(path)
        ]
        tables = [table for table in tables if table.edits]
        if not tables:
            return [], np.zeros(0), np.zeros(0, dtype=np.uint64)
        scores = np.concatenate([table.scores(context) for table in tables])
        proposed = np.concatenate([table.proposed(context) for table in tables])
        identities = np.concatenate([table.identities for table in tables])
        edits = [edit for table in tables for edit in table.edits]
        return edits, sample.logits(scores, proposed, request.decoding), identities

    def _with_kinds(self, context: Context) -> Context:
        """Look up the kinds of helpful edits whose calls did not say them: a tool need not take a kind."""
        resolved = []
        for helped in context.helped:
            known = helped.kind or not helped.text
            kind = helped.kind if known else self._candidates(helped.key[0], helped.text).kind_of(helped.key)
            resolved.append(helped._replace(kind=kind))
        return context._replace(helped=frozenset(resolved))

    def _edit(self, request: ChatRequest, tool: Tool) -> ChatReply:
        edits, logits, identities = self._weighed(request)
        if not edits:
            return _saying(
                request, "No code has been shown that I could edit. Show a file in a fenced block."
            )
        edit = edits[sample.draw(logits, identities, request.noise)]
        arguments = {
            "path": edit.path,
            "line": edit.line,
            "old": edit.before,
            "new": edit.after,
            "kind": edit.kind,
        }
        accepted = tool.parameters.get("properties")
        if accepted:
            arguments = {name: value for name, value in arguments.items() if name in accepted}
        return _calling(request, tool, arguments)


def _usage(request: ChatRequest, output: str) -> Usage:
    read = sum(estimate_tokens(message.content) for message in request.messages)
    return Usage(input_tokens=read, output_tokens=estimate_tokens(output))


def _calling(request: ChatRequest, tool: Tool, arguments: dict[str, Any]) -> ChatReply:
    number = sum(len(message.tool_calls) for message in request.messages) + 1
    call = ToolCall(id=f"call_{number}", name=tool.name, arguments=arguments)
    output = msgspec.json.encode({"name": call.name, "arguments": arguments}).decode()
    message = Message(role="assistant", tool_calls=(call,))
    return ChatReply(message=message, finish_reason="tool_calls", usage=_usage(request, output))


def _saying(request: ChatRequest, sentence: str) -> ChatReply:
    message = Message(role="assistant", content=sentence)
    return ChatReply(message=message, finish_reason="stop", usage=_usage(request, sentence))
