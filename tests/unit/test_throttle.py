"""Rate limits that everyone shares, by a clock that stands still."""

from agents.models.gateway.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_calls_are_spaced_by_requests_and_by_tokens_a_minute() -> None:
    clock = Clock()
    throttle = Throttle(requests_per_minute=60, tokens_per_minute=6000, clock=clock)
    assert [throttle.due(10) - clock.now for _ in range(3)] == [0.0, 1.0, 2.0]
    assert throttle.due(1000) - clock.now == 3.0
    assert throttle.due(10) - clock.now == 13.0


def test_time_that_passes_is_not_saved_up() -> None:
    clock = Clock()
    throttle = Throttle(requests_per_minute=60, clock=clock)
    throttle.due(1)
    clock.now += 600
    assert [throttle.due(1) - clock.now for _ in range(2)] == [0.0, 1.0]


def test_an_endpoint_that_wants_to_be_left_alone_holds_every_call() -> None:
    clock = Clock()
    throttle = Throttle(clock=clock)
    assert throttle.due(1) == clock.now
    throttle.hold(5.0)
    throttle.hold(2.0)
    assert throttle.due(1) - clock.now == 5.0
    clock.now += 6
    assert throttle.due(1) == clock.now


def test_without_limits_nothing_waits() -> None:
    throttle = Throttle(clock=Clock())
    assert {throttle.due(10**6) for _ in range(100)} == {100.0}
