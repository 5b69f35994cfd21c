"""What a run's exported files are worth, measured without the package."""

import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import load_dataset
from bridge_tf.config import SMOKE_IMAGES
from tests.commands import done
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration


def test_exported_probabilities_have_the_calibrated_nll_of_the_report(smoke_run, tmp_path):
    """Which is computed here from the files and the labels alone."""
    finished = smoke_run(REPOSITORY / "configs" / "digits.flags")
    work = shutil.copytree(finished.work, tmp_path / "work")
    done("export", f"--workdir={work}", f"--export_dir={tmp_path}/raw", "--nocalibrate")
    rows = json.loads((work / "report.json").read_text())["ensembles"]
    rows = [row for row in rows if row["method"] in ("single", "bridge")]
    test = load_dataset("digits").limited(SMOKE_IMAGES).test
    image = test.images.astype("float32")

    def nll(path, signature) -> float:
        if path.is_dir():
            run = tf.saved_model.load(str(path / "1")).signatures[signature]
        else:
            run = Interpreter(str(path)).get_signature_runner(signature)
        given = image.astype("uint8") if signature == "serving_uint8" else image
        probabilities = np.asarray(run(image=tf.constant(given))["probabilities"], "float64")
        return -np.log(probabilities[np.arange(len(test)), test.labels]).mean()

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
