"""Help, which must answer before TensorFlow could be imported."""

import dataclasses
import os
import re
import subprocess
import sys

import pytest

from bridge_tf.cli.main import COMMANDS
from bridge_tf.config import Config
from bridge_tf.config.execution import ExecutionSettings
from tests.commands import done, run
from tests.conftest import REPOSITORY

# Runs a command's file where importing TensorFlow or Keras fails.
WITHOUT = """
import runpy, sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras", "sklearn", "scipy")))
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def help_of(name: str, flag: str = "--help") -> str:
    """What is printed, in one line."""
    return " ".join(done(name, flag).stdout.split())


def test_every_command_has_a_file_for_a_checkout():
    assert sorted(COMMANDS) == sorted(path.name for path in (REPOSITORY / "bin").iterdir())


@pytest.mark.integration
@pytest.mark.parametrize("name", COMMANDS)
def test_help_needs_no_tensorflow(name):
    program = [sys.executable, "-c", WITHOUT, str(REPOSITORY / "bin" / name), "--help"]
    result = subprocess.run(program, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert f"bridge-tf {name}" in result.stdout
    assert "--flagfile" in result.stdout


@pytest.mark.integration
@pytest.mark.parametrize("flags", [[], ["--help"], ["-h"]])
def test_commands_are_listed(flags):
    program = [sys.executable, "-m", "bridge_tf", *flags]
    result = subprocess.run(program, capture_output=True, text=True, cwd=os.sep)
    assert (result.returncode, result.stderr) == (0, "")
    for name, what in COMMANDS.items():
        assert f"\n  {name} " in result.stdout and what in result.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tarin", "no subcommand 'tarin'; nearest: train"),
        ("--workdir=x", "no subcommand '--workdir=x'; name one of train, evaluate, export, "),
    ],
)
def test_a_mistyped_command_is_named(name, words):
    result = run(name)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.startswith(f"bridge-tf: {words}") and result.stderr.count("\n") == 1


def test_every_setting_is_a_documented_flag_of_train():
    printed = help_of("train", "--helpfull")
    assert "`" not in printed  # by which the library names settings
    for field in dataclasses.fields(Config):
        words = re.sub("`([^`]*)`", r"--\1", field.metadata["help"])
        assert f" --{field.name}: {words}" in printed


def test_flags_are_in_groups():
    printed = done("train", "--helpfull").stdout
    headings = [line for line in printed.splitlines() if line and line[0] != " "][2:]
    subjects = [base.__doc__.partition(".")[0] for base in reversed(Config.__bases__)]
    assert headings == [f"{text}:" for text in ("The run", *subjects, "Every command")]
    curves = printed.partition("\nThe curves between modes:\n")[2].partition("\n\n")[0]
    names = [line.split(":")[0] for line in curves.splitlines() if line.startswith("  --")]
    assert names == ["  --align", "  --curve_degree", "  --curve_kind"]


def test_what_clusters_need_is_told_when_all_is_asked_for():
    few, all_of_it = help_of("train"), help_of("train", "--helpfull")
    for field in dataclasses.fields(ExecutionSettings):
        assert f" --{field.name}: " not in few
        assert f" --{field.name}: " in all_of_it
    assert "--helpfull: Show flags for clusters and several devices, too." in few
    assert "--helpfull" not in help_of("export")


def test_choices_are_told():
    printed = help_of("train", "--helpfull")
    told = "Normalization of the resnets and vgg8. (one of frn, batch; default: frn)"
    assert f"--norm: {told}" in printed
    assert "both end points. (one of 1, 2; default: 1)" in printed
    for field in dataclasses.fields(Config):
        if choices := field.metadata.get("choices"):
            few = "some" if isinstance(field.default, tuple) else "one"
            assert f"({few} of {', '.join(map(str, choices))}" in printed
    assert "(some of qat, prune, cluster)" in help_of("compress")
