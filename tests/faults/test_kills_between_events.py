"""Runs that are killed some time after an event: in a step, a file half written, a compilation."""

import pytest

from tests.faults.kills import kill_and_finish, moments
from tests.faults.runs import EVERY_STEP, assert_same

pytestmark = pytest.mark.faults
DELAYS = (1, 3, 10, 30, 100, 300)
MOMENTS = 10


def test_checkpoints_after_every_step_change_nothing(undisturbed, whole):
    """Two runs that nothing disturbs are equal; else no comparison here would mean anything."""
    other = undisturbed(EVERY_STEP)
    steps = [name for _, kind, name in other.noted if kind == "os.rename" and "/step-" in name]
    assert len(steps) == 4 * 2 * 3
    assert_same(other, whole)


@pytest.mark.parametrize("k", range(MOMENTS))
def test_a_run_killed_between_events_ends_the_same(k, new, whole, undisturbed, fault):
    event = moments(undisturbed(EVERY_STEP).noted, MOMENTS)[k]
    with fault("kill between events"):
        kill_and_finish(new, whole, event, EVERY_STEP, after_ms=DELAYS[k % len(DELAYS)])


@pytest.mark.parametrize("after_ms", [300, 1500])
def test_a_run_killed_while_its_export_is_written_ends_the_same(after_ms, new, whole, fault):
    """TensorFlow writes without Python, so that none of it is an event."""
    [event] = [event for event in whole.noted if event[1:] == ["open", "exports/.lock"]]
    with fault("kill between events"):
        kill_and_finish(new, whole, event, after_ms=after_ms)
