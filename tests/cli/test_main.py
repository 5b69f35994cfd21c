"""One process runs many commands; messages of the library are put into words of the commands."""

import json
import logging
import os
import signal
import subprocess
import sys
import warnings

import pytest
from absl import flags as absl_flags

from bridge_tf.cli.command import Command
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.main import main, run_command
from bridge_tf.cli.predict import Options as PredictOptions
from bridge_tf.cli.train import Options as TrainOptions
from bridge_tf.config import Config
from bridge_tf.utils.errors import InputError, ParityError, TrainingError
from bridge_tf.utils.terminal import logger
from tests.commands import done, refused, run
from tests.conftest import REPOSITORY

# Each prints one line where TensorFlow can't be imported.
HELP = """
import contextlib, io, sys
sys.modules.update(dict.fromkeys(("tensorflow", "keras")))
from bridge_tf.cli.main import main
for arguments in (["train", "--help"], ["predict", "--help"], ["train", "--help"]):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            main(arguments)
        except SystemExit as error:
            assert error.code == 0
    print(" ".join(out.getvalue().split(".")[0].split()))
"""


def state():
    loggers = [logging.getLogger(name) for name in (None, "bridge_tf", "tensorflow")]
    return (
        [(x.level, x.propagate, list(x.handlers)) for x in loggers],
        warnings.filters[:],
        [signal.getsignal(signum) for signum in (signal.SIGINT, signal.SIGTERM)],
        set(absl_flags.FLAGS),
        os.getcwd(),
        dict(os.environ),
        (sys.stdout, sys.stderr),
    )


@pytest.mark.integration
def test_flags_of_one_call_are_not_those_of_the_next():
    printed = subprocess.run(
        [sys.executable, "-c", HELP], capture_output=True, text=True, check=True, cwd=REPOSITORY
    ).stdout.splitlines()
    assert printed[0] == printed[2] != printed[1]
    assert printed[0].startswith("Trains modes") and printed[1].startswith("Prints one JSON")


def test_a_call_leaves_everything_as_it_was(tmp_path):
    before = state()
    line = refused("train", "--r=2", "--verbosity=-2", cwd=tmp_path)
    assert line == "bridge-tf train: --r=2.0: must be at most 1"
    assert state() == before
    assert refused("train", cwd=tmp_path) == (
        "bridge-tf train: --workdir: missing; name a folder, as in --workdir=DIR"
    )
    assert state() == before


@pytest.mark.integration
def test_a_run_in_this_process_is_the_same_as_in_its_own(tmp_path):
    flags = ["--smoke", "--jit_compile=false", "--width=0.25", "--stages=modes", "--batch_size=64"]
    digests = []
    for name, process in (("a", False), ("b", False), ("c", True)):
        result = done("train", *flags, f"--workdir={tmp_path / name}", process=process)
        assert result.stderr.startswith("mode 1 of 2: epoch 1/1, loss ")
        manifest = json.loads((tmp_path / name / "manifest.json").read_text())
        digests.append({k: v["sha256"] for k, v in manifest["files"].items() if "modes" in k})
    assert set(digests[0]) == {"modes/0.keras", "modes/1.keras"}
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize(
    ("error", "status"), [(InputError, 2), (TrainingError, 1), (ParityError, 1)]
)
def test_errors_are_a_line_in_words_of_the_command(capsys, error, status):
    def fail(flags):
        logger.info("begins by `stages=modes`")
        raise error("`width=-1`: must be positive,\nunlike `workdir`; `absent` stays")

    with pytest.raises(SystemExit) as left:
        run_command("train", Command("usage", fail, TrainOptions, settings=None), [])
    assert left.value.code == status
    assert capsys.readouterr().err.splitlines() == [
        "begins by --stages=modes",
        "bridge-tf train: --width=-1: must be positive, unlike --workdir; `absent` stays",
    ]


def test_other_errors_are_raised():
    def fail(flags):
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        run_command("train", Command("usage", fail, TrainOptions), [])


def test_a_finished_command_leaves_with_status_0(capsys):
    with pytest.raises(SystemExit) as left:
        main(["predict", "--help"])
    assert left.value.code == 0
    assert capsys.readouterr().out.startswith("Prints one JSON object for each image")


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("`taps`: no layer", "--taps: no layer"),
        ("`taps=a,b`: name each once", "--taps=a,b: name each once"),
        ("(`r=0.5`), `seed=1` (there: 0)", "(--r=0.5), --seed=1 (there: 0)"),
        ("try a lower `learning_rate`", "try a lower --learning_rate"),
        ("in `workdir=DIR`.", "in --workdir=DIR."),
        ("`export_name=a`b`: must", "--export_name=a`b: must"),
        ("`export_name=a\nb`: must", "--export_name=a\nb: must"),
        ("`modes=`: name two", "--modes=: name two"),
        ("run `npm install a` for `seed`", "run `npm install a` for --seed"),
        ("`seeds`, `xtaps`, taps and `taps", "`seeds`, `xtaps`, taps and `taps"),
    ],
)
def test_settings_become_flags(message, words):
    assert Flags(TrainOptions, settings=None).in_words(message) == words


def test_other_commands_name_the_settings_of_a_run_too():
    flags = Flags(PredictOptions)
    assert flags.in_words("`model`: `taps`; train with `repair`") == (
        "--model: --taps; train with --repair"
    )


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--nosmoke=x"], "--nosmoke=x"),
        (["--width"], "--width"),
        (["--flagfile"], "--flagfile"),
        (["--r=x"], "--r=x"),
    ],
)
def test_malformed_flags_are_named(flags, words):
    assert words in refused("train", *flags)


def test_settings_of_a_command_are_those_of_its_own_flags():
    flags = Flags(PredictOptions, ("taps", "batch_size"))
    flags.parse(["--taps=a,b", "image.png"], positional=True)
    assert flags.arguments == ["image.png"]
    assert flags.given(["taps", "batch_size"]) == {"taps": ("a", "b")}
    assert flags.options == PredictOptions()
    assert flags.config(["taps", "batch_size"]) == Config(taps=["a", "b"])


@pytest.mark.integration
def test_the_module_is_the_command():
    program = [sys.executable, "-m", "bridge_tf", "train", "--norm=layer"]
    result = subprocess.run(program, capture_output=True, text=True, cwd=REPOSITORY)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr == run("train", "--norm=layer").stderr
