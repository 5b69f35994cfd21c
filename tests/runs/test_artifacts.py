"""The exported files of a run: in which folder they are."""

import dataclasses

import pytest

from bridge_tf.config import Config
from bridge_tf.export.layout import publish, staging
from bridge_tf.runs.artifacts import exported_file
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with the files of all trainings, empty ones, whose export folder is `trained`."""
    monkeypatch.chdir(tmp_path)
    config = Config(num_modes=2, export_dir="trained", export_name="a")
    files = Run(config, "run").files
    files.claim(config)
    for path in (files.mode(0), files.mode(1), files.curve((0, 1)), files.bridge((0, 1))):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    files.ensemble.write_bytes(b"ensemble")
    return Run(config, "run")


def export(run, folder, source=None):
    with staging(run.files.path.parent / folder) as staged:
        (staged / "saved_model").mkdir()
        (staged / "model.tflite").write_bytes(b"model")
        publish(staged, "a", source or run.files.manifest.digest(run.files.ensemble))


def elsewhere(run, folder="other"):
    config = dataclasses.replace(run.config, export_dir=folder)
    return Run(config, run.files.path)


def test_an_export_is_found_where_it_was_put(run, tmp_path):
    export(run, "trained")
    assert exported_file(run) == tmp_path / "trained" / "a.tflite"
    export(run, "other")
    assert exported_file(elsewhere(run)) == tmp_path / "other" / "a.tflite"


def test_an_export_of_another_ensemble_is_none(run):
    export(run, "trained", source="another")
    message = r"run isn't exported to trained; export it first, or name another `export_dir`"
    with pytest.raises(InputError, match=message):
        exported_file(run)
    run.files.ensemble.unlink()
    with pytest.raises(InputError, match=message):
        exported_file(run)


def test_without_an_export_both_places_are_named(run):
    message = r"exported to other or trained; export it first"
    with pytest.raises(InputError, match=message):
        exported_file(elsewhere(run))
    export(run, "trained")
    message = r"`export_dir`: other holds no export of the run in run, but trained does: leave"
    with pytest.raises(InputError, match=message):
        exported_file(elsewhere(run))


@pytest.mark.parametrize(
    ("stage", "missing"),
    [("modes", "modes/1"), ("curves", "curves/0-1"), ("bridges", "bridges/0-1")],
)
def test_a_run_that_is_not_trained_names_its_stage(run, stage, missing):
    run.files.ensemble.unlink()
    (run.files.path / f"{missing}.keras").unlink()
    message = rf"stage {stage} isn't done \(run/{missing}.keras is missing\); train with the"
    with pytest.raises(InputError, match=message):
        exported_file(run)
