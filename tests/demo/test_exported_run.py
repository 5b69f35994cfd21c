"""Runs that the demo is given: trained or not, exported here or there."""

import dataclasses
import subprocess
import sys
import types
import urllib.request

import pytest

from bridge_tf.config import Config
from bridge_tf.demo.exported_run import exported_file
from bridge_tf.export.layout import publish, staging
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from tests.commands import done, refused
from tests.conftest import REPOSITORY


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with the files of all trainings, empty ones, whose export folder is `trained`."""
    monkeypatch.chdir(tmp_path)
    config = Config(num_modes=2, export_dir="trained", export_name="a")
    files = WorkDir("run")
    files.claim(config)
    for path in (files.mode(0), files.mode(1), files.curve((0, 1)), files.bridge((0, 1))):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    files.ensemble.write_bytes(b"ensemble")
    return types.SimpleNamespace(files=files, config=config)


def export(run, folder, source=None):
    with staging(run.files.path.parent / folder) as staged:
        (staged / "saved_model").mkdir()
        (staged / "model.tflite").write_bytes(b"model")
        publish(staged, "a", source or run.files.manifest.digest(run.files.ensemble))


def elsewhere(run, folder="other"):
    config = dataclasses.replace(run.config, export_dir=folder)
    return types.SimpleNamespace(files=run.files, config=config)


def test_an_export_is_found_where_it_was_put(run, tmp_path):
    export(run, "trained")
    assert exported_file(run) == tmp_path / "trained" / "a.tflite"
    export(run, "other")
    assert exported_file(elsewhere(run)) == tmp_path / "other" / "a.tflite"


def test_an_export_of_another_ensemble_is_none(run):
    export(run, "trained", source="another")
    message = r"run isn't exported to trained; run bin/export --workdir=run --export_dir=trained f"
    with pytest.raises(InputError, match=message):
        exported_file(run)
    run.files.ensemble.unlink()
    with pytest.raises(InputError, match=message):
        exported_file(run)


def test_without_an_export_both_places_are_named(run):
    message = r"exported to other or trained; run bin/export --workdir=run --export_dir=other first"
    with pytest.raises(InputError, match=message):
        exported_file(elsewhere(run))
    export(run, "trained")
    message = r"--export_dir: other holds no export of the run in run, but trained does: leave"
    with pytest.raises(InputError, match=message):
        exported_file(elsewhere(run))


@pytest.mark.parametrize(
    ("stage", "missing"),
    [("modes", "modes/1"), ("curves", "curves/0-1"), ("bridges", "bridges/0-1")],
)
def test_a_run_that_is_not_trained_names_its_stage(run, stage, missing):
    run.files.ensemble.unlink()
    (run.files.path / f"{missing}.keras").unlink()
    message = rf"stage {stage} isn't done \(run/{missing}.keras is missing\); bin/train with the"
    with pytest.raises(InputError, match=message):
        exported_file(run)


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
    assert "the run's stage curves isn't done" in said and "bin/train" in said
