"""What TensorBoard shows of a run: its trainings and its evaluation.

logs/modes/0  logs/curves/0-1  logs/bridges/0-1     each epoch of a training
logs/curves/0-1  logs/bridges/0-1                   what was measured of it, at each r
logs/evaluate/bridge_2                              what was measured of an ensemble
"""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence

import keras

from bridge_tf.config.names import pair_name
from bridge_tf.training.callbacks.event_files import (
    ScalarWriter,
    forget_after,
    inside,
    read_scalars,
    remove_evaluations,
)
from bridge_tf.training.callbacks.step_timer import StepTimer

History = dict[str, list[tuple[int, float]]]

_STAGES = ("modes", "curves", "bridges", "baselines")
# A mode, the modes at a curve's ends, or a baseline.
_NUMBERS = "[0-9]+(-[0-9]+)?|[a-z_]+(-[0-9]+)?"
_ENSEMBLE = "accuracy nll calibrated_nll brier ece calibrated_ece dee relative_flops".split()
_OF_TRAINING = {
    "loss": "Mean over the epoch's images, in nats: cross-entropy of modes and curves, KL "
    "divergence of a bridge from its curve member less the repulsion",
    "accuracy": "Share of the epoch's images, as augmented, whose top class is their label",
    "agreement": "Share of the epoch's images whose top class is the curve member's",
    "learning_rate": "At the end of the epoch",
    "images_per_second": "Training images a second, in the epoch; its first step, which is "
    "compiled, is left out",
}
_STEPS = 1000  # TensorBoard's steps are whole numbers: those of r = 1
_OF_EVALUATION = {
    "along_curve/nll": "Negative log-likelihood at r, in nats, on test images. Step: 1000 r",
    "along_curve/accuracy": "Accuracy at r, in [0, 1], on test images. Step: 1000 r",
    "along_line/nll": "The same on the straight line between the curve's ends",
    "along_line/accuracy": "The same on the straight line between the curve's ends",
    "bridge/kl": "KL divergence from the curve member's prediction to the bridge's, in nats, on "
    "test images. Step: 1000 r",
    "bridge/kl_base": "KL divergence from the curve member's prediction to the base's, in nats, on "
    "test images. Step: 1000 r",
    "bridge/agreement": "Share of test images for which the bridge has the curve member's top "
    "class. Step: 1000 r",
    "ensemble/accuracy": "Accuracy, in [0, 1], on test images. Step: members",
    "ensemble/nll": "Negative log-likelihood, in nats, on test images",
    "ensemble/calibrated_nll": "Negative log-likelihood after temperature scaling, in nats",
    "ensemble/brier": "Brier score, in [0, 2], on test images",
    "ensemble/ece": "Expected calibration error, in [0, 1], on test images",
    "ensemble/calibrated_ece": "Expected calibration error after temperature scaling, in [0, 1]",
    "ensemble/dee": "Deep-ensemble equivalent: how many networks trained one by one are as good, "
    "by their calibrated negative log-likelihood",
    "ensemble/relative_flops": "FLOPs of a forward pass, over those of one network",
}


class TrainingLog(StepTimer):
    """Logs each epoch of a training, counted from 1: `loss` and the metrics, `learning_rate`,
    `images_per_second`.

    Used as a context, which closes the file. A point is in the file when its epoch ends, and on the
    disk when the system writes it. Points of epochs that are trained again, in another process or
    in a retry, are replaced.

    Args:
        folder: the run's, in TensorBoard's sense; made with the first point.
        images_per_step: batch size.
    """

    def __init__(self, folder: str | os.PathLike, images_per_step: int):
        super().__init__(images_per_step)
        self.folder = pathlib.Path(folder)
        self._writer = ScalarWriter(self.folder, _OF_TRAINING)
        self._next = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._writer.close()

    def on_epoch_begin(self, epoch, logs=None):
        super().on_epoch_begin(epoch, logs)
        if epoch != self._next:
            self._writer.close()
            forget_after(self.folder, step=epoch)
            self._next = epoch

    def on_epoch_end(self, epoch, logs=None):
        rate = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        values = {
            **(logs or {}),
            "learning_rate": float(rate),
            "images_per_second": self.images_per_second,
        }
        self._writer.write(epoch + 1, values)
        self._next = epoch + 1


