from stack import Stack, StackError, backwards, is_balanced


def filled(count, capacity):
    stack = Stack(capacity)
    for item in range(count):
        stack.push(item)
    return stack


def test_full_at_capacity_only():
    assert not filled(2, 3).is_full()
    assert filled(3, 3).is_full()


def test_a_stack_without_room():
    stack = Stack(0)
    assert stack.is_empty()
    try:
        stack.push(1)
    except StackError as error:
        assert str(error) == "stack is full"
    else:
        assert False, "an item was accepted"


def test_room_again_after_pop():
    stack = filled(3, 3)
    assert stack.pop() == 2
    stack.push(9)
    assert stack.peek() == 9
    assert stack.is_full()


def test_drop_more_than_there_is():
    stack = filled(3, 5)
    assert stack.drop(10) == [2, 1, 0]
    assert stack.is_empty()
    assert stack.drop(1) == []


def test_drop_nothing():
    stack = filled(3, 5)
    assert stack.drop(0) == []
    assert len(stack) == 3


def test_pop_and_peek_of_an_empty_stack():
    for method in (Stack().pop, Stack().peek):
        try:
            method()
        except StackError:
            continue
        assert False, "an empty stack gave an item"


def test_unclosed_and_unopened_brackets():
    assert is_balanced("")
    assert is_balanced("[(){}]")
    assert not is_balanced("]")
    assert not is_balanced("((")
    assert not is_balanced("())")
    assert not is_balanced("{]")


def test_backwards_of_nothing():
    assert backwards([]) == []
    assert backwards([1, 2]) == [2, 1]
