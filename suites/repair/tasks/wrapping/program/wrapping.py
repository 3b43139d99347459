"""Breaking and arranging plain text."""


def wrap(text, width):
    """Return lines of at most `width` characters; a longer word gets a line of its own."""
    lines = []
    line = ""
    for word in text.split():
        if not line:
            line = word
        elif len(line) + 1 + len(word) <= width:
            line += " " + word
        else:
            lines.append(line)
            line = word
    if line:
        lines.append(line)
    return lines


def indent(lines, prefix="    "):
    return [prefix + line if line else line for line in lines]


def dedent(lines):
    """Take away the leading spaces that all lines have in common."""
    margin = None
    for line in lines:
        if not line.strip():
            continue
        spaces = len(line) - len(line.lstrip())
        if margin is None:
            margin = spaces
        margin = min(margin, spaces)
    if margin is None:
        return list(lines)
    return [line[margin:] for line in lines]


def shorten(text, width, ending="..."):
    """Cut the text so that it fits, ending included."""
    if len(text) <= width:
        return text
    return text[: width - len(ending)].rstrip() + ending


def justify(line, width):
    """Spread the words over the width; the first gaps take what is left over."""
    words = line.split()
    gaps = len(words) - 1
    if gaps < 1:
        return line
    spaces = width - sum(len(word) for word in words)
    share, extra = divmod(spaces, gaps)
    result = words[0]
    for index, word in enumerate(words[1:]):
        padding = share + 1 if index < extra else share
        result += " " * padding + word
    return result