def log_report(
    logs_folder: str | os.PathLike, report: Mapping, lines: Sequence[Mapping] = ()
) -> None:
    """Logs the figures of an evaluation, in place of those that were logged before.

    Of each curve `along_curve/nll` and `along_curve/accuracy`, the same along the straight line
    as `along_line/…`, and of each bridge `bridge/kl`, `bridge/kl_base` and `bridge/agreement`, go
    to the run of its training, at step 1000 r. Accuracy, calibration and cost of each ensemble, as
    `ensemble/accuracy` for one, go to the run evaluate/NAME, at step `size`.

    Args:
        logs_folder: that of the work directory.
        report: the content of report.json.
        lines: "lines" of figures/data.json.
    """
    logs = pathlib.Path(logs_folder)
    remove_evaluations(logs)
    runs: dict[pathlib.Path, list[tuple[int, dict]]] = {}

    def add(run: str, step: int, row: Mapping, prefix: str, keys: Sequence[str]) -> None:
        values = {f"{prefix}/{key}": row[key] for key in keys if row[key] is not None}
        runs.setdefault(logs / run, []).append((step, values))

    for prefix, paths in (("along_curve", report["curves"]), ("along_line", lines)):
        for path in paths:
            run = f"curves/{pair_name(path['curve'])}"
            for point in path["points"]:
                add(run, round(_STEPS * point["r"]), point, prefix, ("nll", "accuracy"))
    for row in report["bridges"]:
        run = f"bridges/{pair_name(row['curve'])}"
        add(run, round(_STEPS * row["r"]), row, "bridge", ("kl", "kl_base", "agreement"))
    for row in report["ensembles"]:
        # A report may come from anywhere, and a name mustn't lead out of the folder.
        name = re.sub(r"[^\w-]", "_", row["name"])
        add(f"evaluate/{name}", row["size"], row, "ensemble", _ENSEMBLE)
    for folder, points in runs.items():
        writer = ScalarWriter(folder, _OF_EVALUATION, evaluation=True)
        for step, values in points:
            writer.write(step, values)
        writer.close()


def read_histories(logs_folder: str | os.PathLike) -> dict[str, History]:
    """What was logged of the trainings of a work directory.

    Args:
        logs_folder: that of the work directory; it need not exist. What can't be read is left out,
            and links are not followed.

    Returns:
        For each training, "modes/0" for example, and each quantity ("loss", "learning_rate" and so
        on) its points: the epoch, from 1, and the value. The logs of Keras's own callback, which
        were in folders named train, count too.
    """
    histories = {}
    for stage in _STAGES:
        folders = inside(pathlib.Path(logs_folder) / stage)
        folders = [path for path in folders if re.fullmatch(_NUMBERS, path.name)]
        for folder in sorted(folders, key=lambda path: (_numbers(path), path.name)):
            history = _read_history(folder)
            if history:
                histories[f"{stage}/{folder.name}"] = history
    return histories


def _read_history(folder: pathlib.Path) -> History:
    found = read_scalars(folder)
    for kerass in inside(folder, "train"):  # it counts epochs from 0
        found += [
            (when, tag.removeprefix("epoch_"), step + 1, value)
            for when, tag, step, value in read_scalars(kerass)
            if tag.startswith("epoch_")
        ]
    history: dict[str, dict[int, float]] = {}
    for _, tag, step, value in sorted(found):  # the last that was written stays
        history.setdefault(tag, {})[step] = value
    return {tag: sorted(values.items()) for tag, values in sorted(history.items())}


def _numbers(path: pathlib.Path) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.name)]
