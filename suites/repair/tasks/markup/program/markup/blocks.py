"""Headings, lists and paragraphs, with empty lines between them."""

from markup.inline import render_line, wrap


def split_blocks(text):
    """Return the lines of each block."""
    blocks = []
    current = []
    for line in text.splitlines():
        if line.strip():
            current.append(line.strip())
        elif current:
            blocks.append(current)
            current = []
    if current:
        blocks.append(current)
    return blocks


def heading_level(text):
    """Return 2 for '## Title' and so on, and 0 for a text that is no heading."""
    marks, _, _ = text.partition(" ")
    if marks.strip("#") or len(marks) > 6:
        return 0
    return len(marks)


def render_block(lines):
    text = " ".join(lines)
    level = heading_level(text)
    if level > 0:
        return wrap(f"h{level}", render_line(text[level:].strip()))
    if all(line.startswith("- ") for line in lines):
        items = [wrap("li", render_line(line[2:])) for line in lines]
        return wrap("ul", "".join(items))
    return wrap("p", render_line(text))


def render(text):
    """Return the HTML of a whole document."""
    return "\n".join(render_block(lines) for lines in split_blocks(text))
