"""The images that an export is compared with, in the forms that people have them."""

import pytest
import tensorflow as tf

from bridge_tf import BridgeEnsemble, InputError, build_bridge, export


@pytest.mark.integration
def test_images_may_come_in_batches_with_labels(tiny, images, labels, tmp_path):
    base = tiny()
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 1)])
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(7).repeat()
    artifacts = export(
        ensemble, tmp_path, "model", batches, None, tflite=["int8"], calibration=batches.take(2)
    )
    assert artifacts.max_difference < 1e-5
    assert (tmp_path / "model.int8.tflite").exists()
    with pytest.raises(InputError, match=r"^`images`: has no batches"):
        export(ensemble, tmp_path, "other", batches.take(0))
