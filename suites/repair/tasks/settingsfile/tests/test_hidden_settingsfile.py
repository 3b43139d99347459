from settingsfile.store import Settings, SettingsError, merge, parse
from settingsfile.values import parse_size, parse_value


def test_words_in_lists():
    assert parse_value("red, 3, ON") == ["red", 3, True]
    assert parse_value("1.5") == "1.5"
    assert parse_value("") == ""


def test_sizes():
    assert [parse_size(text) for text in ("0", "1K", "2m", "10k")] == [0, 1024, 2097152, 10240]


def test_sections_are_taken_up_again():
    text = "[a]\nx = 1\n[ b ]\ny = none\n[a]\nz = -3\n"
    assert parse(text) == {"": {}, "a": {"x": 1, "z": -3}, "b": {"y": None}}


def test_only_the_first_sign_counts():
    assert parse("sum=1,2\n  # remark = 3\n") == {"": {"sum": [1, 2]}}


def test_heading_without_end():
    try:
        parse("[net\n")
    except SettingsError:
        return
    assert False, "half a heading was accepted"


def test_merge_leaves_both_alone():
    base, changes = {"a": {"x": 1, "y": 2}}, {"a": {"y": 3}, "b": {"z": 4}}
    assert merge(base, changes) == {"a": {"x": 1, "y": 3}, "b": {"z": 4}}
    assert base == {"a": {"x": 1, "y": 2}}
    assert changes == {"a": {"y": 3}, "b": {"z": 4}}


def test_get():
    settings = Settings("", defaults="debug = no\n[a.b]\nx = 5\n")
    assert settings.get("debug", True) is False
    assert settings.get("a.b.x") == 5
    assert settings.get("a.x", "none") == "none"
    assert settings.get("x") is None


def test_size_of_a_setting():
    settings = Settings("[cache]\nlimit = 300\n")
    assert settings.size("cache.limit") == 300
