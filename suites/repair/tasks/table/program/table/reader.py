"""Reading tables from text with separated fields."""


def split_line(line, separator=","):
    """Split a line into fields; a field in double quotes may hold separators."""
    fields = []
    field = ""
    quoted = False
    for char in line:
        if char == '"':
            quoted = not quoted
        elif char == separator and not quoted:
            fields.append(field)
            field = ""
        else:
            field += char
    fields.append(field)
    return fields


def read_table(text, separator=","):
    """Return one dictionary for each line after the header."""
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        return []
    names = split_line(lines[0], separator)
    rows = []
    for line in lines[1:]:
        fields = split_line(line, separator)
        if len(fields) != len(names):
            raise ValueError(f"expected {len(names)} fields: {line}")
        rows.append(dict(zip(names, fields)))
    return rows
