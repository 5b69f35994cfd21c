"""Makes what the runtimes run: an ensemble and its base, exported, and what Keras predicts.

ResNet-8 with batch normalization and two bridges behind stage2_block1, 32×32×3, 10 classes. Weights
are drawn, not trained: a runtime's arithmetic doesn't depend on it. Logits are shifted and scaled
so that all classes are predicted, some by a small margin. Images are scikit-learn's digits,
enlarged and coloured.
"""

import json
import pathlib

import numpy as np

SHAPE, CLASSES, IMAGES = (32, 32, 3), 10, 200
# Standard deviation of the logits of a class.
_SPREAD = 2.0


def make(folder: pathlib.Path) -> None:
    """Writes model.* and base.* as `bridge_tf.export` does, and images.npz, to a folder."""
    import bridge_tf
    from bridge_tf.networks.flops import count_flops

    images = digits()
    ensemble = _ensemble(images)
    names = [f"class {k}" for k in range(CLASSES)]
    options = {"formats": ["onnx"], "single": True}
    alone = bridge_tf.BridgeEnsemble(ensemble.base, [])
    for name, exported in (("model", ensemble), ("base", alone)):
        bridge_tf.export(exported, folder, name, images[:32], names, **options)
    probabilities = ensemble.predict(images, verbose=0)["probabilities"]
    ratio = count_flops(ensemble) / count_flops(ensemble.base)
    (folder / "relative_flops.json").write_text(json.dumps(ratio))
    np.savez(folder / "images.npz", images=images.astype("uint8"), probabilities=probabilities)


def digits() -> np.ndarray:
    """Images N×32×32×3, whole numbers from 0 to 255, float32."""
    from sklearn.datasets import load_digits

    grey = load_digits().images[:IMAGES] / 16
    large = np.kron(grey, np.ones((4, 4)))
    colours = np.random.default_rng(0).uniform(0.3, 1, (IMAGES, 1, 1, 3))
    return np.round(255 * large[..., None] * colours).astype("float32")


def _ensemble(images: np.ndarray):
    import keras

    import bridge_tf

    keras.utils.set_random_seed(0)
    base = bridge_tf.build_network("resnet8", SHAPE, CLASSES, norm="batch")
    bridges = [bridge_tf.build_bridge(base, "stage2_block1", 0.5) for _ in range(2)]
    ensemble = bridge_tf.BridgeEnsemble(base, bridges)
    generator = np.random.default_rng(0)
    for variable in ensemble.variables:
        drawn = variable.numpy() + generator.normal(0, 0.05, variable.shape)
        variable.assign(np.abs(drawn) + 0.01 if "variance" in variable.path else drawn)
    members = ensemble.predict(images, verbose=0)["log_probabilities"]
    networks = (ensemble.base, *ensemble.bridges)
    for network, logits in zip(networks, np.moveaxis(members, 1, 0), strict=True):
        # Of the same mean for every class, so that all of them are predicted.
        mean = logits.mean(axis=0)
        scale = _SPREAD / np.std(logits - mean)
        dense = next(x for x in network.layers[::-1] if isinstance(x, keras.layers.Dense))
        dense.bias.assign(scale * (dense.bias - mean))
        dense.kernel.assign(scale * dense.kernel)
    return ensemble
