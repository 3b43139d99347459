from ringbuffer import RingBuffer


def filled(size, items):
    buffer = RingBuffer(size)
    for item in items:
        buffer.push(item)
    return buffer


def test_the_oldest_makes_room():
    buffer = filled(3, [1, 2, 3, 4])
    assert buffer.is_full()
    assert buffer.to_list() == [2, 3, 4]


def test_half_full():
    assert filled(4, ["a", "b"]).to_list() == ["a", "b"]


def test_pop():
    buffer = filled(3, [1, 2, 3, 4])
    assert buffer.pop() == 2
    assert buffer.pop() == 3


def test_pop_from_an_empty_buffer():
    try:
        RingBuffer(2).pop()
    except IndexError:
        return
    assert False, "something came out of an empty buffer"


def test_latest():
    assert filled(4, [5, 6, 7, 8]).latest(2) == [7, 8]


def test_average():
    assert filled(3, [10, 1, 2, 3]).average() == 2


def test_average_of_nothing():
    assert RingBuffer(3).average() == 0
