"""The next version, and the ones that are worth an upgrade."""

from versions.compare import compare
from versions.parse import parse, render


def bump_major(text):
    major, _, _ = parse(text)
    return render((major + 1, 0, 0))


def bump_minor(text):
    major, minor, _ = parse(text)
    return render((major, minor + 1, 0))


def bump_patch(text):
    major, minor, patch = parse(text)
    return render((major, minor, patch + 1))


def upgrades(installed, texts):
    """Return the versions that are newer than the installed one."""
    return [text for text in texts if compare(text, installed) > 0]
