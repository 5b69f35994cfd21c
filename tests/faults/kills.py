"""Killing a run at one of its events, and finishing it."""

import os
import re
import signal

import numpy as np

from tests.faults.runs import Run, assert_same


def moments(events: list, count: int) -> list[list]:
    """So many of the events, evenly spread from the first to the last."""
    return [events[k] for k in np.linspace(0, len(events) - 1, count).round().astype(int)]


def kill_and_finish(run: Run, whole: Run, event: list, *flags, after_ms: int = 0) -> None:
    """Starts a run, lets it kill itself at an event, runs it again, and compares.

    Args:
        event: of the undisturbed run: [number, kind, file].
        after_ms: kill it so much later.
    """
    killed(run, event, *flags, after_ms=after_ms)
    run.train()
    assert_same(run, whole)


def killed(run: Run, event: list, *flags, after_ms: int = 0) -> None:
    """Starts a run and lets it kill itself."""
    number = event[0]
    run.train(*flags, spec={"at": number, "after_ms": after_ms}, status=-signal.SIGKILL)
    noted = run.events()
    events = [event for event in noted if event != ["kill"]]
    assert len(events) < len(noted)
    assert _place(events[number - 1]) == _place(event)
    assert after_ms or len(events) == number


def _place(event: list) -> list:
    """An event less what differs between runs: random names, and which of several files is first
    removed.
    """
    number, kind, name = event
    folder = re.sub(r"export-\w+", "export-", os.path.dirname(name or ""))
    return [number, kind, folder]
