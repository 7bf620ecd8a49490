"""Live and ready, each with one line that says why not."""

from fixgateway.monitor.health import NS_PER_SECOND, Health


def test_not_ready_until_everything_expected_has_reported() -> None:
    health = Health(("journal", "broker BRK1"))
    assert health.ready() == (
        False,
        "not ready: broker BRK1 has not reported yet; journal has not reported yet",
    )
    health.set("journal", True, "")
    health.set("broker BRK1", True, "")
    assert health.ready() == (True, "ready")


def test_the_line_says_why_not() -> None:
    health = Health()
    health.set("broker BRK1", False, "broker BRK1 is not logged on")
    health.set("journal", False, "journal degraded: disk full")
    health.set("records", True, "fine")
    assert health.ready() == (False, "not ready: broker BRK1 is not logged on; journal degraded: disk full")
    health.set("broker BRK1", True, "")
    assert health.ready() == (False, "not ready: journal degraded: disk full")
    health.set("journal", False, "")
    assert health.ready() == (False, "not ready: journal is not ok")


def test_live_while_the_pump_runs() -> None:
    health = Health(stale_seconds=5)
    assert health.live(1) == (False, "not live: the pump has not run yet")
    health.beat(100 * NS_PER_SECOND)
    assert health.live(105 * NS_PER_SECOND) == (True, "live")
    assert health.live(106 * NS_PER_SECOND + 1) == (False, "not live: the pump last ran 6 s ago (limit 5 s)")
    health.beat(106 * NS_PER_SECOND)
    assert health.live(107 * NS_PER_SECOND) == (True, "live")


def test_what_is_asked_for_is_looked_at_when_somebody_wants_to_know() -> None:
    health, why = Health(), [""]
    health.ask("journal sync", lambda: why[0])
    assert health.ready() == (True, "ready")
    why[0] = "a sync hangs"
    assert health.ready() == (False, "not ready: a sync hangs")
    assert health.conditions() == {"journal sync": (False, "a sync hangs")}
    why[0] = ""
    assert health.ready() == (True, "ready")


def test_conditions_are_a_copy() -> None:
    health = Health(("journal",))
    health.conditions().clear()
    assert health.conditions() == {"journal": (False, "journal has not reported yet")}
