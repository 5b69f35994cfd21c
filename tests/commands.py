"""Running the commands as a user does: in processes of their own."""

import os
import subprocess
import sys

from tests.conftest import REPOSITORY


def run(name: str, *arguments, cwd=REPOSITORY) -> subprocess.CompletedProcess:
    """Runs bin/NAME with this interpreter."""
    program = [sys.executable, str(REPOSITORY / "bin" / name), *map(str, arguments)]
    environment = {key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"}
    return subprocess.run(program, capture_output=True, text=True, cwd=cwd, env=environment)


def done(name: str, *arguments, cwd=REPOSITORY) -> subprocess.CompletedProcess:
    """The same, which must succeed."""
    result = run(name, *arguments, cwd=cwd)
    assert result.returncode == 0, result.stderr
    return result


def refused(name: str, *arguments, cwd=REPOSITORY) -> str:
    """The one line on standard error of a command that must find its input bad."""
    result = run(name, *arguments, cwd=cwd)
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith(f"{name}: ")
    return lines[0]


def printed(code: str, *arguments, cwd) -> str:
    """What a program prints, given as its text, which must succeed."""
    program = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=True, cwd=cwd).stdout
