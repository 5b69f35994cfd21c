"""A disk that becomes full while something is written, and one that is too small from the start."""

import os
import pathlib
import shutil
import signal
import subprocess

import pytest

from tests.faults.processes import event_of, stopped
from tests.faults.runs import Run, assert_same, ended

pytestmark = pytest.mark.faults
_ROOM = 64 * 2**20


class Disk:
    """A small file system."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self.filler = path / "filler"
        self.runs: list[Run] = []

    def run(self, network: pathlib.Path) -> Run:
        """A run that hasn't begun, all of it on this disk."""
        self.runs.append(Run(self.path, network))
        return self.runs[-1]

    def fill(self, left: int = 0) -> None:
        """Leaves so many bytes free."""
        with open(self.filler, "wb", buffering=0) as file:
            free = shutil.disk_usage(self.path).free - left
            os.posix_fallocate(file.fileno(), 0, free)

    def empty(self) -> None:
        self.filler.unlink()


@pytest.fixture
def disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={_ROOM}", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount")
    if mounted.returncode:
        pytest.skip(f"a file system of its own can't be mounted: {mounted.stderr.strip()}")
    disk = Disk(path)
    yield disk
    for run in disk.runs:
        run.close()
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.mark.parametrize(
    ("kind", "place", "left"),
    [
        ("open", "modes/0/.partial-epoch-1.npz", 0),
        ("open", "curves/0-1/.partial-epoch-2.npz", 8192),
        ("open", "work/.partial-ensemble.keras", 4096),
        ("open", "exports/.lock", 8192),
        ("open", ".partial-moves.json", 0),
    ],
)
def test_a_disk_that_becomes_full_costs_nothing(kind, place, left, disk, whole, fault):
    run = disk.run(whole.network)
    process = run.start(spec={"at": event_of(whole, kind, place), "action": "stop"})
    with fault("full disk"):
        try:
            stopped(process)
            disk.fill(left)
        finally:
            process.send_signal(signal.SIGCONT)
        errors = ended(process, 1)
        assert "Traceback" not in errors
        assert "the disk is full" in errors.splitlines()[-1]
        assert "free some space" in errors.splitlines()[-1]
        disk.empty()
        run.train()
        assert_same(run, whole)


def test_a_disk_too_small_is_refused_before_the_stage(disk, whole, fault):
    run = disk.run(whole.network)
    with fault("full disk"):
        disk.fill(left=8192)
        line = run.refused()
        for words in ("--workdir", "the stage modes will take", "MB left"):
            assert words in line
        assert not list(run.work.rglob("*.keras"))
        disk.empty()
        run.train()
        assert_same(run, whole)
