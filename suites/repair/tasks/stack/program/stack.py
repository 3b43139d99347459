"""A bounded stack and a few things to do with one."""

OPENING = {")": "(", "]": "[", "}": "{"}


class StackError(Exception):
    """Raised when a stack is full or empty."""


class Stack:
    """A last-in, first-out stack that holds at most `capacity` items."""

    def __init__(self, capacity=10):
        self.capacity = capacity
        self.items = []

    def __len__(self):
        return len(self.items)

    def is_empty(self):
        return len(self.items) == 0

    def is_full(self):
        return len(self.items) >= self.capacity

    def push(self, item):
        if self.is_full():
            raise StackError("stack is full")
        self.items.append(item)

    def pop(self):
        if self.is_empty():
            raise StackError("stack is empty")
        return self.items.pop()

    def peek(self):
        if self.is_empty():
            raise StackError("stack is empty")
        return self.items[-1]

    def drop(self, count):
        """Remove up to `count` items and return them, the newest first."""
        dropped = []
        while count > 0 and not self.is_empty():
            dropped.append(self.pop())
            count -= 1
        return dropped


def is_balanced(text):
    """Tell whether every bracket in `text` is closed, and in the right order."""
    stack = Stack(len(text))
    for char in text:
        if char in OPENING.values():
            stack.push(char)
        elif char in OPENING:
            if stack.is_empty() or stack.pop() != OPENING[char]:
                return False
    return stack.is_empty()


def backwards(items):
    """Return the items in reverse order."""
    stack = Stack(len(items))
    for item in items:
        stack.push(item)
    result = []
    while not stack.is_empty():
        result.append(stack.pop())
    return result
