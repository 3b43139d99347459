"""The words by which a text names a kind of mistake."""

import re

PHRASES: dict[str, tuple[str, ...]] = {
    "comparison": (
        "comparison",
        "comparisons",
        "boundary",
        "boundaries",
        "inclusive",
        "exclusive",
        "strictly",
    ),
    "operator": ("operator", "operators", "arithmetic", "wrong sign", "plus and minus", "and/or"),
    "constant": ("constant", "constants", "magic number", "literal", "wrong number", "initial value"),
    "off-by-one": ("off-by-one", "off by one", "fencepost", "one too many", "one too few", "one short"),
    "negation": ("negation", "negated", "inverted", "opposite condition", "missing not"),
    "name": ("wrong name", "wrong variable", "variable name", "mixed-up names", "similar names"),
    "attribute": ("wrong attribute", "attribute", "attributes", "wrong field", "wrong method"),
    "arguments": ("argument order", "arguments", "swapped arguments", "operand order", "swapped operands"),
    "builtin": ("builtin", "built-in", "look-alike", "min and max", "wrong function"),
    "return": ("return value", "wrong result", "returned value", "missing return"),
    "guard": ("guard", "guards", "empty input", "edge case", "edge cases", "early return"),
    "statement": ("statement order", "swapped statements", "indentation", "wrong block", "duplicated line"),
    "missing": ("missing statement", "missing line", "forgotten", "not reset", "missing update"),
}
_PATTERNS = {
    kind: re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, phrases)) + r")(?![\w-])", re.IGNORECASE)
    for kind, phrases in PHRASES.items()
}


def named_in(text: str) -> frozenset[str]:
    """Kinds of mistakes that a text names. Whether it calls them likely is beyond the model."""
    return frozenset(kind for kind, pattern in _PATTERNS.items() if pattern.search(text))
