"""See which files there are."""

description = "List the files of the workspace with their lengths; those that may be edited are marked."
parameters = {
    "type": "object",
    "properties": {"folder": {"type": "string", "description": "Only what lies below it; all if left out."}},
}
MOST = 200


def call(run, arguments):
    """The files below a folder, a line each."""
    folder = run.path(arguments.get("folder", "."))
    paths = [p for p in run.workspace.files() if folder == "." or p.startswith(f"{folder}/")]
    lines = [f"{len(paths)} files" + ("" if folder == "." else f" below {folder}")]
    for path in paths[:MOST]:
        mark = ", may be edited" if path in run.task.solution_files else ""
        lines.append(f"{path}: {len(run.workspace.read(path).splitlines())} lines{mark}")
    if len(paths) > MOST:
        lines.append(f"[{len(paths) - MOST} more are left out: ask for a folder]")
    return "\n".join(lines)
