"""Find a text in the files."""

description = "Find a text, which is no pattern, in the workspace: path, line number and line of each place."
parameters = {
    "type": "object",
    "properties": {
        "text": {"type": "string"},
        "path": {"type": "string", "description": "A file or folder; everywhere if left out."},
    },
    "required": ["text"],
}
MOST = 60
WIDE = 200


def call(run, arguments):
    """The lines that hold the text; if there is none, those that hold it in other letters."""
    wanted = arguments["text"]
    if not wanted.strip():
        return "search: `text` is empty"
    within = run.path(arguments.get("path", "."))
    paths = [p for p in run.workspace.files() if within in (".", p) or p.startswith(f"{within}/")]
    places = [
        (path, number, line)
        for path in paths
        for number, line in enumerate(run.workspace.read(path).split("\n"), 1)
        if wanted.lower() in line.lower()
    ]
    exact = [place for place in places if wanted in place[2]]
    found = exact or places
    lines = [f"{len(found)} places in {len({path for path, _, _ in found})} of {len(paths)} files"]
    if found and not exact:
        lines[0] += ", small and capital letters taken alike"
    lines += [f"{path}:{number}: {line.strip()[:WIDE]}" for path, number, line in found[:MOST]]
    if len(found) > MOST:
        lines.append(f"[{len(found) - MOST} more are left out: say more of the text, or a path]")
    return "\n".join(lines)
