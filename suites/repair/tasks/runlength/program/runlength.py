"""Run-length coding of text."""


def encode(text):
    """Return (character, count) pairs, one for each run."""
    runs = []
    previous = None
    count = 0
    for char in text:
        if char == previous:
            count += 1
        else:
            if previous is not None:
                runs.append((previous, count))
            previous = char
            count = 1
    if previous is not None:
        runs.append((previous, count))
    return runs


def decode(runs):
    return "".join(char * count for char, count in runs)


def pack(text):
    """Write each run as its length and its character; a length of 1 is left out."""
    result = ""
    for char, count in encode(text):
        if count > 1:
            result += str(count)
        result += char
    return result


def unpack(packed):
    """Undo `pack`."""
    result = ""
    digits = ""
    for char in packed:
        if char.isdigit():
            digits += char
        else:
            count = int(digits) if digits else 1
            result += char * count
            digits = ""
    return result


def longest_run(text):
    """Return the first of the longest runs as (character, count)."""
    best = ("", 0)
    for char, count in encode(text):
        if count > best[1]:
            best = (char, count)
    return best


def saved(text):
    """Return how many characters packing saves."""
    return len(text) - len(pack(text))
