"""Read a skill."""

description = "Read one of the skills that the instructions name."
parameters = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


def offered(run):
    """Only where there are any."""
    return bool(run.skills)


def call(run, arguments):
    """The skill's text."""
    name = arguments["name"].strip()
    if name not in run.skills:
        return f"there is no skill {name[:80]!r}; there are {', '.join(run.skills) or 'none'}"
    return run.skills[name].read_text()
