from runlength import decode, encode, longest_run, pack, saved, unpack

TEXTS = ["", "a", "ab", "aab", "abb", "mississippi", "x" * 120 + "y", "  two  spaces  "]


def test_decode_undoes_encode():
    for text in TEXTS:
        assert decode(encode(text)) == text


def test_unpack_undoes_pack():
    for text in TEXTS:
        assert unpack(pack(text)) == text


def test_counts_of_runs():
    assert [count for _, count in encode("abbcccdddd")] == [1, 2, 3, 4]


def test_neighbors_differ():
    chars = [char for char, _ in encode("aabbaabbc")]
    assert chars == ["a", "b", "a", "b", "c"]


def test_nothing():
    assert encode("") == []
    assert decode([]) == ""
    assert pack("") == ""
    assert unpack("") == ""


def test_unpack_long_and_short_runs():
    assert unpack("2a10b1c") == "aa" + "b" * 10 + "c"
    assert unpack("xyz") == "xyz"


def test_longest_of_equal_runs():
    assert longest_run("abbccd") == ("b", 2)
    assert longest_run("abbb") == ("b", 3)


def test_saved():
    assert saved("aaaa") == 2
    assert saved("abc") == 0
