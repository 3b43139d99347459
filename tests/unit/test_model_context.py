from agents.models.embedded.context import Context, gather, replacement
from agents.models.embedded.kinds import named_in
from agents.models.embedded.page import read, words
from contracts.chat import Message, ToolCall


def user(text: str) -> Message:
    return Message(role="user", content=text)


def edit(number: int, old: str, new: str, path: str = "a.py") -> Message:
    call = ToolCall(
        id=f"call_{number}", name="edit", arguments={"path": path, "line": 1, "old": old, "new": new}
    )
    return Message(role="assistant", tool_calls=(call,))


def answer(number: int, text: str) -> Message:
    return Message(role="tool", tool_call_id=f"call_{number}", content=text)


def of(*messages: Message) -> Context:
    return gather(messages)


def test_the_latest_block_of_a_path_wins() -> None:
    first = user("Look:\n```python a.py\nx = 1\n```\nand\n```python b/c.py\ny = 1\n```\n")
    context = of(first, answer(1, "```python a.py\nx = 2\n```"))
    assert context.files == {"a.py": "x = 2\n", "b/c.py": "y = 1\n"}


def test_a_block_without_a_path_is_no_file_but_evidence() -> None:
    page = read('```\n  File "a.py", line 3, in f\n    x()\n  File "b.py", line 4, in g\n```')
    assert page.files == ()
    assert page.tracebacks == ((("a.py", 3), ("b.py", 4)),)


def test_evidence_inside_shown_code_is_not_evidence() -> None:
    page = read("```python a.py\n# see b.py:3\n# covered: a.py:1\nFAILED x\n```\n")
    assert (page.pointed, page.covered, page.is_result) == ((), (), False)


def test_only_the_latest_result_counts() -> None:
    old = 'FAILED tests/test_a.py::test_push_all\n  File "a.py", line 1, in f\ncovered: a.py:1-3,7'
    new = "1 passed, 1 failed\nFAILED tests/test_a.py::TestB::test_pop: ValueError: 3\ncovered: a.py:5"
    context = of(user(old), user(new), user("covered: b.py:2"))
    assert context.covered == (("a.py", frozenset({5})), ("b.py", frozenset({2})))
    assert context.tracebacks == ()
    assert context.names == {"pop"}
    assert of(user(old)).covered == (("a.py", frozenset({1, 2, 3, 7})),)


def test_the_latest_pointing_message_counts() -> None:
    context = of(user("see a.py:1"), user("see a.py:12 and see b.py:3-4."), user("nothing"))
    assert context.pointed == {("a.py", 12), ("b.py", 3), ("b.py", 4)}


def test_identifiers_in_backticks_name_functions() -> None:
    assert of(user("`Stack.push_all()` fails")).names == {"stack", "push", "all"}
    assert words("HTTPServer2_fooBar") == {"http", "server", "2", "foo", "bar"}


def test_kinds_are_named_by_words_of_system_and_user_messages_only() -> None:
    assert named_in("Beware of off-by-one mistakes and argumentative people.") == {"off-by-one"}
    context = of(Message(role="system", content="Check the boundary."), answer(1, "guard"))
    assert context.kinds == {"comparison"}


def test_earlier_edits_are_counted_without_surrounding_blanks() -> None:
    context = of(edit(1, "  x = 1", "  x = 2"), edit(2, "x = 1", "x = 2 "))
    assert context.proposed == {("a.py", "x = 1", "x = 2"): 2}


def test_an_edit_that_fixed_a_test_is_remembered() -> None:
    shown = user("```python a.py\nif a < b:\n    pass\n```")
    tried = edit(1, "if a < b:", "if a <= b:")
    assert of(shown, tried, answer(1, "edit undone")).helped == frozenset()
    (helped,) = of(shown, tried, answer(1, "fixed: tests/test_a.py::test_x")).helped
    assert (helped.kind, helped.change, helped.text) == ("", ("<", "<="), "if a < b:\n    pass\n")


def test_the_replacement_is_what_differs() -> None:
    assert replacement("f(a, b)", "f(b, a)") == ("a , b", "b , a")
    assert replacement("x", "x\nreturn x") == ("", "return x")
    assert replacement("same", "same") == ("", "")


def test_odd_arguments_and_odd_evidence_do_no_harm() -> None:
    call = ToolCall(id="c", name="edit", arguments={"path": 3, "old": None})
    context = of(
        Message(role="assistant", tool_calls=(call,)), user("covered: a.py:9-,x,-3,5-2,99999999999-1")
    )
    assert sum(context.proposed.values()) == 1
    assert context.covered == (("a.py", frozenset({9})),) or context.covered == ()
