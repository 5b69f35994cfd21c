"""What a run's exported files are worth, measured without the package."""

import functools
import json
import shutil

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


@pytest.mark.parametrize("row", ["deep_ensemble_2", "curve_1", "cascade_2", "bridge_cascade_1"])
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
