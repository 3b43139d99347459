from versions.compare import compare, is_compatible, latest
from versions.parse import parse
from versions.release import bump_major, bump_minor, bump_patch, upgrades


def test_parse():
    assert parse("1.4.2") == (1, 4, 2)
    assert parse("v2") == (2, 0, 0)


def test_compare():
    assert compare("1.10.0", "1.9.0") == 1
    assert compare("1.0", "1.0.1") == -1
    assert compare("1.0", "1.0.0") == 0


def test_latest():
    assert latest(["1.2.0", "1.10.0", "1.9.9"]) == "1.10.0"


def test_compatible():
    assert is_compatible("1.5.0", "1.4.2")
    assert not is_compatible("2.0.0", "1.4.2")


def test_bump():
    assert bump_patch("1.4.2") == "1.4.3"
    assert bump_major("1.4.2") == "2.0.0"


def test_bump_minor():
    assert bump_minor("1.4.2") == "1.5.0"


def test_upgrades():
    assert upgrades("1.3.0", ["1.2.0", "1.3.1", "2.0.0"]) == ["1.3.1", "2.0.0"]
