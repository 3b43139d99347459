from agents.monitor.liveness import SILENT, Beat, Liveness


def test_an_agent_that_falls_silent_with_a_duty_is_reported_once() -> None:
    liveness = Liveness()
    busy = ("lineage/main:c/1/race", "lineage/main:c/1/null", "lineage/other:d/2/race")
    liveness.hear(Beat(role="evaluator", instance="e-1", busy=busy), 0.0)
    assert liveness.lost(SILENT - 0.1) == []
    found = liveness.lost(SILENT)
    assert [stream for stream, _ in found] == ["lineage/main", "lineage/other"]
    assert {event.instance for _, event in found} == {"e-1"}
    assert found[0][1].silent_seconds == SILENT
    assert liveness.lost(10 * SILENT) == []


def test_an_idle_agent_may_leave_without_a_word() -> None:
    liveness = Liveness()
    liveness.hear(Beat(role="critic", instance="c-1"), 0.0)
    assert liveness.lost(2 * SILENT) == []


def test_a_sign_of_life_is_enough() -> None:
    liveness = Liveness()
    for second in range(0, 60, 5):
        liveness.hear(Beat(role="critic", instance="c-1", busy=("lineage/main:c/1/lesson",)), float(second))
        assert liveness.lost(second + 1.0) == []
