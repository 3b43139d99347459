from wrapping import dedent, indent, justify, shorten, wrap

TEXT = "It is a truth universally acknowledged that a single tool does not fit all hands"


def test_no_line_is_too_long():
    for width in range(14, 40):
        assert max(len(line) for line in wrap(TEXT, width)) <= width


def test_no_line_could_take_another_word():
    for width in range(14, 40):
        lines = wrap(TEXT, width)
        for line, following in zip(lines, lines[1:]):
            assert len(line) + 1 + len(following.split()[0]) > width


def test_a_word_that_is_too_long():
    assert wrap("a incomprehensible b", 5) == ["a", "incomprehensible", "b"]
    assert wrap("", 5) == []


def test_dedent_is_undone_by_indent():
    lines = ["one", "  two", "", "three"]
    assert dedent(indent(lines, "      ")) == lines


def test_dedent_keeps_what_differs():
    assert dedent(["  a", " b", "   c"]) == [" a", "b", "  c"]


def test_dedent_of_nothing():
    assert dedent([]) == []
    assert dedent(["", "  "]) == ["", "  "]
    assert dedent(["a", "  b"]) == ["a", "  b"]


def test_shorten_to_the_exact_width():
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abc..."
    assert shorten("abcdefg", 4, "~") == "abc~"


def test_justify_lines():
    assert justify("alone", 9) == "alone"
    assert justify("a b", 5) == "a   b"
    assert len(justify("many words in one line", 31)) == 31
