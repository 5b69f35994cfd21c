"""Cores and idle time, as the system's files have them."""

import os

import pytest

from bridge_tf.utils import processors


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A function that sets the machine's files; it has four cores."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)

    def machine(quota=None, statistics=None):
        for name, text in (("_QUOTA", quota), ("_STATISTICS", statistics)):
            path = tmp_path / name
            if text is not None:
                path.write_text(text)
            monkeypatch.setattr(processors, name, path)

    return machine


@pytest.mark.parametrize(
    ("quota", "expected"),
    [(None, 4), ("max 100000", 4), ("150000 100000", 2), ("50000 100000", 1), ("900000 100000", 4)],
)
def test_a_container_limits_the_cores(machine, quota, expected):
    machine(quota)
    assert processors.cores() == expected


def test_idle_seconds_are_those_of_all_cores(machine):
    machine(statistics="cpu  100 0 50 700 30 0 0 0 0 0\ncpu0 1 2 3 4 5\n")
    assert processors.idle_seconds() == pytest.approx(730 / os.sysconf("SC_CLK_TCK"))


@pytest.mark.parametrize("text", ["", "cpu\n", "intr 1 2 3 4 5\n"])
def test_unknown_idle_seconds(machine, text):
    machine(statistics=text)
    assert processors.idle_seconds() is None


def test_in_a_container_the_machine_tells_nothing(machine):
    machine("200000 100000", "cpu  100 0 50 700 30 0 0 0 0 0\n")
    assert processors.idle_seconds() is None
