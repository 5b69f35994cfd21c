"""Bridge ensembles: a deep ensemble's accuracy and calibration at little more than one network.

    curve = bridge_tf.Curve.between(start, end)
    bridge_tf.fit_curve(curve, data, recipe)
    bridge = bridge_tf.build_bridge(start, taps="stage2_block1", width=0.5)
    bridge_tf.fit_bridge(bridge, start, curve.model_at(0.5), images, recipe)
    ensemble = bridge_tf.BridgeEnsemble(start, [bridge])

Importing the package imports neither Keras nor TensorFlow. A public name is imported on first use.
The package's classes are registered when Keras is imported, so that `keras.models.load_model` finds
them.
"""

import importlib
import sys
import types
from collections.abc import Callable
from typing import Any

import lazy_loader
import wrapt

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "bridges.bridge": ["build_bridge"],
        "bridges.distillation": ["fit_bridge"],
        "bridges.tap_choice": ["choose_bridge"],
        "curves.alignment": ["align"],
        "curves.curve": ["Curve"],
        "data": ["Split", "load_dataset", "training_batches"],
        "ensembles.bridge_ensemble": ["BridgeEnsemble"],
        "ensembles.cascade": ["CascadeEnsemble"],
        "evaluation": ["calibrate", "evaluate"],
        "networks": ["FilterResponseNormalization", "build_network"],
        "runs.python_run": ["train"],
        "training.recipe": ["Recipe"],
        "training.trainers": ["fit_curve", "fit_mode", "fit_modes"],
        "utils.errors": ["InputError", "ParityError", "TrainingError"],
    },
)
__all__ = sorted([*__all__, "export"])

# The serializable classes and their modules.
_SAVED = {
    "AveragingSGD": "ensembles.baselines.swa",
    "BridgeEnsemble": "ensembles.bridge_ensemble",
    "CascadeEnsemble": "ensembles.cascade",
    "ChannelDropout": "ensembles.baselines.mc_dropout",
    "Curve": "curves.curve",
    "FilterResponseNormalization": "networks.frn",
    "L2SGD": "training.recipe",
    "MembersEnsemble": "ensembles.baselines.members",
    "Modulation": "bridges.film",
    "Position": "bridges.film",
    "RankOne": "ensembles.baselines.batch_ensemble",
    "SparseSmoothedCrossentropy": "training.losses",
    "Triangle": "ensembles.baselines.cyclic",
}


class _SavedClass:
    """A placeholder in Keras's registry, until the class is imported or a saved file needs it."""

    def __init__(self, name: str):
        self.name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        module = importlib.import_module(f"{__name__}.{_SAVED[self.name]}")
        return getattr(module, self.name).from_config(config)


@wrapt.when_imported("keras")
def _register(keras: types.ModuleType) -> None:
    registry = keras.saving.get_custom_objects()
    for name in _SAVED:
        registry.setdefault(f"bridge_tf>{name}", _SavedClass(name))


class _Package(types.ModuleType):
    """Makes `bridge_tf.export` the function, although a subpackage has the same name."""

    @property
    def export(self) -> Callable:
        return importlib.import_module(f"{__name__}.export.exporter").export

    @export.setter
    def export(self, room: types.ModuleType) -> None:
        pass


sys.modules[__name__].__class__ = _Package
