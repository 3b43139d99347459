from heap import Heap, drain, first_of, heap_sort


def test_two_items():
    heap = Heap([(2, "wash"), (1, "cook")])
    assert heap.peek() == "cook"
    assert len(heap) == 2


def test_empty():
    heap = Heap()
    assert heap.peek() is None
    try:
        heap.pop()
    except IndexError:
        return
    assert False, "an empty heap gave an item"


def test_sort_descending_values():
    assert heap_sort([5, 4, 3, 2, 1]) == [1, 2, 3, 4, 5]


def test_sort_mixed_values():
    assert heap_sort([8, 3, 9, 1, 7, 2]) == [1, 2, 3, 7, 8, 9]


def test_most_urgent_items():
    entries = [(4, "d"), (1, "a"), (3, "c"), (2, "b")]
    assert first_of(entries, 2) == ["a", "b"]


def test_drain_one():
    heap = Heap([(1, "only")])
    assert drain(heap) == ["only"]
    assert len(heap) == 0
