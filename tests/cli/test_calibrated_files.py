"""What a run's exported files are worth, measured without the package."""

import functools
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import load_dataset
from bridge_tf.config import SMOKE_IMAGES
from bridge_tf.runs.work_dir import WorkDir
from tests.commands import done, refused
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration


# Of the slow ones, files are compared with the networks in tests/export/.
@pytest.mark.parametrize(
    "row",
    [
        "deep_ensemble_2",
        pytest.param("curve_1", marks=pytest.mark.slow),
        pytest.param("cascade_2", marks=pytest.mark.slow),
        "bridge_cascade_1",
    ],
)
def test_an_exported_row_has_the_calibrated_nll_of_the_report(smoke_run, tmp_path, row):
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    before = sorted(path.name for path in finished.work.rglob("*"))
    command = ["export", f"--workdir={finished.work}", f"--export_dir={tmp_path}"]
    folder, file = tmp_path / f"digits-{row}", tmp_path / f"digits-{row}.tflite"
    assert done(*command, f"--ensemble={row}").stdout.split() == [str(folder / "1"), str(file)]
    assert sorted(path.name for path in finished.work.rglob("*")) == before
    rows = json.loads((finished.work / "report.json").read_text())["ensembles"]
    (wanted,) = (found["calibrated_nll"] for found in rows if found["name"] == row)
    test = load_dataset("digits").limited(SMOKE_IMAGES).test
    for path in (folder, file):
        assert _nll(path, "serving_default", test) == pytest.approx(wanted, abs=1e-4)
        assert _nll(path, "base", test) == pytest.approx(rows[0]["calibrated_nll"], abs=1e-4)


def test_a_recommended_cascade_is_exported_again_with_another_threshold(smoke_run, tmp_path):
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    work = shutil.copytree(finished.work, tmp_path / "work")
    report, command = work / "report.json", ["export", f"--workdir={work}"]
    command += [f"--export_dir={tmp_path}/e", "--ensemble=recommended"]
    files = WorkDir(work)
    sources = [work / name for name in files.manifest.entry(report)["made_from"]]

    def exported(threshold: float) -> list[str]:
        content = json.loads(report.read_text())
        content["recommendation"]["name"] = "cascade_2"
        (row,) = (row for row in content["ensembles"] if row["name"] == "cascade_2")
        row["threshold"] = threshold
        files.write_json(report, content, sources)
        return done(*command).stdout.split()

    versions = [exported(threshold)[0] for threshold in (0.5, 0.5, 0.25)]
    assert versions == [f"{tmp_path}/e/digits-cascade_2/{k}" for k in (1, 1, 2)]
    stored = tmp_path / "e" / "digits-cascade_2.early_exit.json"
    assert json.loads(stored.read_text())["threshold"] == 0.25
    card = (tmp_path / "e" / "digits-cascade_2.md").read_text()
    assert "one network, predicts the images whose top probability is at least 0.25; the" in card

    # A report of other networks than are there.
    files.write_json(report, json.loads(report.read_text()), sources[1:])
    assert refused(*command) == (
        f"bridge-tf export: --ensemble=recommended: {report} isn't of the networks that are there; "
        "evaluate the run again"
    )


def test_what_a_cascade_cannot_be_exported_with_is_refused(smoke_run, tmp_path):
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    command = ["export", f"--workdir={finished.work}", f"--export_dir={tmp_path}/e"]
    assert refused(*command, "--ensemble=cascade_2", "--nocalibrate") == (
        "bridge-tf export: --calibrate=false: cascade_2 decides by calibrated probabilities; leave "
        "it out"
    )
    assert "--ensemble=cascade_9: isn't a row of" in refused(*command, "--ensemble=cascade_9")
    assert not any((tmp_path / "e").glob("*"))


def test_an_unknown_row_is_refused_with_the_known_ones(smoke_run, tmp_path):
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    command = ["export", f"--workdir={finished.work}", f"--export_dir={tmp_path}/e"]
    assert refused(*command, "--ensemble=bridge_9") == (
        "bridge-tf export: --ensemble=bridge_9: isn't a row that can be exported; name one of "
        "single, deep_ensemble_2, curve_1, bridge_1, cascade_2, bridge_cascade_1"
    )


def _nll(path, signature, test) -> float:
    """The NLL of a file's probabilities, by its runtime alone."""
    image = test.images.astype("uint8" if signature == "serving_uint8" else "float32")
    if path.is_dir():
        run = tf.saved_model.load(str(path / "1")).signatures[signature]
    else:
        run = Interpreter(str(path)).get_signature_runner(signature)
    probabilities = np.asarray(run(image=tf.constant(image))["probabilities"], "float64")
    return -np.log(probabilities[np.arange(len(test)), test.labels]).mean()


