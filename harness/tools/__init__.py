"""Tools: what a model may call.

A tool is a module with `description`, `parameters` (a JSON Schema of type object) and `call(run, arguments)`, which
returns what the model is told, or None where it has said so itself. The module's name is the tool's. With
`offered(run)` it says whether the model is to know of it.
"""

import importlib

KINDS = {
    "string": (str, "a text"),
    "integer": (int, "a whole number"),
    "boolean": (bool, "true or false"),
}


class Tools:
    """Some tools, in their order."""

    def __init__(self, names):
        self.modules = {name: importlib.import_module(f"tools.{name}") for name in names}

    def offered(self, run):
        """The tools as the model is told of them."""
        return [
            {"name": name, "description": tool.description, "parameters": tool.parameters}
            for name, tool in self.modules.items()
            if not hasattr(tool, "offered") or tool.offered(run)
        ]

    def use(self, run, call):
        """Do what a call asks for, and answer it."""
        run.call = call["id"]
        tool = self.modules.get(call["name"])
        if tool is None:
            run.answer(f"there is no tool {call['name'][:80]!r}; there are {', '.join(self.modules)}")
            return
        arguments, wrong = read_arguments(call["arguments"], tool.parameters)
        said = f"{call['name']}: {wrong}; nothing was done" if wrong else tool.call(run, arguments)
        if said is not None:
            run.answer(said)


def read_arguments(given, parameters):
    """A call's arguments as the schema has them, and what is wrong with them; what it does not name is left out."""
    found = {}
    for name, schema in parameters["properties"].items():
        if given.get(name) is None:
            if name in parameters.get("required", ()):
                return {}, f"`{name}` is missing"
            continue
        kind, word = KINDS[schema["type"]]
        value = given[name]
        if kind is int and not isinstance(value, bool):
            value = _number(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            return {}, f"`{name}` is to be {word}, not {given[name]!r:.80}"
        found[name] = value
    return found, ""


def _number(value):
    """A whole number that was written as a text or with a point."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        return int(value.strip()[:9])
    return value
