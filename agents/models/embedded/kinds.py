"""The words by which a text names a kind of mistake."""

import re

PHRASES: dict[str, tuple[str, ...]] = {
    "comparison": (
        "comparison", "comparisons", "boundary", "boundaries", "inclusive", "exclusive", "strictly", "less or equal",
    ),
    "operator": (
        "operator", "operators", "arithmetic", "wrong sign", "plus and minus", "precedence", "parentheses",
        "augmented assignment",
    ),
    "boolean operator": (
        "boolean operator", "boolean operators", "logical operator", "logical operators", "and/or", "and instead of or",
        "or instead of and", "combined conditions",
    ),
    "negation": ("negation", "negated", "inverted", "opposite condition", "missing not"),
    "constant": ("constant", "constants", "magic number", "literal", "wrong number", "separator"),
    "off-by-one": (
        "off-by-one", "off by one", "fencepost", "one too many", "one too few", "one short", "one too far",
    ),
    "slice": ("slice", "slices", "slicing", "sublist", "substring"),
    "name": ("wrong name", "wrong variable", "variable name", "mixed-up names", "similar names", "mixed up variables"),
    "attribute": ("wrong attribute", "attribute", "attributes", "wrong field"),
    "arguments": (
        "argument order", "arguments", "swapped arguments", "operand order", "swapped operands", "order of arguments",
    ),
    "wrong call": (
        "wrong call", "wrong function", "wrong method", "built-in", "builtin", "look-alike", "conversion",
        "conversions", "missing copy", "aliasing",
    ),
    "return": ("return value", "return values", "returned value", "wrong result", "wrong return", "returned"),
    "initial value": (
        "initial value", "initial values", "initialized", "initialization", "starting value", "starts with",
    ),
    "mutable default": ("mutable default", "mutable defaults", "default argument", "default arguments", "shared list"),
    "missing guard": (
        "missing guard", "guard", "guards", "empty input", "edge case", "edge cases", "early return", "missing check",
        "invalid input",
    ),
    "wrong guard": ("wrong guard", "guard", "guards", "wrong condition", "early exit", "wrong check"),
    "base case": ("base case", "base cases", "recursion", "recursive"),
    "swapped branches": ("swapped branches", "branches", "branch", "else branch", "elif", "order of conditions"),
    "exception": ("exception", "exceptions", "except clause", "error type", "wrong error", "raised"),
    "moved statement": (
        "moved statement", "statement order", "order of statements", "swapped statements", "indentation", "wrong block",
        "outside the loop", "inside the loop", "too early", "too late",
    ),
    "doubled statement": (
        "doubled statement", "duplicated line", "duplicate line", "duplicate statement", "stands twice", "done twice",
        "counted twice",
    ),
    "extra statement": ("extra statement", "superfluous", "unneeded", "should not be there", "extra line"),
    "missing statement": (
        "missing statement", "missing line", "is missing", "forgotten", "not reset", "missing update", "never updated",
        "lost statement", "missing return",
    ),
}  # fmt: skip
_PATTERNS = {
    kind: re.compile(r"(?<![\w-])(?:" + "|".join(map(re.escape, phrases)) + r")(?![\w-])", re.IGNORECASE)
    for kind, phrases in PHRASES.items()
}


def named_in(text: str) -> frozenset[str]:
    """Kinds of mistakes that a text names. Whether it calls them likely is beyond the model."""
    return frozenset(kind for kind, pattern in _PATTERNS.items() if pattern.search(text))
