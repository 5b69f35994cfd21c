"""The lock of a folder, against processes that hold it."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.locks import locked
from tests.conftest import REPOSITORY

# Holds the lock of a folder until its standard input ends.
HOLD = """
import os, sys
from bridge_tf.utils.locks import locked
folder = sys.argv[1]
sys.argv = ["/somewhere/bin/bridge-tf", "train", "--seed=1"]
with locked(folder):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def holder(folder):
    program = [sys.executable, "-c", HOLD, str(folder)]
    with subprocess.Popen(
        program, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def refusal(folder, **options) -> str:
    with pytest.raises(InputError) as info, locked(folder, **options):
        pass
    return str(info.value)


def test_a_second_process_is_told_who_holds_it(tmp_path):
    with holder(tmp_path) as process:
        line = refusal(tmp_path)
        pattern = (
            rf"`workdir`: {re.escape(str(tmp_path))} is in use by bin/bridge-tf train, "
            rf"process {process.pid} on host \S+ since \d{{4}}-\d\d-\d\d \d\d:\d\d; "
            r"wait for it with `wait` or use another `workdir`"
        )
        assert re.fullmatch(pattern, line), line
        assert "or use another `export_dir`" in refusal(tmp_path, argument="export_dir")
        entry = json.loads((tmp_path / ".lock").read_text())
        assert entry["command"] == "bin/bridge-tf train --seed=1"


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00{", b"[1]", b"{}", b'{"pid": "x"}', b"null", b"[" * 9_000]
)
def test_what_the_lock_file_holds_matters_little(tmp_path, content):
    with holder(tmp_path):
        (tmp_path / ".lock").write_bytes(content)
        line = refusal(tmp_path)
        assert "is in use by another process; wait" in line


def test_a_message_is_one_printable_line(tmp_path):
    entry = {"pid": 1, "host": "h\x1b[2J", "command": "a\nb", "since": "x\ny"}
    with holder(tmp_path):
        (tmp_path / ".lock").write_text(json.dumps(entry))
        assert refusal(tmp_path).isprintable()


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_a_dead_holder_is_no_holder(tmp_path, signum):
    with holder(tmp_path) as process:
        process.send_signal(signum)
        process.wait()
        assert (tmp_path / ".lock").exists()
        with locked(tmp_path):
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_waiting_says_so_once_and_goes_on(tmp_path, caplog):
    with holder(tmp_path) as process:
        timer = threading.Timer(1, process.stdin.close)
        timer.start()
        with locked(tmp_path, wait=True):
            assert timer.finished.is_set()
            assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()
    (line,) = caplog.messages
    assert f"{tmp_path} is in use by bin/bridge-tf train, process {process.pid}" in line
    assert line.endswith("; waiting for it")


def test_nothing_stays_of_it_whatever_happens(tmp_path):
    with pytest.raises(RuntimeError), locked(tmp_path):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with holder(tmp_path) as process:
        process.stdin.close()
        assert process.wait() == 0
    assert list(tmp_path.iterdir()) == []


def test_within_a_process_it_nests(tmp_path):
    (tmp_path / "other").mkdir()
    with locked(tmp_path):
        with locked(tmp_path / "other" / ".."), locked(tmp_path / "other"):
            pass
        assert (tmp_path / ".lock").exists()
        with pytest.raises(AssertionError), holder(tmp_path):
            pass
    with holder(tmp_path):
        pass


def forked(function) -> None:
    """Calls the function in a fork of this process, where it must not fail."""
    child = os.fork()
    if not child:
        status = 1
        try:
            function()
            status = 0
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_a_fork_of_the_holder_holds_nothing(tmp_path):
    def refused():
        assert f"process {os.getppid()} on host" in refusal(tmp_path)

    block = locked(tmp_path)
    with block:
        forked(refused)
        forked(lambda: block.__exit__(None, None, None))
        assert (tmp_path / ".lock").exists()
        with pytest.raises(AssertionError), holder(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


def test_threads_of_a_process_are_one_holder(tmp_path):
    seen = []

    def inside():
        with locked(tmp_path):
            seen.append((tmp_path / ".lock").exists())

    with locked(tmp_path):
        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        assert (tmp_path / ".lock").exists()
    assert seen == [True]


def test_of_many_at_once_one_at_a_time(tmp_path):
    """Holders that come and go, while the file goes and comes with them."""
    count = """
import os, sys
from bridge_tf.utils import locks
locks._POLL_SECONDS = 0.001
for _ in range(50):
    with locks.locked(sys.argv[1], wait=True):
        path = os.path.join(sys.argv[1], "count")
        n = int(open(path).read())
        open(path, "w").write(str(n + 1))
"""
    (tmp_path / "count").write_text("0")
    program = [sys.executable, "-c", count, str(tmp_path)]
    processes = [
        subprocess.Popen(program, cwd=REPOSITORY, stderr=subprocess.DEVNULL) for _ in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "count").read_text() == "150"
    assert [path.name for path in tmp_path.iterdir()] == ["count"]


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    assert "`workdir`: can't lock" in refusal(tmp_path / "absent")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / ".lock").mkdir()
    line = refusal(tmp_path, argument="export_dir")
    assert line.startswith(f"`export_dir`: can't lock {tmp_path} (") and ".lock can be" in line


def test_a_lock_that_is_another_file_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis").write_text("not ours")
    os.link(tmp_path / "thesis", tmp_path / ".lock")
    assert ".lock is a hard link to another file" in refusal(tmp_path)
    (tmp_path / ".lock").unlink()
    (tmp_path / ".lock").symlink_to(tmp_path / "thesis")
    assert ".lock is a link" in refusal(tmp_path)
    (tmp_path / ".lock").unlink()
    os.mkfifo(tmp_path / ".lock")
    assert ".lock is a FIFO" in refusal(tmp_path)
    assert (tmp_path / "thesis").read_text() == "not ours"


def test_a_lock_names_no_credentials(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train", "--storage=s3://key:secret@bucket/run"])
    with locked(tmp_path):
        text = (tmp_path / ".lock").read_text()
    assert "s3://***@bucket/run" in text and "secret" not in text
