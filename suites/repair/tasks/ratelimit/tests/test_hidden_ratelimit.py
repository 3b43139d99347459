from ratelimit.bucket import TokenBucket
from ratelimit.window import ClientLimiter, SlidingWindow


def test_all_tokens_at_once():
    bucket = TokenBucket(5, 1)
    assert not bucket.allow(0, cost=6)
    assert bucket.allow(0, cost=5)
    assert bucket.tokens == 0


def test_bucket_gains_tokens_slowly():
    bucket = TokenBucket(10, 0.5)
    assert bucket.allow(0, cost=8)
    assert not bucket.allow(1, cost=3)
    assert bucket.allow(4, cost=3)
    assert bucket.tokens == 1


def test_bucket_wait_gets_shorter():
    bucket = TokenBucket(8, 2)
    assert bucket.wait(0, cost=8) == 0
    assert bucket.allow(0, cost=7)
    assert [bucket.wait(time, cost=7) for time in (0, 1, 2, 3)] == [3, 2, 1, 0]


def test_no_more_than_the_capacity():
    bucket = TokenBucket(3, 1)
    assert bucket.wait(100, cost=3) == 0
    assert bucket.tokens == 3


def test_window_slides():
    window = SlidingWindow(3, 10)
    times = (0, 4, 8, 9, 10, 11, 14)
    assert [window.allow(time) for time in times] == [True, True, True, False, True, False, True]


def test_window_wait_after_a_while():
    window = SlidingWindow(1, 5)
    window.allow(2)
    assert window.wait(3) == 4
    assert window.wait(7) == 0
    assert window.wait(20) == 0


def test_blocked_clients():
    limiter = ClientLimiter(2, 10)
    for time, client in enumerate(("cid", "ann", "bob", "ann", "cid")):
        assert limiter.allow(client, time)
    assert limiter.blocked(5) == ["ann", "cid"]


def test_nobody_is_blocked():
    limiter = ClientLimiter(1, 5)
    assert limiter.blocked(0) == []
    limiter.allow("ann", 0)
    assert limiter.blocked(4) == ["ann"]
    assert limiter.blocked(5) == []
