"""The figures of an evaluation, for TensorBoard to show.

logs/curves/0-1  logs/bridges/0-1     what was measured of a training's result, at each r
logs/evaluate/bridge_2                what was measured of an ensemble
"""

import os
import pathlib
import re
from collections.abc import Mapping, Sequence

from bridge_tf.config.names import pair_name
from bridge_tf.training.callbacks.tensorboard import ScalarWriter, remove_events

_EVALUATION = ".evaluation"
_ENSEMBLE = "accuracy nll calibrated_nll brier ece calibrated_ece dee relative_flops".split()
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


def log_report(
    logs_folder: str | os.PathLike, report: Mapping, lines: Sequence[Mapping] = ()
) -> None:
    """Logs the figures of an evaluation, in place of earlier ones.

    Those of curves, straight lines and bridges go to the run of their training, at step 1000 r;
    those of ensembles go to the run evaluate/NAME, at step `size`.

    Args:
        logs_folder: that of the work directory.
        report: the content of report.json.
        lines: "lines" of figures/data.json.
    """
    logs = pathlib.Path(logs_folder)
    remove_events(logs, _EVALUATION)
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
        writer = ScalarWriter(folder, _EVALUATION, _OF_EVALUATION)
        for step, values in points:
            writer.write(step, values)
        writer.close()
