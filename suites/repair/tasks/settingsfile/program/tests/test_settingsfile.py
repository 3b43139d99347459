from settingsfile.store import Settings, SettingsError, merge, parse
from settingsfile.values import parse_size, parse_value


def test_numbers_and_truth():
    assert parse_value("42") == 42
    assert parse_value("Yes") is True
    assert parse_value("1, 2, off") == [1, 2, False]


def test_words_stay_text():
    assert parse_value("dark") == "dark"


def test_size():
    assert parse_size("512") == 512
    assert parse_size("4k") == 4096


def test_parse():
    assert parse("# all\na = 1\n\n[net]\nport = 80\n") == {"": {"a": 1}, "net": {"port": 80}}


def test_line_without_value():
    try:
        parse("a = 1\nb\n")
    except SettingsError as error:
        assert "line 2" in str(error)
        return
    assert False, "a line without a value was accepted"


def test_merge():
    assert merge({"net": {"port": 80}}, {"net": {"port": 90}}) == {"net": {"port": 90}}


def test_missing_setting():
    settings = Settings("", defaults="[net]\nport = 80\n")
    assert settings.get("net.port") == 80
    assert settings.get("net.host") is None
    assert settings.get("disk.size", 7) == 7
