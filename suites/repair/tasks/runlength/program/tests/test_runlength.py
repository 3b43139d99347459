from runlength import decode, encode, longest_run, pack, unpack


def test_encode_one_run():
    assert encode("aaaa") == [("a", 4)]


def test_encode_several_runs():
    assert encode("aaabbc") == [("a", 3), ("b", 2), ("c", 1)]


def test_decode():
    assert decode([("a", 3), ("b", 1)]) == "aaab"


def test_pack():
    assert pack("aaabccc") == "3ab3c"


def test_unpack():
    assert unpack("12a") == "aaaaaaaaaaaa"


def test_unpack_several_runs():
    assert unpack("3a2bc") == "aaabbc"


def test_longest_run():
    assert longest_run("") == ("", 0)
    assert longest_run("aabbbc") == ("b", 3)
