"""Settings in sections, as they stand in a file."""

from settingsfile.values import parse_size, parse_value


class SettingsError(Exception):
    """Raised for a line that makes no sense."""


def parse(text):
    """Return the sections by name; what stands before the first one is in section ''."""
    sections = {"": {}}
    current = sections[""]
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        if line.startswith("[") and line.endswith("]"):
            current = sections.setdefault(line[1:-1].strip(), {})
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise SettingsError(f"line {number} has no value")
        current[key.strip()] = parse_value(value.strip())
    return sections


def merge(base, changes):
    """Return the sections of both; where they differ, the changes win."""
    merged = {section: dict(values) for section, values in base.items()}
    for section, values in changes.items():
        merged.setdefault(section, {}).update(values)
    return merged


class Settings:
    def __init__(self, text, defaults=""):
        self.sections = merge(parse(defaults), parse(text))

    def get(self, name, default=None):
        """Return the value of a 'section.key' or a 'key', or else the default."""
        section, _, key = name.rpartition(".")
        try:
            return self.sections[section][key]
        except KeyError:
            return default

    def size(self, name):
        return parse_size(str(self.get(name, 0)))
