"""Cuts the text of an expression into tokens."""

OPERATORS = "+-*/()"


def scan(text):
    """Return the tokens: numbers as floats, operators and brackets as strings."""
    tokens = []
    position = 0
    while position < len(text):
        char = text[position]
        if char.isspace():
            position += 1
        elif char.isdigit():
            start = position
            while position < len(text) and (text[position].isdigit() or text[position] == "."):
                position += 1
            tokens.append(float(text[start:position]))
        elif char in OPERATORS:
            tokens.append(char)
            position += 1
        else:
            raise ValueError(f"unexpected {char!r}")
    return tokens
