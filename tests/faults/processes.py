"""Waiting for what another process does, never longer than a test may take."""

import os
import subprocess
import time
from collections.abc import Callable

from tests.faults.runs import TIMEOUT, Run


def wait_until(happened: Callable[[], bool], what: str, timeout: float = TIMEOUT) -> None:
    """Returns as soon as `happened()`.

    Raises:
        TimeoutError: it didn't.
    """
    end = time.monotonic() + timeout
    while not happened():
        if time.monotonic() > end:
            raise TimeoutError(what)
        time.sleep(0.01)


def stopped(process: subprocess.Popen) -> None:
    """Waits until a process has sent SIGSTOP to itself; it may not end first."""
    options = os.WSTOPPED | os.WEXITED | os.WNOWAIT | os.WNOHANG
    state = []

    def changed():
        state[:] = [os.waitid(os.P_PID, process.pid, options)]
        return state[0] is not None

    wait_until(changed, "the process neither stops nor ends")
    if state[0].si_code != os.CLD_STOPPED:
        raise AssertionError(f"ended before it stopped: {process.communicate()[1]}")


def blocked(run: Run, process: subprocess.Popen) -> None:
    """Waits until a process is at the event at which it never goes on."""
    wait_until(
        lambda: ["block"] in run.events() or process.poll() is not None,
        "the process neither blocks nor ends",
    )
    if process.poll() is not None:
        raise AssertionError(f"ended before it blocked: {process.communicate()[1]}")


def event_of(run: Run, kind: str, place: str, nth: int = 0) -> int:
    """The number of the nth event of an undisturbed run of this kind, at a place that ends so."""
    numbers = [n for n, found, name in run.noted if found == kind and (name or "").endswith(place)]
    return numbers[nth]
