import random
from textwrap import dedent

import pytest

from agents.models.embedded.edits import RULES, Edit, derive, is_solution_code
from agents.models.embedded.head import KINDS
from agents.models.embedded.kinds import PHRASES
from agents.models.embedded.tokens import lex, logical_lines, normalize

STACK = '''\
"""A stack."""
import math


class Stack:
    def __init__(self, capacity=10):
        self.items = []
        self.capacity = capacity
        self.pushes = 0

    def push(self, item):
        if len(self.items) >= self.capacity:
            raise ValueError("voll: größer geht es nicht")
        self.items.append(item)
        self.pushes += 1

    def pop(self):
        if not self.items:
            return None
        return self.items.pop()


def spread(values, width):
    """The distance between the ends."""
    lowest, highest = min(values), max(values)
    total = 0
    total = 0
    for index in range(1, len(values)):
        größe = values[index - 1]; total += größe * 2
        if größe and width is not None:
            total = total + divmod(größe, width)[0]
            return total
    return (highest - lowest) / width if True else math.floor(total)
'''

HANDLERS = """\
class Missing(KeyError):
    pass


def read(table, key, default=None):
    try:
        value = table[key]
    except (KeyError, IndexError):
        raise Missing(key) from None
    except ValueError:
        return default
    finally:
        table.close()
    return value
"""


def apply(text: str, edit: Edit) -> str:
    lines = text.split("\n")
    assert "\n".join(lines[edit.line - 1 : edit.end_line]) == edit.before
    return "\n".join([*lines[: edit.line - 1], edit.after, *lines[edit.end_line :]])


def test_every_kind_has_a_rule_odds_and_words() -> None:
    assert set(RULES) == set(KINDS) == set(PHRASES)


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("comparison", "if len(self.items) >= self.capacity:", "if len(self.items) > self.capacity:"),
        ("comparison", "if größe and width is not None:", "if größe and width is None:"),
        ("operator", "self.pushes += 1", "self.pushes -= 1"),
        ("boolean operator", "if größe and width is not None:", "if größe or width is not None:"),
        ("constant", "for index in range(1, len(values)):", "for index in range(0, len(values)):"),
        ("constant", "def __init__(self, capacity=10):", "def __init__(self, capacity=11):"),
        ("off-by-one", "for index in range(1, len(values)):", "for index in range(1, len(values) + 1):"),
        (
            "off-by-one",
            "größe = values[index - 1]; total += größe * 2",
            "größe = values[index]; total += größe * 2",
        ),
        ("negation", "if not self.items:", "if self.items:"),
        ("name", "total = total + divmod(größe, width)[0]", "total = total + divmod(größe, index)[0]"),
        ("attribute", "if len(self.items) >= self.capacity:", "if len(self.items) >= self.pushes:"),
        ("arguments", "total = total + divmod(größe, width)[0]", "total = total + divmod(width, größe)[0]"),
        (
            "wrong call",
            "lowest, highest = min(values), max(values)",
            "lowest, highest = max(values), max(values)",
        ),
        ("return", "return (highest - lowest) / width if True else math.floor(total)", "return total"),
        ("wrong guard", "if größe and width is not None:", "if größe:"),
        ("doubled statement", "total = 0\n    total = 0", "total = 0"),
        ("missing statement", "return self.items.pop()", "self.pushes += 1\n        return self.items.pop()"),
    ],
)
def test_each_kind_finds_its_edit(kind: str, before: str, after: str) -> None:
    edits = [
        e for e in derive("stack.py", STACK).edits if (e.before.strip(), e.after.strip()) == (before, after)
    ]
    assert [kind in dict(e.shares) for e in edits] == [True]


def test_guards_are_put_in_and_taken_out() -> None:
    edits = derive("stack.py", STACK).edits
    pairs = {(e.before.strip(), e.after.strip()) for e in edits if e.kind in ("missing guard", "wrong guard")}
    assert (
        "lowest, highest = min(values), max(values)",
        "if not values:\n        return None\n    lowest, highest = min(values), max(values)",
    ) in pairs
    assert (
        "if not self.items:\n            return None\n        return self.items.pop()",
        "return self.items.pop()",
    ) in pairs


def test_every_candidate_compiles_changes_something_and_stands_once() -> None:
    edits = derive("stack.py", STACK).edits
    assert len(edits) > 100
    for edit in edits:
        after = apply(STACK, edit)
        assert after != STACK
        compile(after, "stack.py", "exec")
    assert len({(e.line, e.before, e.after) for e in edits}) == len(edits)


def test_spans_are_characters_even_beyond_ascii() -> None:
    lines = STACK.split("\n")
    for edit in derive("stack.py", STACK).edits:
        if edit.line == edit.end_line:
            assert lines[edit.line - 1][edit.column_start : edit.column_end] == edit.old


def test_only_solution_code_is_edited() -> None:
    assert is_solution_code("pkg/mod.py")
    assert not is_solution_code("tests/test_mod.py")
    assert not is_solution_code("pkg/tests/helper.py")
    assert not is_solution_code("test_mod.py")
    assert not is_solution_code("notes.md")
    assert derive("tests/helper.py", STACK).edits == ()


@pytest.mark.parametrize("text", ["", "def f(:\n", "x = '\0'\n", "\n\n# nothing\n", "x = (\n", "'''"])
def test_odd_texts_yield_nothing(text: str) -> None:
    assert derive("odd.py", text).edits == ()


def test_multi_line_statements_and_blocks_keep_their_shape() -> None:
    text = dedent("""\
        def f(a, b):
            try:
                value = max(
                    a,
                    b - 1,
                )
            except ValueError:
                value = a
            else:
                value += 1
            if a < b: return value
            elif a == b:
                return -value
            with open(a) as handle, \\
                    open(b):
                pass
            return {
                "x": [i for i in range(a) if i > b],
            }
        """)
    edits = derive("m.py", text).edits
    assert {"comparison", "wrong call", "arguments", "constant"} <= {e.kind for e in edits}
    for edit in edits:
        compile(apply(text, edit), "m.py", "exec")


def test_the_lexer_knows_logical_lines() -> None:
    text = 'x = """a\n# no comment\n"""  # comment\nif (a and\n    b):\n    y = 1 + \\\n        2\n'
    assert [(line.first, line.last, line.indent) for line in logical_lines(text)] == [
        (1, 3, 0),
        (4, 5, 0),
        (6, 7, 4),
    ]
    words = [w for w in lex("self.size = size - 0x1F # no") if w.sort != "newline"]
    assert normalize(words, frozenset()) == ["self", ".", "NAME0", "=", "NAME0", "-", "NUM"]


def test_a_handler_that_names_an_exception_twice_is_still_read() -> None:
    for caught in ("(ValueError, ValueError)", "()", "(KeyError, KeyError, ValueError)"):
        text = f"def f(x):\n    try:\n        return int(x)\n    except {caught}:\n        return 0\n"
        assert all("except :" not in edit.after for edit in derive("a.py", text).edits)


def test_every_chain_of_edits_can_be_read_again() -> None:
    """What the model wrote itself comes back to it as the next file, however odd it has become."""
    chance = random.Random(7)
    for text in (STACK, HANDLERS):
        for _ in range(6):
            current = text
            for _ in range(12):
                edits = derive("stack.py", current).edits
                if not edits:
                    break
                kind = chance.choice(sorted({edit.kind for edit in edits}))
                current = apply(current, chance.choice([edit for edit in edits if edit.kind == kind]))
