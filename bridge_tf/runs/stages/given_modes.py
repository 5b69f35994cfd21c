"""Trained modes that the configuration names: checked against the data, then taken into the run."""

import pathlib
import shutil

import keras
import numpy as np

from bridge_tf.curves.checks import check_same_architecture
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.scores import network_predictor
from bridge_tf.networks.input_scale import SCALES, scaled, with_input_scale
from bridge_tf.networks.saving import write_model
from bridge_tf.runs.context import Run
from bridge_tf.runs.stages.modes import check_bridge
from bridge_tf.runs.stages.training import check_room
from bridge_tf.runs.status import is_current
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.terminal import logger

# Validation images on which the scale is checked.
_IMAGES = 500
# At another scale it is right if the accuracy is twice that of naming the largest class, and either
# so much higher, or at most so much lower and the NLL half of one that is worse than guessing.
_HIGHER, _LOWER = 0.1, 0.05
_RANGES = {"255": "0 to 255", "1": "0 to 1", "symmetric": "-1 to 1"}


def take_modes(run: Run) -> None:
    """Writes the modes that the configuration names to the work directory, once all are checked.

    Raises:
        InputError: a file can't be read, isn't for the run's images, their scale or their classes,
            or holds another architecture than the first.
    """
    sources = {run.files.mode(k): path for k, path in enumerate(run.config.modes)}
    if all(is_current(run, target) for target in sources):
        return
    scale, first, predict = run.config.input_scale, None, network_predictor()
    for path in map(pathlib.Path, sources.values()):
        mode = run.given_mode(path)
        first = first or mode
        try:
            check_same_architecture(first, mode)
        except ValueError as error:
            raise InputError(f"`modes={path}`: {error}") from error
        _check_scale(run, path, mode, predict)
    first = with_input_scale(first, scale)
    check_bridge(run, first)
    check_room(run, "modes", first, len(sources))
    if run.data.validation_from == "test":
        number = len(run.data.validation)
        logger.info(
            f"data: half of the test images, {number:,}, validate, since the modes may have seen "
            "the training images"
        )
    run.files.claim(run.config)
    for target, path in sources.items():
        if is_current(run, target):
            continue
        with run.files.writing(target) as partial:
            if scale == "255":
                shutil.copyfile(path, partial)
            else:
                write_model(with_input_scale(run.given_mode(path), scale), partial)


def _check_scale(run: Run, path, mode: keras.Model, predict) -> None:
    """Raises an InputError if a mode plainly takes pixels of another scale."""
    # Images that it has not seen: those it was trained on may all be right at a wrong scale.
    split, scale = run.data.validation.limited(_IMAGES), run.config.input_scale
    images, found = np.asarray(split.images), {}
    for name in SCALES:
        log_probs = predict(mode, scaled(images, name))
        found[name] = (
            metrics.accuracy(log_probs, split.labels),
            metrics.nll(log_probs, split.labels),
        )
    accuracy, nll = found[scale]
    guessing = np.log(run.data.num_classes)
    least = 2 * np.bincount(split.labels).max() / len(split)
    better = [
        name
        for name, (a, n) in found.items()
        if a > least
        and (a > accuracy + _HIGHER or (a > accuracy - _LOWER and guessing < nll and n < nll / 2))
    ]
    if not better:
        return
    best = min(better, key=lambda name: found[name][1])

    def told(name: str) -> str:
        accuracy, nll = found[name]
        return f"accuracy {accuracy:.2f} and NLL {nll:.2f} with pixels from {_RANGES[name]}"

    raise InputError(
        f"`modes={path}`: has {told(scale)} on {len(split)} validation images, but {told(best)}; "
        f"set `input_scale={best}`"
    )
