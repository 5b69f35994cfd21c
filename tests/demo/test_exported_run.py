"""Runs that the demo shows: exported here or there, or not yet."""

import subprocess
import sys
import urllib.request

import pytest

from tests.commands import done, refused
from tests.conftest import REPOSITORY


def examples_shown(*flags) -> int:
    """How many example pictures bin/demo gives."""
    program = [sys.executable, str(REPOSITORY / "bin" / "demo"), "--port=0", *map(str, flags)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().strip()
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}about.json", timeout=10) as answer:
            return answer.read().count(b'"image"')
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_a_finished_run_is_shown(smoke_run, runtime, tmp_path):
    run = smoke_run(REPOSITORY / "configs" / "digits.flags")
    flags = [f"--workdir={run.work}", f"--runtime={runtime}"]
    assert examples_shown(*flags) == 40
    other = f"--export_dir={tmp_path / 'other'}"
    assert "but " in refused("demo", *flags, other)
    done("export", f"--workdir={run.work}", other)
    assert examples_shown(*flags, other) == 40


@pytest.mark.slow
def test_a_run_that_is_half_trained_is_refused(tmp_path, smoke_run):
    run = smoke_run(REPOSITORY / "configs" / "digits.flags")
    flags = [flag for flag in run.flags if "dir=" not in flag]
    flags += [f"--workdir={tmp_path / 'work'}", f"--export_dir={tmp_path}"]
    done("train", *flags, "--stages=modes")
    said = refused("demo", f"--workdir={tmp_path / 'work'}")
    assert "the run's stage curves isn't done" in said