def _outputs(path, images) -> dict:
    if path.is_dir():
        run = tf.saved_model.load(str(path / "1")).signatures["serving_default"]
    else:
        run = Interpreter(str(path)).get_signature_runner("serving_default")
    outputs = run(image=tf.constant(images.astype("float32")))
    return {name: np.asarray(value) for name, value in outputs.items()}


def test_exported_prediction_sets_cover_as_the_report_says(smoke_run, tmp_path):
    """On the run's test images: each file's sets are the rule's, computed here by a plain loop."""
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    work = shutil.copytree(finished.work, tmp_path / "work")
    command = ["export", f"--workdir={work}", f"--export_dir={tmp_path}", "--coverage=0.9"]
    done(*command, "--tflite=int8")
    test = load_dataset("digits").limited(SMOKE_IMAGES).test
    metadata = json.loads((tmp_path / "digits.metadata.json").read_text())["files"]
    rules = {item["file"]: item["prediction_set"] for item in metadata}
    report = json.loads((work / "report.json").read_text())
    rows = {row["file"]: row["prediction_sets"] for row in report["artifacts"][1:]}
    for path in (tmp_path / "digits", tmp_path / "digits.tflite", tmp_path / "digits.int8.tflite"):
        outputs = _outputs(path, test.images)
        file = path.name if path.suffix else "digits.tflite"
        assert outputs["prediction_set"].dtype == bool
        found, probabilities = outputs["prediction_set"], outputs["probabilities"]
        rule = rules[file]
        for row, in_set in zip(probabilities, found, strict=True):
            higher = [row[row > p] for p in row]
            ranks = np.array([len(x) + 1 for x in higher])
            scores = [x.sum() for x in higher] + rule["penalty"] * np.maximum(
                ranks - rule["k_reg"], 0
            )
            far = abs(scores - rule["quantile"]) > 1e-6
            assert ((scores <= rule["quantile"]) == in_set)[far].all()
        measured = rows[file]
        assert measured["quantile"] == rule["quantile"]
        assert found[np.arange(len(test)), test.labels].mean() == measured["test_coverage"]
        assert found.sum(axis=1).mean() == pytest.approx(measured["mean_size"], abs=1e-12)
        assert measured["test_coverage"] > 0.8 and measured["mean_size"] > 1
    (row,) = (row for row in report["prediction_sets"]["rows"] if row["coverage"] == 0.9)
    assert rows["digits.tflite"] == pytest.approx(row, abs=1e-5)
    image = tmp_path / "digit.png"
    keras.utils.save_img(image, test.images[0], scale=False)
    for path in (tmp_path / "digits", tmp_path / "digits.tflite"):
        said = json.loads(done("predict", f"--model={path}", image).stdout)
        wanted = _outputs(path, test.images[:1])["prediction_set"][0]
        assert said["prediction_set"] == [str(k) for k in np.flatnonzero(wanted)]


def test_exported_probabilities_have_the_calibrated_nll_of_the_report(smoke_run, tmp_path):
    """Which is computed here from the files and the labels alone."""
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    work = shutil.copytree(finished.work, tmp_path / "work")
    done("export", f"--workdir={work}", f"--export_dir={tmp_path}/raw", "--nocalibrate")
    rows = json.loads((work / "report.json").read_text())["ensembles"]
    rows = [row for row in rows if row["method"] in ("single", "bridge")]
    test = load_dataset("digits").limited(SMOKE_IMAGES).test
    nll = functools.partial(_nll, test=test)
    for folder, key in ((finished.exports, "calibrated_nll"), (tmp_path / "raw", "nll")):
        for path in (folder / "digits", folder / "digits.tflite"):
            assert nll(path, "base") == pytest.approx(rows[0][key], abs=1e-4)
            assert nll(path, "serving_default") == pytest.approx(rows[-1][key], abs=1e-4)
        assert nll(folder / "digits", "serving_uint8") == pytest.approx(rows[-1][key], abs=1e-4)
    assert abs(rows[-1]["calibrated_nll"] - rows[-1]["nll"]) > 1e-3
    metadata = json.loads((finished.exports / "digits.metadata.json").read_text())
    (temperatures,) = (item["temperatures"] for item in metadata["files"])
    assert temperatures["ensemble"] == pytest.approx(rows[-1]["temperature"], rel=1e-5)
    assert temperatures["base"] == pytest.approx(rows[0]["temperature"], rel=1e-5)
