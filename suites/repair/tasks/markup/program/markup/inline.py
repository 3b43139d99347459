"""Marks within a line: `code`, **strong** and *emphasized* text, and [links](target)."""


def escape(text):
    """Protect the characters that mean something in HTML."""
    text = text.replace("&", "&amp;")
    text = text.replace("<", "&lt;")
    text = text.replace(">", "&gt;")
    return text


def wrap(tag, content):
    return f"<{tag}>{content}</{tag}>"


def replace_pairs(text, mark, tag):
    """Put what stands between two marks into a tag; do nothing if a mark has no partner."""
    pieces = text.split(mark)
    if len(pieces) % 2 == 0:
        return text
    for index in range(1, len(pieces), 2):
        pieces[index] = wrap(tag, pieces[index])
    return "".join(pieces)


def replace_links(text):
    start = text.find("[")
    middle = text.find("](", start)
    end = text.find(")", middle)
    if start < 0 or middle < 0 or end < 0:
        return text
    link = f'<a href="{text[middle + 2 : end]}">{text[start + 1 : middle]}</a>'
    return text[:start] + link + replace_links(text[end + 1 :])


def render_line(text):
    text = escape(text)
    text = replace_pairs(text, "`", "code")
    text = replace_pairs(text, "**", "strong")
    text = replace_pairs(text, "*", "em")
    return replace_links(text)
