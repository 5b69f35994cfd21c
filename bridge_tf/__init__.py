"""Bridge ensembles: a deep ensemble's accuracy and calibration at little more than one network.

    curve = bridge_tf.Curve.between(start, end)
    bridge_tf.fit_curve(curve, data, recipe)
    bridge = bridge_tf.build_bridge(start, taps="stage2_block1", width=0.5)
    bridge_tf.fit_bridge(bridge, start, curve.model_at(0.5), images, recipe)
    ensemble = bridge_tf.BridgeEnsemble(start, [bridge])

Importing the package registers its layers, so that `keras.models.load_model` knows them.
"""

import importlib
import os

_HOMES = {
    "BridgeEnsemble": "ensemble",
    "Curve": "curve",
    "FilterResponseNormalization": "networks",
    "InputError": "errors",
    "ParityError": "errors",
    "Recipe": "training",
    "TrainingError": "errors",
    "Split": "data",
    "align": "alignment",
    "build_bridge": "bridge",
    "build_network": "networks",
    "choose_bridge": "tap_choice",
    "evaluate": "evaluation",
    "export": "export",
    "fit_bridge": "training",
    "fit_curve": "training",
    "fit_mode": "training",
    "fit_modes": "training",
    "load_dataset": "data",
    "training_batches": "data",
}
__all__ = sorted(_HOMES)


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module 'bridge_tf' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"bridge_tf.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def register() -> None:
    """Makes the package's classes known to `keras.models.load_model`; importing it does so too."""
    # And `export` the function, before the package of that name, imported later, takes its place.
    for name in ("BridgeEnsemble", "Curve", "FilterResponseNormalization", "Recipe", "export"):
        __getattr__(name)
    importlib.import_module("bridge_tf.baselines")


# The commands set this, since importing Keras takes longer than --help may. It is taken out of
# the environment so that no other process inherits it.
if os.environ.pop("BRIDGE_TF_LAZY", None) is None:
    register()
