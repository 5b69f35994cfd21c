"""What memory is left, and images that need more."""

import pathlib

import pytest

from bridge_tf.utils import memory
from bridge_tf.utils.errors import InputError


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Files like the kernel's, of a machine with 8 MiB left."""
    monkeypatch.setattr(memory, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "meminfo").write_text("MemTotal: 99999 kB\nMemAvailable: 8192 kB\n")
    return tmp_path


@pytest.mark.parametrize(
    ("limit", "left"), [("max", 8 << 20), ("6000000", 3_500_000), ("99000000", 8 << 20)]
)
def test_the_smaller_of_machine_and_container_counts(machine, limit, left):
    for name, text in (("max", limit), ("current", "3000000"), ("stat", "inactive_file 500000")):
        (machine / f"memory.{name}").write_text(f"{text}\n")
    assert memory.available_memory() == left


def test_a_machine_that_tells_nothing_refuses_nothing(machine):
    (machine / "meminfo").unlink()
    assert memory.available_memory() is None
    memory.check_memory("`dataset=x`", "images", 10**18, "use fewer")


def test_what_does_not_fit_is_refused_in_one_line(machine):
    memory.check_memory("`dataset=x`", "images", 8 << 20, "use fewer")
    with pytest.raises(InputError) as error:
        memory.check_memory("`dataset=x`", "2 images", 5 * 10**9, "use fewer")
    assert str(error.value) == (
        "`dataset=x`: 2 images need 5.0 GB of memory, 0.0 GB are available; use fewer"
    )


def test_this_machine_has_some():
    if pathlib.Path("/proc/meminfo").exists():
        assert memory.available_memory() > 2**20
