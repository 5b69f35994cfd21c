import json
import pathlib

import numpy as np
import pytest

from bridge_tf import BridgeEnsemble, build_bridge, export
from bridge_tf.evaluation import latency
from bridge_tf.export import early_exit, scoring
from tests.commands import printed

# Runs the reader where nothing but LiteRT and NumPy can be imported, and prints its answers.
STRANGER = """
import json, runpy, sys
for name in ("bridge_tf", "keras", "tensorflow"):
    sys.modules[name] = None
import numpy as np
reader, tflite, images = sys.argv[1:]
model = runpy.run_path(reader)["EarlyExit"](tflite)
images = np.load(images)
answers = [model(images), *(model(image[None]) for image in images)]
print(json.dumps([{k: v.tolist() for k, v in answer.items()} for answer in answers]))
"""


@pytest.mark.integration
@pytest.mark.parametrize("bridge_type", [1, 2])
def test_only_images_of_low_confidence_go_on(tiny, images, tmp_path, bridge_type):
    base, end = tiny(), tiny()
    modes = [end] if bridge_type == 2 else []
    bridge = build_bridge(base, "relu0", 1, bridge_type=bridge_type)
    ensemble = BridgeEnsemble(base, [bridge], modes).calibrated(1.7, 0.6)
    artifacts = export(ensemble, tmp_path, "model", images)
    expected = ensemble.predict(images, verbose=0)
    of_base = np.exp(expected["log_probabilities"][:, 0])
    threshold = float(np.median(of_base.max(axis=1)))
    stored = {"threshold": threshold, "temperature": 1.4, "base_temperature": 0.6}
    (tmp_path / "model.early_exit.json").write_text(json.dumps(stored))
    np.save(tmp_path / "images.npy", images)
    given = early_exit.__file__, artifacts.tflite, tmp_path / "images.npy"
    whole, *alone = json.loads(printed(STRANGER, *given, cwd=tmp_path))
    goes_on = of_base.max(axis=1) < threshold
    assert whole["whole"] == goes_on.tolist() and goes_on.sum() == 12
    final = of_base ** (1 / 1.4)
    final /= final.sum(axis=1, keepdims=True)
    wanted = np.where(goes_on[:, None], expected["probabilities"], final)
    np.testing.assert_allclose(whole["probabilities"], wanted, atol=1e-4)
    np.testing.assert_allclose([x["probabilities"][0] for x in alone], wanted, atol=1e-4)


def test_the_threshold_of_a_model_is_that_of_all_its_files(tmp_path):
    (tmp_path / "a.v2.early_exit.json").write_text('{"threshold": 0.75}')
    for name in ("a.v2.tflite", "a.v2.int8.tflite"):
        assert early_exit._stored(tmp_path / name) == {"threshold": 0.75}
    with pytest.raises(ValueError, match=r"a.early_exit.json isn't there: give a threshold"):
        early_exit.EarlyExit(pathlib.Path(tmp_path / "a.tflite"))


def test_its_time_is_that_of_an_image_that_stops_and_of_one_that_goes_on(monkeypatch):
    clock = [0.0]

    def takes(amount):
        def call(image):
            assert image.shape == (1, 8, 8, 1)
            clock[0] += amount

        return call

    def seconds(run) -> float:
        start = clock[0]
        run()
        return clock[0] - start

    def reader(path, threshold):
        return takes(2.25 if threshold < 1 else 3.0)

    monkeypatch.setattr(scoring, "EarlyExit", reader)
    monkeypatch.setattr(scoring, "litert_runner", lambda path, signature: takes(2.0))
    monkeypatch.setattr(latency, "seconds", seconds)
    found = scoring.early_exit_ratios("a.int8.tflite", "a.tflite", np.zeros((8, 8, 1)))
    assert found == [1.125, 1.5]


def test_no_images_and_no_numbers_are_refused(tiny, images, tmp_path):
    export(BridgeEnsemble(tiny(), []), tmp_path, "model", images)
    model = early_exit.EarlyExit(tmp_path / "model.tflite", threshold=0.5)
    with pytest.raises(ValueError, match=r"at least one.*shape=\(0, 8, 8, 1\), 0 NaN"):
        model(images[:0])
    with pytest.raises(ValueError, match="64 NaN"):
        model(np.full((1, 8, 8, 1), np.nan))
