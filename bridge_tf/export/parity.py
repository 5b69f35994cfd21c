"""Comparing the predictions of an exported file with the Keras model's."""

import functools
import pathlib
from collections.abc import Callable, Iterator

import numpy as np

from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.conformal import set_scores
from bridge_tf.export.onnx_file import WHOLE, onnx_runner
from bridge_tf.export.prediction_sets import OUTPUT
from bridge_tf.export.signatures import BRIDGES, FIRST, SAVED_MODEL_ONLY, SECOND
from bridge_tf.utils.errors import ParityError
from bridge_tf.utils.terminal import quiet_stderr

TOLERANCE = 1e-4
# Images on which parts of the ensemble are compared, and the most in a batch.
_IMAGES = 256
_ROUNDING = 1e-6


def check_parity(signatures, path: pathlib.Path, images: np.ndarray) -> float:
    """The largest difference of a probability between an artifact at `path` and the Keras model.

    base and serving_default, the one of an ONNX file, are compared on all images, the other
    signatures on 256 of them:
    bridges on the features that the artifact's signature taps gives, conditioned ones at each of
    the ensemble's positions; a cascade's second stage on what its first gives.

    Of a cascade, an image whose confidence is within 1e-4 of the threshold may take either stage.

    Raises:
        ParityError: it is over 1e-4, or another image goes on; the message names the file and the
            signature.
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
    outputs = open_signatures(path)(signature.name, {spec.name: pixels})
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
    ensemble, run = signatures.ensemble, open_signatures(path)
    specs = {signature.name: signature.inputs for signature in signatures.all}
    if path.suffix == ".onnx":
        specs = {WHOLE: specs[WHOLE]}

    def answer(signature: str, *values: np.ndarray) -> dict[str, np.ndarray]:
        pairs = zip(specs[signature], values, strict=True)
        return run(signature, {s.name: x.astype(s.dtype.as_numpy_dtype) for s, x in pairs})

    def compared(signature: str, images: np.ndarray) -> tuple[str, np.ndarray, np.ndarray]:
        found = answer(signature, images)
        wanted = _wanted(ensemble, images, found, f"{path.name}: signature {signature}")
        return signature, found["probabilities"], wanted

    for start in range(0, len(images), _IMAGES):
        part = np.asarray(images[start : start + _IMAGES], "float32")
        yield compared("serving_default", part)
        if "base" in specs:
            logits = ensemble.base.predict(part, verbose=0)
            base = np.exp(apply_temperature(logits, ensemble.base_temperature))
            yield "base", answer("base", part)["probabilities"], base
    images = np.asarray(spread(images), "float32")
    if path.is_dir() and SAVED_MODEL_ONLY in specs:
        yield compared(SAVED_MODEL_ONLY, np.round(images))
    if FIRST in specs:
        yield from _of_stages(ensemble, answer, images)
    elif "taps" in specs:
        yield from _of_parts(ensemble, answer, specs, images)


def _wanted(ensemble, images: np.ndarray, found: dict, where: str) -> np.ndarray:
    """The Keras model's probabilities; a cascade's of the stages that the artifact chose.

    Raises:
        ParityError: the artifact chose another stage, where rounding isn't the reason.
    """
    outputs = ensemble.predict(images, verbose=0)
    if "goes_on" not in outputs:
        return outputs["probabilities"]
    first, second = np.moveaxis(outputs["stages"], 1, 0)
    chosen = found["goes_on"].astype(bool)
    clear = np.abs(first.max(axis=1) - ensemble.threshold) > TOLERANCE
    if wrong := int((clear & (chosen != outputs["goes_on"])).sum()):
        raise ParityError(f"{where}: {wrong} images take another stage than in the Keras model")
    return np.where(chosen[:, None], second, first)


def _of_stages(cascade, answer: Callable, images: np.ndarray) -> Iterator[tuple]:
    """The stages of a cascade, one after the other."""
    first = answer(FIRST, images)
    stages = cascade.predict(images, verbose=0)["stages"]
    yield FIRST, first["probabilities"], stages[:, 0]
    members = [first["members"]] if cascade.reused else []
    for found in members:
        log_probs = cascade.first.predict(images, verbose=0)["log_probabilities"]
        yield FIRST, found, np.exp(log_probs[:, : cascade.reused])
    second = answer(SECOND, images, *members)
    yield SECOND, second["probabilities"], stages[:, 1]


def _of_parts(ensemble, answer: Callable, specs: dict, images: np.ndarray) -> Iterator[tuple]:
    """The parts of a bridge ensemble."""
    outputs = ensemble.predict(images, verbose=0)
    whole, members = outputs["probabilities"], outputs["log_probabilities"]
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


def open_signatures(path: pathlib.Path) -> Callable[[str, dict], dict[str, np.ndarray]]:
    """A function from the name of a signature and its named inputs to its outputs."""
    if path.is_dir():
        import tensorflow as tf

        loaded = tf.saved_model.load(str(path))

        def run_saved_model(signature, inputs):
            tensors = {name: tf.constant(value) for name, value in inputs.items()}
            outputs = loaded.signatures[signature](**tensors)
            return {name: value.numpy() for name, value in outputs.items()}

        return run_saved_model
    if path.suffix == ".onnx":
        opened = functools.cache(functools.partial(onnx_runner, path))
        return lambda signature, inputs: opened(signature)(inputs)

    from ai_edge_litert.interpreter import Interpreter

    def run_tflite(signature, inputs):
        # A new interpreter each time, since one keeps the memory of every signature's batch.
        with quiet_stderr():
            runner = Interpreter(str(path)).get_signature_runner(signature)
            types = {name: x["dtype"] for name, x in runner.get_input_details().items()}
            return runner(**{name: x.astype(types[name]) for name, x in inputs.items()})

    return run_tflite
