from wrapping import dedent, indent, justify, shorten, wrap


def test_wrap_keeps_all_words():
    text = "the quick brown fox jumps over the lazy dog"
    assert " ".join(wrap(text, 12)) == text


def test_wrap_fills_the_width():
    assert wrap("aaa bbb ccc", 7) == ["aaa bbb", "ccc"]


def test_wrap_stays_within_the_width():
    assert wrap("aaa bbb ccc", 6) == ["aaa", "bbb", "ccc"]


def test_indent():
    assert indent(["a", "", "b"], "> ") == ["> a", "", "> b"]


def test_dedent():
    assert dedent(["    if x:", "        y", "    z"]) == ["if x:", "    y", "z"]


def test_shorten():
    assert shorten("a long sentence", 9) == "a long..."


def test_justify():
    assert justify("a b c", 8) == "a   b  c"
