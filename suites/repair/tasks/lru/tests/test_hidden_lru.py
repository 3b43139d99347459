from lru import LRUCache, cached


def test_capacity_is_kept():
    cache = LRUCache(3)
    for number in range(10):
        cache.put(number, number)
        assert len(cache) == min(number + 1, 3)
    assert cache.keys() == [7, 8, 9]


def test_a_value_that_was_read_survives():
    cache = LRUCache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    assert cache.get("a") == 1
    cache.put("c", 3)
    assert cache.keys() == ["a", "c"]


def test_reading_in_turn():
    cache = LRUCache(4)
    for key in "abcd":
        cache.put(key, key)
    for key in "bdac":
        cache.get(key)
    assert cache.keys() == ["b", "d", "a", "c"]


def test_putting_again_renews():
    cache = LRUCache(3)
    for key in "abc":
        cache.put(key, 1)
    cache.put("a", 2)
    assert cache.keys() == ["b", "c", "a"]
    assert cache.items["a"] == 2


def test_hit_rates():
    cache = LRUCache(1)
    assert cache.hit_rate() == 0.0
    cache.get("a")
    assert cache.hit_rate() == 0.0
    cache.put("a", 1)
    cache.get("a")
    assert cache.hit_rate() == 0.5


def test_a_cache_needs_room():
    try:
        LRUCache(0)
    except ValueError:
        return
    assert False, "a capacity of 0 was accepted"


def test_cached_function_forgets_the_oldest():
    calls = []

    def square(value):
        calls.append(value)
        return value * value

    remembered = cached(square, capacity=2)
    assert [remembered(value) for value in (1, 2, 3, 3, 1)] == [1, 4, 9, 9, 1]
    assert calls == [1, 2, 3, 1]
