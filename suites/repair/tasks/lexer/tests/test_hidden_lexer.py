from lexer.scan import Token, tokenize
from lexer.stream import TokenStream, statements


def texts(text):
    return [token.text for token in tokenize(text)]


def test_pairs():
    assert texts("1==2!=3<4>=5=6;") == ["1", "==", "2", "!=", "3", "<", "4", ">=", "5", "=", "6", ";"]


def test_one_token():
    assert texts("x_2") == ["x_2"]
    assert texts("007") == ["007"]
    assert texts("; # the end") == [";"]


def test_strings():
    assert texts('"";"a b";"# c";') == ["", ";", "a b", ";", "# c", ";"]
    assert tokenize('\n"x"') == [Token("string", "x", 2)]


def test_no_end_of_string():
    try:
        tokenize('"abc')
    except ValueError:
        return
    assert False, "a string without an end was accepted"


def test_kinds():
    kinds = [token.kind for token in tokenize("while elsewhere < 10 { }")]
    assert kinds == ["keyword", "name", "operator", "number", "operator", "operator"]


def test_names():
    tokens = tokenize("let a = b; if (a) { b = _c; } else { }")
    assert [token.text for token in tokens if token.kind == "name"] == ["a", "b", "a", "b", "_c"]


def test_accept():
    stream = TokenStream("( )")
    assert not stream.accept(")")
    assert stream.accept("(")
    assert stream.accept(")")
    assert not stream.accept(")")
    assert stream.peek() is None


def test_nothing():
    assert tokenize(" \n\t ") == []
    assert TokenStream("").peek() is None
    assert statements(" ;; ") == []
