"""Runs that are killed exactly when a file is about to change, or a step to begin."""

import pytest

from tests.faults.kills import kill_and_finish, moments
from tests.faults.runs import assert_same

pytestmark = pytest.mark.faults
MOMENTS = 12


@pytest.mark.parametrize("k", range(MOMENTS))
def test_a_run_killed_at_an_event_ends_the_same(k, new, whole, fault):
    event = moments(whole.noted, MOMENTS)[k]
    with fault("kill at an event"):
        kill_and_finish(new, whole, event)


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("exports/tiny/1", 0),
        ("work/artifacts.json", 0),
        # It is written again when the exported files are measured.
        ("work/report.json", 0),
        ("work/report.json", 1),
    ],
)
def test_a_run_killed_at_a_rename_ends_the_same(name, which, new, whole, fault):
    """Where one file of several that belong together has its name already."""
    event = [event for event in whole.noted if event[1:] == ["os.rename", name]][which]
    with fault("kill at an event"):
        kill_and_finish(new, whole, event)


def test_a_run_killed_when_all_is_done_but_for_checkpoints(new, whole, fault):
    [*_, event] = [event for event in whole.noted if "checkpoints/report/" in (event[2] or "")]
    assert event[1] == "os.remove"
    with fault("kill at an event"):
        kill_and_finish(new, whole, event)


def test_a_run_killed_again_and_again_ends_the_same(new, whole, fault):
    with fault("kill, three times in a run"):
        # Each starts anew, and so counts its own events.
        for number in (30, 25, 40):
            new.train(spec={"at": number}, status=-9)
        new.train()
        assert_same(new, whole)


def test_the_moments_are_of_all_stages(whole):
    """Else a run might not be killed where it matters."""
    stages, stage = {}, "modes"
    for number, _, place in whole.noted:
        for name in ("curves", "bridges", "report", "exports"):
            if place and name in place:
                stage = name
        stages[number] = stage
    chosen = {stages[number] for number, _, _ in moments(whole.noted, MOMENTS)}
    assert chosen == {"modes", "curves", "bridges", "report", "exports"}
    kinds = {kind for _, kind, _ in whole.noted}
    assert kinds >= {"open", "os.rename", "os.remove", "os.mkdir", "step"}
