"""Two processes that would write to the same folder."""

import signal
import subprocess
import threading

import pytest

from tests.faults.processes import event_of, stopped
from tests.faults.runs import (
    TIMEOUT,
    Run,
    assert_same,
    command,
    ended,
    only_line,
    start,
)

pytestmark = pytest.mark.faults


def says_it_waits(process: subprocess.Popen) -> str:
    """The line in which a process says that it waits for another."""
    watchdog = threading.Timer(TIMEOUT, process.kill)
    watchdog.start()
    try:
        for line in process.stderr:
            if "waiting" in line:
                return line
    finally:
        watchdog.cancel()
    raise AssertionError("it never waited")


def go_on_and_end(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGCONT)
    ended(process, 0)


def test_a_second_writer_is_refused_and_harms_nothing(new, whole, fault):
    place = "modes/0/.partial-epoch-1.npz"
    first = new.start(spec={"at": event_of(whole, "open", place), "action": "stop"})
    with fault("second writer"):
        try:
            stopped(first)
            line = new.refused()
            assert f"--workdir: {new.work} is in use by" in line
            assert f"process {first.pid} " in line and "--wait" in line
            evaluate = start(command("evaluate", f"--workdir={new.work}"))
            assert f"process {first.pid} " in only_line(ended(evaluate, 2))
        finally:
            go_on_and_end(first)
        assert_same(new, whole)


def test_a_second_writer_that_waits_finds_all_done(new, whole, fault):
    place = "curves/0-1/.partial-epoch-1.npz"
    first = new.start(spec={"at": event_of(whole, "open", place), "action": "stop"})
    with fault("second writer"):
        try:
            stopped(first)
            second = new.start("--wait")
            assert f"process {first.pid} " in says_it_waits(second)
        finally:
            go_on_and_end(first)
        ended(second, 0)
        assert_same(new, whole)


def test_a_writer_that_waits_takes_over_from_one_that_dies(new, whole, fault):
    place = "curves/0-1/.partial-epoch-1.npz"
    first = new.start(spec={"at": event_of(whole, "open", place), "action": "stop"})
    with fault("second writer"):
        try:
            stopped(first)
            second = new.start("--wait")
            says_it_waits(second)
        finally:
            first.kill()
            ended(first, -signal.SIGKILL)
        ended(second, 0)
        assert_same(new, whole)


def test_two_writers_that_start_together(new, whole, fault):
    with fault("second writer"):
        both = [new.start("--wait") for _ in range(2)]
        for process in both:
            ended(process, 0)
        assert_same(new, whole)


def test_two_runs_that_export_under_one_name(new, whole, fault):
    other = Run(new.folder / "other", whole.network)
    other.folder.mkdir()
    other.exports = new.exports
    first = new.start(spec={"at": event_of(whole, "open", "model.tflite"), "action": "stop"})
    with fault("second writer"):
        try:
            stopped(first)
            second = other.start()
            assert f"process {first.pid} " in says_it_waits(second)
        finally:
            go_on_and_end(first)
        ended(second, 0)
        other.close()
        # What the second has to export is there by then, byte for byte.
        assert_same(new, whole)
        assert_same(other, whole)
