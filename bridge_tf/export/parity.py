"""Comparing the predictions of an exported file with the Keras model's."""

import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.conformal import set_scores
from bridge_tf.export.prediction_sets import OUTPUT
from bridge_tf.utils.errors import ParityError
from bridge_tf.utils.terminal import quiet_stderr

TOLERANCE = 1e-4
# Images on which parts of the ensemble are compared, and the most in a batch.
_IMAGES = 256
_ROUNDING = 1e-6


def check_parity(signatures, path: pathlib.Path, images: np.ndarray) -> float:
    """The largest difference of a probability between an artifact at `path` and the Keras model.

    base and serving_default are compared on all images, the other signatures on 256 of them:
    bridges on the features that the artifact's signature taps gives, conditioned ones at each of
    the ensemble's positions.

    Raises:
        ParityError: it is over 1e-4; the message names the file and the signature.
    """
    worst = 0.0
    for signature, found, wanted in _answers(signatures, path, images):
        difference = float(np.max(np.abs(found - wanted)))
        if not difference <= TOLERANCE:
            raise ParityError(
                f"{path.name}: probabilities of signature {signature} differ by {difference:.2g} "
                f"from the Keras model's, more than {TOLERANCE}"
            )
        worst = max(worst, difference)
    if signatures.sets:
        check_sets(signatures.sets, signatures["serving_default"], path, images)
    return worst


def check_sets(sets, signature, path: pathlib.Path, images: np.ndarray) -> None:
    """Raises a ParityError where a set isn't that of the file's own probabilities, on 256 images.

    Classes whose score is the quantile to a millionth may be in it or not, by rounding.
    """
    (spec,) = signature.inputs
    pixels = np.asarray(spread(images)).astype(spec.dtype.as_numpy_dtype)
    outputs = _open(path)(signature.name, {spec.name: pixels})
    wanted, found = sets.predict(outputs["probabilities"]), outputs[OUTPUT]
    scores = set_scores(outputs["probabilities"], sets.k_reg, sets.penalty)
    wrong = (found != wanted) & (np.abs(scores - sets.quantile) > _ROUNDING)
    if wrong.any():
        raise ParityError(
            f"{path.name}: {OUTPUT} differs from the rule of `sets` on "
            f"{wrong.any(axis=1).sum()} of {len(pixels)} inputs"
        )


def spread(images: np.ndarray) -> np.ndarray:
    """256 of the images, evenly spread, since they may be sorted by class."""
    return images[np.linspace(0, len(images) - 1, min(len(images), _IMAGES)).astype(int)]


def _answers(signatures, path, images) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Signatures, with the artifact's probabilities and the Keras model's."""
    from bridge_tf.export.signatures import BRIDGES, SAVED_MODEL_ONLY

    ensemble, run = signatures.ensemble, _open(path)
    specs = {signature.name: signature.inputs for signature in signatures.all}

    def answer(signature: str, *values: np.ndarray) -> dict[str, np.ndarray]:
        pairs = zip(specs[signature], values, strict=True)
        return run(signature, {s.name: x.astype(s.dtype.as_numpy_dtype) for s, x in pairs})

    def predicted(images) -> tuple[np.ndarray, np.ndarray]:
        outputs = ensemble.predict(images, verbose=0)
        return outputs["probabilities"], outputs["log_probabilities"]

    for start in range(0, len(images), _IMAGES):
        part = np.asarray(images[start : start + _IMAGES], "float32")
        whole, members = predicted(part)
        yield "serving_default", answer("serving_default", part)["probabilities"], whole
        base = np.exp(apply_temperature(members[:, 0], ensemble.base_temperature))
        yield "base", answer("base", part)["probabilities"], base
    images = np.asarray(spread(images), "float32")
    whole, members = predicted(images)
    if path.is_dir() and SAVED_MODEL_ONLY in specs:
        pixels = np.round(images)
        rounded, _ = predicted(pixels)
        yield SAVED_MODEL_ONLY, answer(SAVED_MODEL_ONLY, pixels)["probabilities"], rounded
    taps = answer("taps", images)
    if BRIDGES in specs:
        given = [taps[spec.name] for spec in specs[BRIDGES]]
        yield BRIDGES, answer(BRIDGES, *given)["probabilities"], whole
    member = 1 + len(ensemble.other_modes)
    yield "taps", taps["probabilities"], np.exp(members[:, :member])
    for k in range(len(ensemble.bridges)):
        features = [taps[spec.name] for spec in specs[f"bridge_{k}"] if spec.name in taps]
        conditioned = len(features) < len(specs[f"bridge_{k}"])
        for r in ensemble.positions if conditioned else [None]:
            position = [np.full((len(images), 1), r)] if conditioned else []
            found = answer(f"bridge_{k}", *features, *position)["probabilities"]
            yield f"bridge_{k}", found, np.exp(members[:, member])
            member += 1


def _open(path: pathlib.Path) -> Callable[[str, dict], dict[str, np.ndarray]]:
    """A function from the name of a signature and its named inputs to its outputs."""
    if path.is_dir():
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))

        def run_saved_model(signature, inputs):
            tensors = {name: tf.constant(value) for name, value in inputs.items()}
            outputs = loaded.signatures[signature](**tensors)
            return {name: value.numpy() for name, value in outputs.items()}

        return run_saved_model

    from ai_edge_litert.interpreter import Interpreter

    def run_tflite(signature, inputs):
        # A new interpreter each time, since one keeps the memory of every signature's batch.
        with quiet_stderr():
            runner = Interpreter(str(path)).get_signature_runner(signature)
            types = {name: x["dtype"] for name, x in runner.get_input_details().items()}
            return runner(**{name: x.astype(types[name]) for name, x in inputs.items()})

    return run_tflite
