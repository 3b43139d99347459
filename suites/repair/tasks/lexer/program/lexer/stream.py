"""Reads tokens one after the other."""

from lexer.scan import tokenize


class TokenStream:
    def __init__(self, text):
        self.tokens = tokenize(text)
        self.position = 0

    def peek(self):
        """Return the text of the next token, or None at the end."""
        if self.position < len(self.tokens):
            return self.tokens[self.position].text
        return None

    def take(self):
        text = self.peek()
        self.position += 1
        return text

    def accept(self, text):
        """Skip the next token if it reads like this, and tell whether it did."""
        if self.peek() != text:
            return False
        self.position += 1
        return True


def statements(text):
    """Return the statements as lists of words, cut at the semicolons."""
    stream = TokenStream(text)
    found = [[]]
    while stream.peek() is not None:
        if stream.accept(";"):
            found.append([])
        else:
            found[-1].append(stream.take())
    return [statement for statement in found if statement]
