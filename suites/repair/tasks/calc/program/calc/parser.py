"""Evaluates expressions by recursive descent."""

from calc.scanner import scan


class Parser:
    """Walks over tokens and computes while it goes."""

    def __init__(self, tokens):
        self.tokens = tokens
        self.position = 0

    def peek(self):
        if self.position < len(self.tokens):
            return self.tokens[self.position]
        return None

    def advance(self):
        token = self.peek()
        self.position += 1
        return token

    def expression(self):
        value = self.term()
        while self.peek() in ("+", "-"):
            if self.advance() == "+":
                value += self.term()
            else:
                value -= self.term()
        return value

    def term(self):
        value = self.factor()
        while self.peek() in ("*", "/"):
            if self.advance() == "*":
                value *= self.factor()
            else:
                value /= self.factor()
        return value

    def factor(self):
        token = self.advance()
        if token == "-":
            return -self.factor()
        if token == "(":
            value = self.expression()
            if self.advance() != ")":
                raise ValueError("missing closing bracket")
            return value
        if not isinstance(token, float):
            raise ValueError("expected a number")
        return token


def evaluate(text):
    """Return the value of an expression."""
    parser = Parser(scan(text))
    value = parser.expression()
    if parser.peek() is not None:
        raise ValueError("unexpected text after the expression")
    return value
