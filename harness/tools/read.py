"""Read a file, or some lines of it."""

description = "Show lines of a file with their numbers, which are no part of the text."
parameters = {
    "type": "object",
    "properties": {
        "path": {"type": "string"},
        "first": {"type": "integer", "minimum": 1, "description": "1 if left out."},
        "last": {"type": "integer", "minimum": 1, "description": "The end of the file if left out."},
    },
    "required": ["path"],
}
WIDE = 500


def call(run, arguments):
    """Numbered lines, as many as an answer can hold."""
    path = run.path(arguments["path"])
    if path not in run.workspace.files():
        return f"there is no file {arguments['path'][:200]!r} here: `list_files` shows what there is"
    lines = run.workspace.read(path).removesuffix("\n").split("\n")
    first = max(1, arguments.get("first", 1))
    last = min(len(lines), arguments.get("last", len(lines)))
    room = run.limits["answer"] - 200
    shown = []
    for number in range(first, last + 1):
        line = lines[number - 1]
        more = f" [… {len(line) - WIDE} more characters]" if len(line) > WIDE else ""
        shown.append(f"{number}\t{line[:WIDE]}{more}")
        room -= len(shown[-1]) + 1
        if room < 0 and number < last:
            shown.append(f"[lines {number + 1}-{last} are left out: read them from first = {number + 1}]")
            break
    return "\n".join([f"{path}, {len(lines)} lines, from {first} on", *shown])
