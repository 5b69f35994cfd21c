"""SIGINT and SIGTERM to a training."""

import os
import signal
import time

import pytest

from tests.faults.processes import blocked, event_of, stopped
from tests.faults.runs import EVERY_STEP, assert_same, ended, only_line

pytestmark = pytest.mark.faults
SECONDS = 10
AGAIN = "bridge-tf train: interrupted; what is done is kept, run it again to go on"


def step(run, stage: str, nth: int) -> int:
    """The number of the event in which the nth step (from 0) of a stage begins."""
    steps = [number for number, kind, _ in run.noted if kind == "step"]
    assert len(steps) == 4 * 8  # two modes, a curve and a bridge: two epochs of four steps each
    return steps[{"modes": 0, "curves": 16, "bridges": 24}[stage] + nth]


def leave(run, process, signum: int) -> str:
    """Sends a signal to a stopped process, which must leave in time; returns what it says."""
    process.send_signal(signum)
    began = time.monotonic()
    process.send_signal(signal.SIGCONT)
    errors = ended(process, 128 + signum)
    assert time.monotonic() - began < SECONDS
    assert errors.splitlines()[-1] == AGAIN
    return errors


@pytest.mark.parametrize(
    ("signum", "stage", "nth", "kept"),
    [
        (signal.SIGINT, "modes", 1, "step-2.npz"),
        (signal.SIGTERM, "curves", 5, "step-6.npz"),
        (signal.SIGINT, "bridges", 3, "epoch-1.npz"),
    ],
)
def test_a_step_that_a_signal_comes_in_is_kept(signum, stage, nth, kept, new, whole, fault):
    """Though no checkpoint within an epoch is due."""
    process = new.start(spec={"at": step(whole, stage, nth), "action": "stop"})
    with fault(signal.Signals(signum).name):
        stopped(process)
        leave(new, process, signum)
        [folder] = (new.work / "checkpoints" / stage).iterdir()
        newest = max(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        assert newest.name == kept
        new.train()
        assert_same(new, whole)


@pytest.mark.parametrize(
    ("signum", "place"),
    [(signal.SIGINT, "work/.partial-report.json"), (signal.SIGTERM, "model.tflite")],
)
def test_a_signal_while_a_file_is_written(signum, place, new, whole, fault):
    process = new.start(spec={"at": event_of(whole, "open", place), "action": "stop"})
    with fault(signal.Signals(signum).name):
        stopped(process)
        leave(new, process, signum)
        # Predictions of an evaluation, from which it goes on.
        assert set(new.leftovers()) <= {"work/checkpoints"}
        new.train()
        assert_same(new, whole)


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_leaves_at_once(second, new, whole, undisturbed, fault):
    number = event_of(undisturbed(EVERY_STEP), "os.rename", "curves/0-1/step-6.npz")
    process = new.start(EVERY_STEP, spec={"at": number, "action": "block"})
    with fault("second signal"):
        blocked(new, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)  # two within a tenth of a second count as one
        assert process.poll() is None
        began = time.monotonic()
        process.send_signal(second)
        errors = ended(process, 128 + second)
        assert time.monotonic() - began < 3
        assert errors.splitlines()[-1] == AGAIN
        new.train()
        assert_same(new, whole)


def test_a_step_that_does_not_end_is_left_in_time(new, whole, undisturbed, fault):
    number = event_of(undisturbed(EVERY_STEP), "os.rename", "modes/1/step-6.npz")
    process = new.start(EVERY_STEP, spec={"at": number, "action": "block"})
    with fault("SIGTERM"):
        blocked(new, process)
        began = time.monotonic()
        os.kill(process.pid, signal.SIGTERM)
        errors = ended(process, 128 + signal.SIGTERM)
        assert 3 < time.monotonic() - began < SECONDS
        assert errors.splitlines()[-1] == AGAIN
        new.train()
        assert_same(new, whole)


def test_a_signal_before_anything_is_written(new, whole, fault):
    number = event_of(whole, "os.mkdir", "work")
    process = new.start(spec={"at": number, "action": "stop"})
    with fault("SIGINT"):
        stopped(process)
        assert only_line(leave(new, process, signal.SIGINT)) == AGAIN
        assert not new.work.exists() or new.leftovers() == []
        new.train()
        assert_same(new, whole)
