"""An episode's transcript, cut down to what was shown first, what was tried, and what the tests said."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from agents.critic.story import read_transcript
from contracts.chat import estimate_tokens

OPENING, LATER, REPLY = 2400, 400, 300
"""Characters that are shown of what the model was shown first, of what it was told later, and of what it said."""


def excerpt(data: bytes, tokens: int) -> str:
    """A stored transcript (zlib, JSON lines) within so many tokens: its beginning and its end; the middle may go."""
    parts = [part for line in read_transcript(data) for part in _told(line)]
    if not parts or estimate_tokens("\n".join(parts)) <= tokens:
        return "\n".join(parts)
    first, last = [_short(parts[0], 2 * tokens)], list[str]()
    room = tokens - estimate_tokens(first[0]) - 2
    for part in reversed(parts[1:]):  # how it ended tells the most: two thirds are the end's
        if estimate_tokens("\n".join([part, *last])) > 2 * room // 3:
            break
        last.insert(0, part)
    for part in parts[1 : len(parts) - len(last)]:
        if estimate_tokens("\n".join([*first, part, "…", *last])) > tokens:
            break
        first.append(part)
    return "\n".join([*first, "…", *last])


def _told(line: Mapping[str, Any]) -> Iterator[str]:
    if "call" in line:
        most = OPENING if line["call"] == 1 else LATER
        for said in line["said"]:
            if said["role"] != "system" and said["content"].strip():
                yield f"told: {_short(said['content'], most)}"
        reply = line["reply"]
        if reply.get("content", "").strip():
            yield f"model: {_short(reply['content'], REPLY)}"
        for call in reply.get("tool_calls") or ():
            yield f"model calls {call['name']}: {_short(json.dumps(call['arguments'], ensure_ascii=False), REPLY)}"
    elif "test" in line:
        failed = ", ".join(line["failed"][:6]) or "none"
        yield f"tests ({line['status']}): {line['passed']} passed; failed: {failed}"
    elif "refused" in line:
        yield f"refused: the budget of {line['refused']} is spent"
    elif "end" in line:
        error = f": {_short(line['error'], LATER)}" if line["error"] else ""
        yield f"ended ({line['end']}{error}); changed files: {', '.join(sorted(line['files'])) or 'none'}"


def _short(text: str, most: int) -> str:
    text = text.strip()
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most} characters more)"
