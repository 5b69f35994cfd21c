"""Processes that work for another end with it."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from bridge_tf.export.compression import folder as files
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration
SECONDS = 60

ENDS = """
import time
from bridge_tf.utils.signals import end_with
end_with(0)
time.sleep(600)
"""
COMPRESSES = """
import pathlib, sys
from bridge_tf.export.compression.process import run_method
run_method(pathlib.Path(sys.argv[1]))
"""
TIMES = """
import time
from bridge_tf.evaluation import latency
with latency.worker() as pool:
    pool.submit(time.sleep, 600).result()
"""


def until(true) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_the_end_of_a_pipe_ends_a_process():
    with subprocess.Popen(
        [sys.executable, "-c", ENDS], cwd=REPOSITORY, stdin=subprocess.PIPE
    ) as process:
        process.stdin.write(b"not yet")
        process.stdin.flush()
        process.stdin.close()
        assert process.wait(SECONDS) == 1


def children_of(process: int) -> list[pathlib.Path]:
    children = pathlib.Path(f"/proc/{process}/task/{process}/children").read_text()
    return [pathlib.Path("/proc", child) for child in children.split()]


def command(process: pathlib.Path) -> bytes:
    """The command line of a process; empty once it has ended."""
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


@pytest.mark.parametrize(
    ("program", "name"), [(COMPRESSES, b"compression.worker"), (TIMES, b"spawn_main")]
)
def test_a_killed_process_takes_its_worker_with_it(tmp_path, program, name):
    os.mkfifo(tmp_path / files.PLAN)  # which the worker reads, and nobody writes
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], cwd=REPOSITORY, stderr=subprocess.DEVNULL
    ) as waiting:

        def works() -> bool:
            return any(name in command(child) for child in children_of(waiting.pid))

        until(works)
        workers = children_of(waiting.pid)
        waiting.send_signal(signal.SIGKILL)
    for worker in workers:
        until(lambda worker=worker: not command(worker))
