"""Running a model file of any kind."""

import dataclasses
import pathlib
from collections.abc import Callable, Sequence

import numpy as np

from bridge_tf.export.labels import labels_beside, read_labels
from bridge_tf.export.onnx_file import onnx_runner, onnx_signatures
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.terminal import quiet_stderr

_WANTED = "a SavedModel directory, a .tflite, .onnx or .keras file"


@dataclasses.dataclass(frozen=True)
class Predictor:
    """A loaded model: call it with images N×H×W×C, raw pixels 0…255, float32.

    It returns a dict with "probabilities" (N×classes) and, if the model has them, "entropy" and
    "disagreement" (N, nats), and "prediction_set" (N×classes, bool).

    Attributes:
        image_shape: (height, width, channels).
        labels: names of the classes; empty if the model has none, or not one a class.
    """

    run: Callable[[np.ndarray], dict[str, np.ndarray]]
    image_shape: tuple[int, int, int]
    labels: tuple[str, ...] = ()

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return self.run(np.asarray(images, "float32"))


def load_predictor(path, signature: str = "serving_default") -> Predictor:
    """Loads a .tflite, .onnx or .keras file, a SavedModel directory or, of a folder, the newest.

    `signature` is ignored for a .keras file, which has none.

    Raises:
        InputError: no such file, or none of these kinds.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise InputError(f"`model`: {path} doesn't exist; name {_WANTED}")
    loaders = {".tflite": _tflite, ".onnx": _onnx, ".keras": _keras}
    load = _saved_model if path.is_dir() else loaders.get(path.suffix)
    if load is None:
        raise InputError(f"`model`: {path} is of no known kind; name {_WANTED}")
    try:
        predictor = load(path, signature)
    except InputError:
        raise
    except Exception as error:  # damaged files raise all sorts
        raise InputError(
            f"`model`: {path} can't be loaded ({reason(error)}); name {_WANTED}"
        ) from error
    shape = predictor.image_shape
    if len(shape) != 3 or None in shape or min(shape) < 1:
        raise InputError(f"`model`: {path} takes no images of one size, but {shape}")
    return predictor


def newest_version(path: pathlib.Path) -> pathlib.Path:
    """The SavedModel in `path`, or the newest of its versions; an InputError if there is none."""
    if (path / "saved_model.pb").exists():
        return path
    versions = [p for p in path.iterdir() if p.name.isdigit() and (p / "saved_model.pb").exists()]
    if not versions:
        raise InputError(f"`model`: {path} holds no saved_model.pb; name {_WANTED}")
    return max(versions, key=lambda p: int(p.name))


def _saved_model(path: pathlib.Path, signature: str) -> Predictor:
    import tensorflow as tf

    path = newest_version(path)
    loaded = tf.saved_model.load(str(path))
    if signature not in loaded.signatures:
        raise InputError(f"`model`: {path} has no signature {signature}")
    function = loaded.signatures[signature]
    ((name, spec),) = function.structured_input_signature[1].items()

    def run(images):
        assert loaded is not None  # named here to keep its variables alive
        outputs = function(**{name: tf.cast(images, spec.dtype)})
        return {key: value.numpy() for key, value in outputs.items()}

    shown = getattr(function.structured_outputs.get("probabilities"), "shape", ())
    labels = _labels(path / "assets.extra" / "labels.txt", shown, signature)
    return Predictor(run, tuple(spec.shape[1:]), labels)


def _tflite(path: pathlib.Path, signature: str) -> Predictor:
    from ai_edge_litert.interpreter import Interpreter

    with quiet_stderr():
        interpreter = Interpreter(model_path=str(path))
        interpreter.allocate_tensors()
    if signature not in interpreter.get_signature_list():
        raise InputError(f"`model`: {path} has no signature {signature}")
    runner = interpreter.get_signature_runner(signature)
    ((name, details),) = runner.get_input_details().items()
    shape = tuple(int(n) for n in details["shape_signature"][1:])
    shown = runner.get_output_details().get("probabilities", {"shape": ()})["shape"]

    def run(images):
        return runner(**{name: images.astype(details["dtype"])})

    def one_by_one(images):  # a file of one image a call
        found = [run(images[k : k + 1]) for k in range(len(images))]
        joined = {key: np.concatenate([outputs[key] for outputs in found]) for key in found[0]}
        return {key: x[:, 0] if x.shape[1:] == (1,) else x for key, x in joined.items()}

    labels = _labels(labels_beside(path), shown, signature)
    return Predictor(one_by_one if details["shape_signature"][0] == 1 else run, shape, labels)


def _onnx(path: pathlib.Path, signature: str) -> Predictor:
    run = onnx_runner(path, signature)
    both = onnx_signatures(path)[signature]
    ((name, details),) = both["inputs"].items()
    shape = tuple(None if n < 0 else n for n in details["shape"][1:])
    shown = both["outputs"].get("probabilities", {"shape": ()})["shape"]
    labels = _labels(labels_beside(path), shown, signature)
    return Predictor(lambda images: run({name: images.astype(details["type"])}), shape, labels)


def _keras(path: pathlib.Path, _signature: str) -> Predictor:
    import keras

    from bridge_tf.curves.curve import Curve
    from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
    from bridge_tf.networks.classifier import gives_probabilities, logits_copy, num_units
    from bridge_tf.networks.loading import read_model

    model = read_model(path, "model")
    if isinstance(model, Curve) or not hasattr(model, "input_shape"):
        raise InputError(f"`model`: {path} holds no classifier of images; name a mode or ensemble")
    is_ensemble = isinstance(model, BridgeEnsemble)
    if not is_ensemble and num_units(model) == 1:
        model = logits_copy(model)

    def run(images):
        outputs = model.predict(images, verbose=0)
        if is_ensemble:
            found = {key: outputs[key] for key in ("probabilities", "entropy")}
            return {**found, "disagreement": outputs["mutual_information"]}
        if not gives_probabilities(model):
            outputs = keras.ops.convert_to_numpy(keras.ops.softmax(outputs))
        return {"probabilities": outputs}

    output = model.output["probabilities"] if is_ensemble else model.output
    shown = getattr(output, "shape", ())
    labels = _labels(labels_beside(path), shown, "serving_default")
    return Predictor(run, tuple(model.input_shape[1:]), labels)


def _labels(path: pathlib.Path, shape: Sequence[int | None], signature: str) -> tuple[str, ...]:
    """The labels in a file for probabilities of a shape; a model's main signature may warn."""
    num_classes = shape[-1] if len(shape) == 2 else None
    return read_labels(path, num_classes, warn=signature == "serving_default")
