"""How many trainings are done at a time."""

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.executors.jobs import count as counts
from bridge_tf.runs.executors.jobs.count import Count, worth

GIB = 2**30


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Four cores, memory enough."""
    monkeypatch.setattr(counts, "cores", lambda: 4)
    monkeypatch.setattr(counts, "available_memory", lambda: 64 * GIB)
    monkeypatch.setattr(counts, "own_memory", lambda: GIB)


@pytest.mark.parametrize(
    ("busy", "expected"), [(1.0, 4), (1.3, 3), (1.9, 3), (2.0, 2), (3.0, 2), (3.8, 1), (4.0, 1)]
)
def test_idle_cores_are_used(busy, expected):
    assert worth(busy, 3600, 10) == expected


def test_short_trainings_are_not_worth_a_process():
    assert worth(1.0, 3, 5) == 1
    assert worth(1.0, 3, 10) == 4


@pytest.mark.parametrize(("free", "expected"), [(10, 4), (3.5, 3), (0.5, 1)])
def test_memory_limits_the_number(monkeypatch, free, expected):
    monkeypatch.setattr(counts, "available_memory", lambda: int(free * GIB))
    assert worth(1.0, 3600, 10) == expected


def test_unknown_memory_is_no_limit(monkeypatch):
    monkeypatch.setattr(counts, "available_memory", lambda: None)
    monkeypatch.setattr(counts, "own_memory", lambda: None)
    assert worth(1.0, 3600, 10) == 4


def test_a_number_is_taken_as_it_is(tmp_path):
    count = Count(Run(Config(jobs="3"), tmp_path))
    assert [count.of(n) for n in (1, 2, 3, 9)] == [1, 2, 3, 3]


@pytest.mark.parametrize(
    ("threads", "free", "expected"), [(1, 64, 4), (2, 64, 2), (8, 64, 1), (1, 3, 3)]
)
def test_threads_say_how_many_trainings_there_is_room_for(
    tmp_path, monkeypatch, threads, free, expected
):
    monkeypatch.setattr(counts, "available_memory", lambda: free * GIB)
    assert Count(Run(Config(threads=threads), tmp_path)).of(9) == expected


def test_auto_measures_the_first_training(tmp_path, monkeypatch):
    count = Count(Run(Config(num_modes=3), tmp_path, ["modes"]))
    assert count.of(3) == 1
    told = []

    def worth_of(busy, seconds, left):
        told.append(left)
        return 2

    monkeypatch.setattr(counts, "worth", worth_of)
    with count.training():
        pass
    with count.training():
        pass
    assert told == [2]
    assert count.of(3) == 2


def test_cores_that_other_work_keeps_busy_are_not_idle(tmp_path, monkeypatch):
    idle = iter([10.0, 10.5])
    monkeypatch.setattr(counts, "idle_seconds", lambda: next(idle))
    monkeypatch.setattr(counts.time, "perf_counter", iter([0.0, 1.0]).__next__)
    monkeypatch.setattr(counts.time, "process_time", iter([0.0, 1.0]).__next__)
    told = []
    monkeypatch.setattr(counts, "worth", lambda busy, *others: told.append(busy) or 1)
    with Count(Run(Config(), tmp_path)).training():
        pass
    assert told == [3.5]


@pytest.mark.parametrize("changes", [{"devices": "2"}, {"hosts": ("a:1", "b:1")}])
def test_auto_leaves_shared_devices_alone(tmp_path, monkeypatch, changes):
    count = Count(Run(Config(**changes), tmp_path))
    monkeypatch.setattr(counts, "worth", lambda *figures: pytest.fail("measured"))
    with count.training():
        pass
    assert count.of(3) == 1
