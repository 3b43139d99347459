from ringbuffer import RingBuffer


def filled(size, items):
    buffer = RingBuffer(size)
    for item in items:
        buffer.push(item)
    return buffer


def test_many_rounds():
    assert filled(5, range(23)).to_list() == [18, 19, 20, 21, 22]
    assert filled(1, "xyz").to_list() == ["z"]


def test_not_yet_full():
    buffer = filled(3, [7])
    assert not buffer.is_full()
    assert buffer.to_list() == [7]
    assert RingBuffer(2).to_list() == []


def test_first_in_first_out():
    buffer = filled(2, ["a", "b", "c"])
    assert [buffer.pop(), buffer.pop()] == ["b", "c"]


def test_size_must_be_positive():
    for size in (0, -1):
        try:
            RingBuffer(size)
        except ValueError:
            continue
        assert False, f"size {size} was accepted"


def test_latest_one_of_three():
    buffer = filled(3, [4, 5, 6, 7])
    assert buffer.latest(1) == [7]
    assert buffer.latest(2) == [6, 7]


def test_latest_of_all():
    buffer = filled(3, [4, 5, 6])
    assert buffer.latest(9) == [4, 5, 6]
    assert buffer.latest(0) == []


def test_average_after_overwriting():
    assert filled(2, [100, 3, 4]).average() == 3.5


def test_average_without_items():
    assert RingBuffer(1).average() == 0
