"""A binary heap that serves as a priority queue."""


class Heap:
    """Holds items with priorities; the item with the lowest number comes out first."""

    def __init__(self, entries=()):
        self.entries = []
        for priority, item in entries:
            self.push(priority, item)

    def __len__(self):
        return len(self.entries)

    def push(self, priority, item):
        self.entries.append((priority, item))
        self._sift_up(len(self.entries) - 1)

    def peek(self):
        if not self.entries:
            return None
        return self.entries[0][1]

    def pop(self):
        if not self.entries:
            raise IndexError("pop from an empty heap")
        last = self.entries.pop()
        if not self.entries:
            return last[1]
        first = self.entries[0]
        self.entries[0] = last
        self._sift_down(0)
        return first[1]

    def _sift_up(self, index):
        while index > 0:
            parent = (index - 1) // 2
            if self.entries[parent][0] <= self.entries[index][0]:
                break
            self._swap(parent, index)
            index = parent

    def _sift_down(self, index):
        size = len(self.entries)
        while True:
            left = 2 * index + 1
            right = left + 1
            smallest = index
            if left < size and self.entries[left][0] < self.entries[smallest][0]:
                smallest = left
            if right < size and self.entries[right][0] < self.entries[smallest][0]:
                smallest = right
            if smallest == index:
                break
            self._swap(index, smallest)
            index = smallest

    def _swap(self, first, second):
        entries = self.entries
        entries[first], entries[second] = entries[second], entries[first]


def drain(heap):
    """Empty the heap and return its items in order."""
    items = []
    while len(heap) > 0:
        items.append(heap.pop())
    return items


def heap_sort(values):
    """Return the values in ascending order."""
    return drain(Heap((value, value) for value in values))


def first_of(entries, count):
    """Return the `count` most urgent items of (priority, item) pairs."""
    heap = Heap(entries)
    return [heap.pop() for _ in range(min(count, len(heap)))]
