"""Turns the text of a value into what it stands for."""

WORDS = {"yes": True, "on": True, "no": False, "off": False, "none": None}
UNITS = {"k": 1024, "m": 1024 * 1024}


def parse_value(text):
    """Return a list, a truth value, a number, or the text itself."""
    if "," in text:
        return [parse_value(part.strip()) for part in text.split(",")]
    if text.lower() in WORDS:
        return WORDS[text.lower()]
    try:
        return int(text)
    except ValueError:
        return text


def parse_size(text):
    """Return the number of bytes for texts such as '512', '4k' or '2M'."""
    unit = text[-1].lower()
    if unit in UNITS:
        return int(text[:-1]) * UNITS[unit]
    return int(text)
