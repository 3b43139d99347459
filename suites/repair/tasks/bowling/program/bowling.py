"""Scores of ten-pin bowling, from the pins that fall with each roll."""

PINS = 10
FRAMES = 10


def parse(text):
    """Turn a score sheet such as 'X 9/ 4-' into a list of pins."""
    rolls = []
    for sign in text.replace(" ", ""):
        if sign == "X":
            rolls.append(PINS)
        elif sign == "/":
            rolls.append(PINS - rolls[-1])
        elif sign == "-":
            rolls.append(0)
        else:
            rolls.append(int(sign))
    return rolls


def is_strike(rolls, start):
    return rolls[start] == PINS


def is_spare(rolls, start):
    return not is_strike(rolls, start) and sum(rolls[start : start + 2]) == PINS


def frame_starts(rolls):
    """Return at which roll each frame starts."""
    starts = []
    position = 0
    while position < len(rolls) and len(starts) < FRAMES:
        starts.append(position)
        position += 1 if is_strike(rolls, position) else 2
    return starts


def frame_score(rolls, start):
    """Return the points of a frame, with the bonus for a strike or a spare."""
    if is_strike(rolls, start) or is_spare(rolls, start):
        return sum(rolls[start : start + 3])
    return sum(rolls[start : start + 2])


def totals(rolls):
    """Return what the score is after each frame."""
    result = []
    total = 0
    for start in frame_starts(rolls):
        total += frame_score(rolls, start)
        result.append(total)
    return result


def score(rolls):
    """Return the score of the whole game."""
    return sum(frame_score(rolls, start) for start in frame_starts(rolls))


def strikes(rolls):
    """Count the frames that begin with a strike."""
    return sum(is_strike(rolls, start) for start in frame_starts(rolls))
