from lexer.scan import tokenize
from lexer.stream import TokenStream, statements


def test_operators():
    texts = [token.text for token in tokenize("12 <= (3 + 4);")]
    assert texts == ["12", "<=", "(", "3", "+", "4", ")", ";"]


def test_last_word():
    texts = [token.text for token in tokenize("price * 2 + tax")]
    assert texts == ["price", "*", "2", "+", "tax"]


def test_string():
    assert tokenize('"two words";')[0] == ("string", "two words", 1)


def test_keyword():
    assert tokenize("if (done)")[0].kind == "keyword"
    assert tokenize("size = 3;")[0].kind == "name"


def test_lines():
    lines = [token.line for token in tokenize("a;\n# remark\nb;\n")]
    assert lines == [1, 1, 3, 3]


def test_stream():
    stream = TokenStream("a;")
    assert stream.take() == "a"
    assert stream.accept(";")
    assert stream.peek() is None


def test_statements():
    assert statements("a = 1; b = a;") == [["a", "=", "1"], ["b", "=", "a"]]
