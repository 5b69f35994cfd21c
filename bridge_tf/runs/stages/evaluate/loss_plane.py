"""The loss plane of a run's first curve."""

import json

import numpy as np

from bridge_tf.evaluation.loss_plane import MARGIN, measure_plane
from bridge_tf.evaluation.plane import Plane
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.npz_cache import KeptPredictions


def check_plane(run: Run) -> None:
    """Raises an InputError if a run's first curve is straight, isn't there, or can't be read."""
    if not run.config.curves():
        raise InputError(
            f"`loss_plane`: a run with `bridge_target={run.config.bridge_target}` has no curves"
        )
    Plane(run.load_curve(run.config.curves()[0]))


def write_loss_plane(run: Run, points: int, images: int) -> None:
    """Measures the plane of a run's first curve and writes it, unless that is done.

    The grid has `points` a side; at most `images` test images are used, spread evenly.
    """
    files, pair = run.files, run.config.curves()[0]
    target, source = files.loss_plane(pair), files.curve(pair)
    count = min(images, len(run.data.test))
    made_from = [files.manifest.digests([source]), run.inputs, points, count, MARGIN]
    state = files.state(target, [source])
    if state in ("damaged", "unlisted"):
        files.set_aside(target)
    elif state == "current" and files.manifest.entry(target).get("measured_on") == made_from:
        return
    test = run.data.test
    split = test.take(np.arange(count) * len(test) // count)
    kept = KeptPredictions(files.checkpoints(target), made_from)
    plane = measure_plane(
        run.load_curve(pair), split, run.statistics_images(), points, MARGIN, pair, kept
    )
    with files.writing(target, [source], measured_on=made_from) as partial:
        partial.write_text(json.dumps(plane, allow_nan=False) + "\n", encoding="utf-8")
    files.remove_checkpoints(target)
