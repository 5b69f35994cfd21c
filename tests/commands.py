"""Running the commands as a user does: in this process, or in one of their own."""

import contextlib
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator
from unittest import mock

import keras

from bridge_tf.cli.main import main
from tests.conftest import REPOSITORY


def run(name: str, *arguments, cwd=REPOSITORY, process=False) -> subprocess.CompletedProcess:
    """Runs `bridge-tf NAME`.

    Args:
        process: in a process of its own, by bin/NAME; for what a process is the point of.
    """
    arguments = [str(argument) for argument in arguments]
    if process:
        program = [sys.executable, str(REPOSITORY / "bin" / name), *arguments]
        environment = dict(os.environ)
        environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
        return subprocess.run(program, capture_output=True, text=True, cwd=cwd, env=environment)
    with _captured() as streams, contextlib.chdir(cwd), _as_in_a_new_process():
        status = _status([name, *arguments])
    return subprocess.CompletedProcess([name, *arguments], status, *streams)


def done(name: str, *arguments, cwd=REPOSITORY, process=False) -> subprocess.CompletedProcess:
    """The same, which must succeed."""
    result = run(name, *arguments, cwd=cwd, process=process)
    assert result.returncode == 0, result.stderr
    return result


def refused(name: str, *arguments, cwd=REPOSITORY, process=False) -> str:
    """The one line on standard error of a command that must find its input bad."""
    result = run(name, *arguments, cwd=cwd, process=process)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith(f"bridge-tf {name}: ")
    return lines[0]


def printed(code: str, *arguments, cwd) -> str:
    """What a program prints, given as its text, which must succeed."""
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=True, cwd=cwd).stdout


def _status(arguments: list[str]) -> int:
    try:
        main(arguments)
    except SystemExit as error:
        return error.code
    except Exception:
        traceback.print_exc()
        return 1


@contextlib.contextmanager
def _captured() -> Iterator[list[str]]:
    """Standard output and error of the block, child processes and native code included.

    The list is filled when the block is left.
    """
    texts = []
    with contextlib.ExitStack() as stack:
        files = []
        for number, name in ((1, "stdout"), (2, "stderr")):
            stream = getattr(sys, name)
            stream.flush()
            file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8", buffering=1))
            files.append(file)
            kept = os.dup(number)
            stack.callback(os.close, kept)
            os.dup2(file.fileno(), number)
            stack.callback(os.dup2, kept, number)
            stack.enter_context(mock.patch.object(sys, name, file))
        yield texts
        for file in files:
            file.flush()
            file.seek(0)
            texts.append(file.read())


@contextlib.contextmanager
def _as_in_a_new_process() -> Iterator[None]:
    """Names of layers are counted from the beginning, and nothing global changes for others."""
    policy = keras.config.dtype_policy()
    keras.backend.clear_session(free_memory=False)
    try:
        with mock.patch.dict(os.environ):
            os.environ.pop("TF_CPP_MIN_LOG_LEVEL", None)  # as the command sets it
            yield
    finally:
        keras.config.set_dtype_policy(policy)
        keras.utils.set_random_seed(0)  # as each test begins
