"""Writing tables as text with separated fields."""


def format_field(value, separator=","):
    text = str(value)
    if separator in text:
        return f'"{text}"'
    return text


def format_line(values, separator=","):
    return separator.join(format_field(value, separator) for value in values)


def write_table(rows, separator=","):
    """Return the rows as text, with a header line of their names."""
    if not rows:
        return ""
    names = list(rows[0])
    lines = [format_line(names, separator)]
    for row in rows:
        lines.append(format_line([row[name] for name in names], separator))
    return "\n".join(lines) + "\n"
