"""The process that compresses ends with the one that waits for it."""

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
from bridge_tf.export.compression.worker import end_with
end_with(0)
time.sleep(600)
"""
WAITS = """
import pathlib, sys
from bridge_tf.export.compression.process import run_method
run_method(pathlib.Path(sys.argv[1]))
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


def test_a_killed_compression_takes_its_process_with_it(tmp_path):
    os.mkfifo(tmp_path / files.PLAN)  # which the process waits for, and nobody writes
    with subprocess.Popen(
        [sys.executable, "-c", WAITS, str(tmp_path)], cwd=REPOSITORY, stderr=subprocess.DEVNULL
    ) as waiting:
        children = pathlib.Path(f"/proc/{waiting.pid}/task/{waiting.pid}/children")
        until(lambda: children.read_text().split())
        worker = pathlib.Path("/proc", children.read_text().split()[0])

        def works() -> bool:
            return b"compression.worker" in (worker / "cmdline").read_bytes()

        until(works)
        waiting.send_signal(signal.SIGKILL)
    until(lambda: not worker.exists() or not works())
