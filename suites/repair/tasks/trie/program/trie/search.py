"""What can be asked of a tree of letters."""


def collect(node, prefix="", found=None):
    """Return the words below a node in alphabetical order."""
    if found is None:
        found = []
    if node.is_word:
        found.append(prefix)
    for letter in sorted(node.children):
        collect(node.children[letter], prefix + letter, found)
    return found


def complete(trie, prefix, limit=10):
    """Return the first words that begin with the prefix."""
    node = trie.find(prefix)
    if node is None:
        return []
    return collect(node, prefix)[:limit]


def count_words(node):
    total = 1 if node.is_word else 0
    for child in node.children.values():
        total += count_words(child)
    return total


def longest_word(trie, text):
    """Return the longest word that the text begins with."""
    best = ""
    node = trie.root
    for position, letter in enumerate(text):
        if letter not in node.children:
            break
        node = node.children[letter]
        if node.is_word:
            best = text[: position + 1]
    return best
