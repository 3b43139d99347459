from stack import Stack, StackError, backwards, is_balanced


def test_push_and_pop():
    stack = Stack()
    stack.push("a")
    stack.push("b")
    assert stack.pop() == "b"
    assert stack.pop() == "a"


def test_peek_keeps_the_item():
    stack = Stack()
    stack.push(7)
    assert stack.peek() == 7
    assert len(stack) == 1


def test_a_full_stack_refuses():
    stack = Stack(capacity=2)
    stack.push(1)
    stack.push(2)
    try:
        stack.push(3)
    except StackError:
        return
    assert False, "a third item was accepted"


def test_drop():
    stack = Stack()
    for item in range(5):
        stack.push(item)
    assert stack.drop(2) == [4, 3]
    assert len(stack) == 3


def test_balanced():
    assert is_balanced("f(a[1], {})")
    assert not is_balanced("f(a[1)]")


def test_backwards():
    assert backwards("abc") == ["c", "b", "a"]
