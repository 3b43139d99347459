from ratelimit.bucket import TokenBucket
from ratelimit.window import ClientLimiter, SlidingWindow


def test_bucket_can_be_emptied():
    bucket = TokenBucket(2, 1)
    assert bucket.allow(0)
    assert bucket.allow(0)
    assert not bucket.allow(0)


def test_bucket_is_filled_up():
    bucket = TokenBucket(4, 2)
    assert bucket.allow(0, cost=3)
    assert bucket.allow(10, cost=1)
    assert bucket.tokens == 3


def test_bucket_wait():
    bucket = TokenBucket(6, 2)
    assert bucket.allow(0, cost=5)
    assert bucket.wait(1, cost=5) == 1


def test_window_allows_up_to_the_limit():
    window = SlidingWindow(2, 10)
    assert [window.allow(time) for time in (0, 1, 2)] == [True, True, False]


def test_window_forgets():
    window = SlidingWindow(1, 10)
    assert [window.allow(time) for time in (0, 9, 10)] == [True, False, True]


def test_window_wait():
    window = SlidingWindow(1, 10)
    assert window.wait(0) == 0
    window.allow(0)
    assert window.wait(4) == 6
    assert window.wait(15) == 0


def test_clients_have_limits_of_their_own():
    limiter = ClientLimiter(1, 60)
    assert limiter.allow("ann", 0)
    assert limiter.allow("bob", 0)
    assert not limiter.allow("ann", 1)
