from lru import LRUCache, cached


def test_get_and_put():
    cache = LRUCache(2)
    cache.put("a", 1)
    assert cache.get("a") == 1
    assert cache.get("b", 0) == 0


def test_the_oldest_goes_first():
    cache = LRUCache(2)
    for key in "abc":
        cache.put(key, key.upper())
    assert "a" not in cache
    assert cache.get("c") == "C"


def test_use_keeps_a_value():
    cache = LRUCache(3)
    for key in "abc":
        cache.put(key, key.upper())
    cache.get("a")
    assert cache.keys() == ["b", "c", "a"]


def test_hit_rate():
    cache = LRUCache(4)
    cache.put("a", 1)
    cache.get("a")
    cache.get("a")
    cache.get("x")
    cache.get("a")
    assert cache.hit_rate() == 0.75


def test_remove():
    cache = LRUCache(2)
    cache.put("a", 1)
    assert cache.remove("a")
    assert not cache.remove("a")


def test_cached_function_is_called_once():
    calls = []
    double = cached(lambda value: calls.append(value) or value * 2)
    assert [double(4), double(4), double(5)] == [8, 8, 10]
    assert calls == [4, 5]
