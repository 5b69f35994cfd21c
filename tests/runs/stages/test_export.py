"""What a run makes of its exported files; tests/cli/test_runs.py exports quantized ones."""

import pytest

from bridge_tf import ParityError
from bridge_tf.config import Config
from bridge_tf.export.exporter import settings_of, settings_of_files
from bridge_tf.runs import artifacts
from bridge_tf.runs.context import Run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Makes a run with these settings, and an export that was made with others."""

    def run(there: dict | None = None, **settings) -> Run:
        def find(export_dir, name, source, accept):
            return ["found"] if there is not None and accept(there) else []

        monkeypatch.setattr(artifacts, "find_export", find)
        made = Run(Config(**settings), tmp_path / "run")
        made.files.ensemble.parent.mkdir(exist_ok=True)
        made.files.ensemble.write_bytes(b"an ensemble")
        return made

    return run


@pytest.mark.parametrize(
    ("there", "settings", "found"),
    [
        (settings_of([], "float32", 1.05, True), {}, True),
        (settings_of([], "float32", 1.05, True), {"tflite": ["int8"]}, False),
        (settings_of(["int8", "float16"], "uint8", 1.05, True), {"tflite": ["float32"]}, True),
        (settings_of(["int8"], "uint8", 1.05, True), {"tflite": ["int8"]}, False),
        (
            settings_of(["int8", "float16"], "uint8", 1.05, True),
            {"tflite": ["int8"], "tflite_io": "uint8"},
            True,
        ),
        (settings_of([], "float32", 1.1, True), {}, False),
        (settings_of([], "float32", 1.05, False), {}, False),
        (settings_of([], "float32", 1.05, False), {"calibrate": False}, True),
    ],
)
def test_an_export_is_done_if_it_has_what_is_asked_for(run, there, settings, found):
    assert bool(artifacts.exported_files(run(there, **settings))) == found


def test_a_file_that_loses_too_much_is_named_with_both_figures(run):
    rows = [{"file": name, "accuracy": a} for name, a in (("e.keras", 0.9), ("a.int8.tflite", 0.8))]
    artifacts.check_accuracy(run(max_accuracy_drop=0.11), *rows, "tflite")
    message = r"a.int8.tflite is right on 0.8000 .* on 0.9000; .* `max_accuracy_drop=0.05` less"
    with pytest.raises(ParityError, match=message):
        artifacts.check_accuracy(run(max_accuracy_drop=0.05), *rows, "tflite")


def test_rows_of_another_ensemble_are_not_shown(run):
    made = run()
    assert artifacts.artifacts(made) == []
    made.files.claim(made.config)
    made.files.write_json(made.files.artifacts, [{"file": "a"}], [made.files.ensemble])
    assert artifacts.artifacts(made) == [{"file": "a"}]
    made.files.ensemble.write_bytes(b"another ensemble")
    assert artifacts.artifacts(made) == []


@pytest.mark.parametrize(("coverage", "found"), [(0.9, True), (0.95, False), (0.0, False)])
def test_an_export_with_other_prediction_sets_is_made_again(run, coverage, found):
    there = settings_of([], "float32", 1.05, True, 0.9)
    assert bool(artifacts.exported_files(run(there, coverage=coverage))) == found
    del there["coverage"]  # as in earlier exports
    assert bool(artifacts.exported_files(run(there, coverage=coverage))) == (coverage == 0)


@pytest.mark.parametrize(
    ("added", "settings", "found"),
    [
        ({}, {}, True),
        ({}, {"formats": ["onnx"]}, False),
        ({}, {"single": True}, False),
        (settings_of_files(["onnx"], True), {"formats": ["saved_model", "onnx"]}, True),
        (settings_of_files(["onnx"], True), {"single": True}, True),
        (settings_of_files(["onnx"], True), {}, True),
        (settings_of_files([], True), {"formats": ["onnx"], "single": True}, False),
    ],
)
def test_an_export_without_a_format_is_made_again(run, added, settings, found):
    there = settings_of([], "float32", 1.05, True) | added
    assert bool(artifacts.exported_files(run(there, **settings))) == found
