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
from tests.commands import done, refused
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("row", ["deep_ensemble_2", "curve_1"])
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


def test_an_unknown_row_is_refused_with_the_known_ones(smoke_run, tmp_path):
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    command = ["export", f"--workdir={finished.work}", f"--export_dir={tmp_path}/e"]
    assert refused(*command, "--ensemble=bridge_9") == (
        "bridge-tf export: --ensemble=bridge_9: isn't a row that can be exported; name one of "
        "single, deep_ensemble_2, curve_1, bridge_1"
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
