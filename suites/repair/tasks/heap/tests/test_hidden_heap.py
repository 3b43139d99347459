from heap import Heap, drain, first_of, heap_sort


def test_sort_ordered_values():
    assert heap_sort(range(10)) == list(range(10))
    assert heap_sort(range(12, 0, -1)) == list(range(1, 13))


def test_sort_shuffled_values():
    values = [(number * 7) % 23 for number in range(23)]
    assert heap_sort(values) == sorted(values)


def test_parents_are_never_larger():
    heap = Heap()
    for number in [9, 4, 7, 1, 8, 2, 6, 3, 5, 0]:
        heap.push(number, str(number))
        priorities = [priority for priority, _ in heap.entries]
        for index in range(1, len(priorities)):
            assert priorities[(index - 1) // 2] <= priorities[index]


def test_pop_and_push_in_turn():
    heap = Heap([(6, "f"), (2, "b"), (4, "d"), (3, "c"), (5, "e")])
    assert heap.pop() == "b"
    heap.push(1, "a")
    assert heap.pop() == "a"
    assert drain(heap) == ["c", "d", "e", "f"]


def test_equal_priorities():
    heap = Heap([(1, "x"), (1, "x"), (1, "x")])
    assert drain(heap) == ["x", "x", "x"]


def test_more_asked_for_than_there_is():
    assert first_of([(2, "b"), (1, "a")], 5) == ["a", "b"]
    assert first_of([], 3) == []


def test_nothing_to_sort():
    assert heap_sort([]) == []
    assert heap_sort([3]) == [3]


def test_nothing_to_look_at():
    heap = Heap([(3, "sweep")])
    heap.pop()
    assert heap.peek() is None
