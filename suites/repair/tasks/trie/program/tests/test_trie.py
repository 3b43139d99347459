from trie.search import complete, count_words, longest_word
from trie.tree import Trie


def test_contains():
    trie = Trie(["car", "cat"])
    assert trie.contains("cat")
    assert not trie.contains("ca")
    assert not trie.contains("dog")


def test_remove():
    trie = Trie(["car", "card"])
    trie.remove("car")
    assert not trie.contains("car")
    assert trie.contains("card")


def test_complete():
    trie = Trie(["dog", "cat", "car"])
    assert complete(trie, "ca") == ["car", "cat"]
    assert complete(trie, "d") == ["dog"]


def test_nothing_to_complete():
    assert complete(Trie(), "a") == []


def test_count_words():
    assert count_words(Trie(["a", "ab", "b"]).root) == 3


def test_longest_word():
    assert longest_word(Trie(["in", "inn"]), "inner") == "inn"


def test_no_word_fits():
    assert longest_word(Trie(), "out") == ""
