"""Exported files of residual bridges: export itself compares their answers."""

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, build_bridge, export
from bridge_tf.export.early_exit import EarlyExit

pytestmark = pytest.mark.integration


@pytest.fixture
def ensemble(tiny):
    base, bridges = tiny(), []
    for seed in range(2):
        bridges.append(build_bridge(base, "relu0", 1, residual=True))
        generator = np.random.default_rng(seed)
        for variable in bridges[-1].trainable_variables:
            variable.assign_add(generator.normal(0, 0.3, variable.shape))
    return BridgeEnsemble(base, bridges)


def test_all_signatures_answer_as_the_ensemble(ensemble, images, tmp_path):
    images = np.round(images)
    options = {"tflite": ["int8"], "calibration": images}
    artifacts = export(ensemble, tmp_path, "model", images, **options)
    wanted = ensemble.predict(images, verbose=0)
    members = np.exp(wanted["log_probabilities"])
    assert np.abs(members[:, 1:] - members[:, :1]).max() > 0.01

    for name, atol in (("model", 1e-4), ("model.int8", 0.1)):
        interpreter = Interpreter(str(tmp_path / f"{name}.tflite"))
        run = interpreter.get_signature_runner
        first = run("taps")(image=images)
        assert {*first} == {"feature_0", "feature_1", "probabilities"}
        for found in (run("serving_default")(image=images), run("bridges")(**first)):
            np.testing.assert_allclose(found["probabilities"], wanted["probabilities"], atol=atol)
        for k in range(2):
            features = {key: first[key] for key in ("feature_0", "feature_1")}
            found = run(f"bridge_{k}")(**features)["probabilities"]
            np.testing.assert_allclose(found, members[:, k + 1], atol=atol)

    early = EarlyExit(artifacts.tflite, threshold=1.1)(images)
    assert early["whole"].all()
    np.testing.assert_allclose(early["probabilities"], wanted["probabilities"], atol=1e-4)
