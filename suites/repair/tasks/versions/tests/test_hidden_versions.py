from versions.compare import compare, is_compatible, latest
from versions.parse import parse, render
from versions.release import bump_major, bump_minor, bump_patch, upgrades


def test_there_and_back():
    for text in ("0.0.0", "1.2.3", "10.20.30"):
        assert render(parse(text)) == text


def test_too_many_parts():
    try:
        parse("1.2.3.4")
    except ValueError:
        return
    assert False, "four parts were accepted"


def test_compare_both_ways():
    texts = ["0.9", "1.0.0", "1.0.1", "1.2", "2"]
    for index, text in enumerate(texts):
        assert compare(text, text) == 0
        for newer in texts[index + 1 :]:
            assert compare(text, newer) == -1
            assert compare(newer, text) == 1


def test_latest_in_any_order():
    assert latest(["3.0", "2.0", "1.0"]) == "3.0"
    assert latest(["1.0", "2.0", "3.0"]) == "3.0"
    assert latest(["1.0", "1.0.0"]) == "1.0"
    assert latest([]) is None


def test_an_equal_version_is_compatible():
    assert is_compatible("1.4.2", "v1.4.2")
    assert not is_compatible("1.4.1", "1.4.2")


def test_bump_minor_from_zero():
    assert bump_minor("0.0.7") == "0.1.0"
    assert bump_minor("v3.9") == "3.10.0"


def test_bump_the_others():
    assert bump_major("0.9.9") == "1.0.0"
    assert bump_patch("2.9") == "2.9.1"


def test_nothing_newer():
    assert upgrades("2.0.0", ["2.0", "1.9.9"]) == []
    assert upgrades("0.1", ["0.2", "0.1", "0.0.9", "0.1.1"]) == ["0.2", "0.1.1"]
