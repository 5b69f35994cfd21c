"""Signals, a full disk, and runs that would have a command run code; without TensorFlow."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

from bridge_tf.config import Config
from bridge_tf.runs.work_dir import WorkDir
from tests.commands import done, refused, run
from tests.conftest import REPOSITORY

IMPORTING = "import pathlib, time; pathlib.Path('ready').touch(); time.sleep(60)"
SECONDS = 60  # that a command may take to get somewhere
AGAIN = "bridge-tf train: interrupted; what is done is kept, run it again to go on"


@pytest.fixture
def keras(tmp_path, monkeypatch):
    """Replaces Keras, for commands, by a module of the given text."""

    def keras(text: str):
        (tmp_path / "modules").mkdir()
        (tmp_path / "modules" / "keras.py").write_text(text)
        paths = os.pathsep.join([str(tmp_path / "modules"), str(REPOSITORY)])
        monkeypatch.setenv("PYTHONPATH", paths)

    return keras


@pytest.fixture
def work(tmp_path):
    """A work directory whose run imports a module, which says so in a file."""
    (tmp_path / "my_layers.py").write_text("open('imported', 'w').close()")
    return work_directory(tmp_path / "work", imports=["my_layers"])


def work_directory(path, **settings):
    WorkDir(path).claim(Config(**settings))
    return path


def interrupted(name: str, *arguments, cwd, ready, signum) -> list[str]:
    """What bin/NAME says to a signal that comes once `ready` is true of it."""
    program = [sys.executable, str(REPOSITORY / "bin" / name), *map(str, arguments)]
    with subprocess.Popen(program, cwd=cwd, stderr=subprocess.PIPE, text=True) as process:
        try:
            wait_until(ready, process)
            process.send_signal(signum)
            _, err = process.communicate(timeout=10)
        finally:
            process.kill()
    assert process.returncode == 128 + signum
    return err.splitlines()


def wait_until(ready, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + SECONDS
    while not ready():
        if process.poll() is not None:
            raise AssertionError(f"ended before it was ready: {process.communicate()[1]}")
        assert time.monotonic() < deadline, f"not ready within {SECONDS} s"
        time.sleep(0.01)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("program", "seconds", "message"),
    [
        ("raise SystemExit('no such flag')", 60, "ended before it was ready: no such flag"),
        ("import time; time.sleep(60)", 0.1, "not ready within"),
    ],
)
def test_waiting_for_a_command_ends(monkeypatch, program, seconds, message):
    monkeypatch.setattr("tests.cli.test_stops.SECONDS", seconds)
    arguments = [sys.executable, "-c", program]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True) as process:
        try:
            with pytest.raises(AssertionError, match=message):
                wait_until(lambda: False, process)
        finally:
            process.kill()


@pytest.mark.integration
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("name", "line"), [("train", AGAIN), ("evaluate", "bridge-tf evaluate: interrupted")]
)
def test_a_signal_while_tensorflow_is_imported(keras, tmp_path, name, line, signum):
    keras(IMPORTING)
    workdir = tmp_path / "work"
    if name == "evaluate":
        work_directory(workdir)

    ready = (tmp_path / "ready").exists
    lines = interrupted(name, f"--workdir={workdir}", cwd=tmp_path, ready=ready, signum=signum)
    assert lines == [line]
    assert workdir.exists() == (name == "evaluate")


@pytest.mark.integration
def test_a_signal_while_flags_are_read(tmp_path):
    os.mkfifo(tmp_path / "flags")
    opened = []

    def ready():
        with contextlib.suppress(OSError):  # nobody reads it yet
            opened.append(os.open(tmp_path / "flags", os.O_WRONLY | os.O_NONBLOCK))
        return opened

    lines = interrupted(
        "train", "--flagfile=flags", cwd=tmp_path, ready=ready, signum=signal.SIGTERM
    )
    os.close(opened[0])
    assert lines == [AGAIN]


@pytest.mark.integration
@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("raise OSError(28, 'No space left on device', '/data/0.keras')", " (/data/0.keras)"),
        ("import errno; raise OSError(errno.EDQUOT, 'Disk quota exceeded')", ""),
        ("raise RuntimeError('Can\\'t write data (errno = 28, No space left on device)')", ""),
        ("try: raise OSError(28, '')\nfinally: raise ValueError('an open handle')", ""),
        ("raise OSError(27, 'File too large', 'a')", ", or files may not be as large (a)"),
    ],
)
def test_a_full_disk_is_one_line(keras, tmp_path, text, where):
    keras(text)
    result = run("train", f"--workdir={tmp_path / 'work'}", process=True)
    assert result.returncode == 1
    assert result.stderr == (
        f"bridge-tf train: the disk is full{where}; what is done is kept: free some space and run "
        "it again\n"
    )


@pytest.mark.integration
def test_other_failures_keep_their_traceback(keras, tmp_path):
    keras("raise OSError(5, 'Input/output error')")
    result = run("train", f"--workdir={tmp_path / 'work'}", process=True)
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback") and "Input/output error" in result.stderr


@pytest.mark.parametrize("name", ["evaluate", "export", "study"])
def test_a_run_cannot_make_a_command_run_code(work, tmp_path, name):
    flags = [f"--workdir={work}", *(["--export_dir=there"] if name == "export" else [])]
    question = "the run imports my_layers; if you trust it, name it again by --imports=my_layers"
    for more in ([], ["--imports=json"]):
        assert refused(name, *flags, *more, cwd=tmp_path) == (
            f"bridge-tf {name}: --workdir: {question}"
        )
    assert not (tmp_path / "imported").exists()


def test_what_is_named_again_is_imported(work, tmp_path):
    (tmp_path / "my_layers.py").write_text("raise OSError('as wished')")
    line = refused("evaluate", f"--workdir={work}", "--imports=json,my_layers", cwd=tmp_path)
    assert "--imports=my_layers: can't be imported (as wished)" in line


def test_all_of_several_modules_are_to_be_named(tmp_path):
    work = work_directory(tmp_path / "work", imports=["a", "b"])
    line = refused("evaluate", f"--workdir={work}", "--imports=a")
    assert line.endswith("imports a, b; if you trust them, name them again by --imports=a,b")


def test_writers_can_wait_and_train_can_repair():
    for name in ("train", "evaluate", "export"):
        printed = done(name, "--help").stdout
        assert "\n  --wait: Wait until no other process uses the work directory." in printed
        assert ("\n  --repair: Make the run's damaged files again." in printed) == (name == "train")
    assert "--wait" not in done("study", "--help").stdout


@pytest.mark.integration
def test_a_reader_that_has_left_is_no_traceback():
    reader, writer = os.pipe()
    os.close(reader)
    program = [sys.executable, REPOSITORY / "bin" / "train", "--help"]
    with os.fdopen(writer, "wb") as stdout:
        result = subprocess.run(program, stdout=stdout, stderr=subprocess.PIPE, timeout=60)
    assert (result.returncode, result.stderr) == (1, b"")


@pytest.mark.integration
@pytest.mark.parametrize(
    "text",
    [
        "raise MemoryError",
        "class ResourceExhaustedError(Exception): pass\nraise ResourceExhaustedError('on a GPU')",
        "raise RuntimeError('RESOURCE_EXHAUSTED: Out of memory')",
        "try: raise MemoryError\nexcept MemoryError as error: raise ValueError('x') from error",
    ],
)
def test_out_of_memory_is_one_line(keras, tmp_path, text):
    keras(text)
    result = run("train", f"--workdir={tmp_path / 'work'}", process=True)
    assert result.returncode == 1
    assert result.stderr == (
        "bridge-tf train: out of memory; take a smaller --batch_size, a smaller network or fewer "
        "images, or a machine with more\n"
    )


@pytest.mark.integration
def test_a_place_that_cannot_be_read_is_one_line(keras, tmp_path):
    keras("raise PermissionError(13, 'Permission denied', '/data/a')")
    result = run("train", f"--workdir={tmp_path / 'work'}", process=True)
    assert (result.returncode, result.stderr) == (
        2,
        "bridge-tf train: /data/a: Permission denied; name a place that can be read and written\n",
    )


@pytest.mark.integration
def test_a_traceback_holds_no_credentials(keras, tmp_path):
    keras("raise RuntimeError('s3://key:secret@bucket')")
    result = run("train", f"--workdir={tmp_path / 'work'}", process=True)
    assert result.returncode == 1 and "Traceback" in result.stderr
    assert result.stderr.splitlines()[-1] == "RuntimeError: s3://***@bucket"
    assert "secret" not in result.stderr
