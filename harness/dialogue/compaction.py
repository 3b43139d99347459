"""Conversations that grow: what they take up, and older answers cut to what they came to.

Answers are cut rarely and many at once, so that in between the beginning of a conversation stays as it is: providers
read what they have read before at a fraction of the price.
"""

import json
import re

CHARACTERS = 3
"""Of one token, rather too few than too many: code has short ones."""
LATEST = (8, 4, 2)
"""How many of the latest messages stay whole; fewer where that does not make room enough."""
WORTH = 0.1
"""Share of the room below which it is not worth to give up what a provider has in its cache."""
MARK = "[… {} lines left out]"
_OUTCOME = re.compile(r"^(\d+ passed, \d+ failed|FAILED |edit |fixed: |the tests did not run)")
_MOST = 12


def tokens(messages):
    """What a conversation takes up, about."""
    return sum(_characters(message) for message in messages) // CHARACTERS


def _characters(message):
    calls = message.get("tool_calls")
    return len(message["content"]) + (len(json.dumps(calls)) if calls else 0)


def shorten(messages, rest):
    """Cut older answers, in place, until about as many tokens are left; says whether it was worth it."""
    cut = {}
    room = tokens(messages)
    for latest in LATEST:
        for at in range(2, len(messages) - latest):
            if messages[at]["role"] == "tool" and at not in cut:
                cut[at] = summary(messages[at]["content"])
                room -= max(0, len(messages[at]["content"]) - len(cut[at])) // CHARACTERS
        if room <= rest:
            break
    if tokens(messages) - room < WORTH * rest:
        return False
    for at, text in cut.items():
        messages[at]["content"] = text
    return True


def summary(text):
    """What an answer came to: its first line, and the lines that tell of tests and edits."""
    first, *lines = text.split("\n")
    told = [line for line in lines if _OUTCOME.match(line)][:_MOST]
    if len(lines) - len(told) < 3:
        return text
    return "\n".join([first[:200], *(line[:200] for line in told), MARK.format(len(lines) - len(told))])


def pair(messages):
    """Drop answers whose question is gone, and answer what was not answered, in place: no provider takes less."""
    found, waiting = [], []
    for message in [*messages, {"role": "end"}]:
        if message["role"] == "tool":
            if message["tool_call_id"] in waiting:
                waiting.remove(message["tool_call_id"])
                found.append(message)
            continue
        found += [{"role": "tool", "tool_call_id": call, "content": "not done"} for call in waiting]
        waiting = [call["id"] for call in message.get("tool_calls", ())]
        found.append(message)
    messages[:] = found[:-1]
