from trie.search import collect, complete, count_words, longest_word
from trie.tree import Trie


def test_words_within_words():
    trie = Trie(["tea", "teapot", "ten"])
    assert [word for word in ("te", "tea", "teap", "teapot", "ten", "tent") if trie.contains(word)] == [
        "tea",
        "teapot",
        "ten",
    ]


def test_remove_what_is_not_there():
    trie = Trie(["tea"])
    for word in ("te", "coffee"):
        try:
            trie.remove(word)
        except KeyError:
            continue
        assert False, f"{word} was removed"


def test_alphabetical_order():
    assert collect(Trie(["b", "ab", "a", "ba"]).root) == ["a", "ab", "b", "ba"]
    assert collect(Trie(["z"]).root, "quiz") == ["quizz"]


def test_limit():
    trie = Trie(["one", "only", "on"])
    assert complete(trie, "on", 2) == ["on", "one"]
    assert complete(trie, "onl") == ["only"]


def test_repeated_words_count_once():
    trie = Trie(["so", "so", "sow"])
    assert count_words(trie.root) == 2
    assert count_words(Trie().root) == 0


def test_longest_word_in_a_text():
    trie = Trie(["a", "an", "anthem"])
    assert longest_word(trie, "anther") == "an"
    assert longest_word(trie, "apple") == "a"
    assert longest_word(trie, "anthem") == "anthem"


def test_letters_can_be_missing():
    assert longest_word(Trie(), "x") == ""
    assert not Trie().contains("x")
