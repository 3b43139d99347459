"""A tree of letters that holds words."""


class Node:
    def __init__(self):
        self.children = {}
        self.is_word = False


class Trie:
    def __init__(self, words=()):
        self.root = Node()
        for word in words:
            self.add(word)

    def add(self, word):
        node = self.root
        for letter in word:
            if letter not in node.children:
                node.children[letter] = Node()
            node = node.children[letter]
        node.is_word = True

    def find(self, prefix):
        """Return the node where the prefix ends, or None."""
        node = self.root
        for letter in prefix:
            if letter not in node.children:
                return None
            node = node.children[letter]
        return node

    def contains(self, word):
        node = self.find(word)
        return node is not None and node.is_word

    def remove(self, word):
        if not self.contains(word):
            raise KeyError(word)
        self.find(word).is_word = False
