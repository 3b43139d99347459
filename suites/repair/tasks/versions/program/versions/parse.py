"""Version numbers as text and as tuples."""


def parse(text):
    """Turn '1.4.2' or 'v1.4' into three numbers; missing ones are 0."""
    if text.startswith("v"):
        text = text[1:]
    numbers = [int(part) for part in text.split(".")]
    if len(numbers) > 3:
        raise ValueError(f"too many parts: {text}")
    while len(numbers) < 3:
        numbers.append(0)
    return tuple(numbers)


def render(numbers):
    return ".".join(str(number) for number in numbers)
