"""What ensembles are worth on images unlike their own: corrupted ones, and those of other data."""

import hashlib
from collections.abc import Sequence

import numpy as np

from bridge_tf.config.inputs import check_source
from bridge_tf.data.corruptions import SEVERITIES, corrupt
from bridge_tf.data.ood_images import load_other_images
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.early_exit import confidences
from bridge_tf.evaluation.ood import ood_detection
from bridge_tf.runs.stages.evaluate.cascade_rows import Stages
from bridge_tf.runs.stages.evaluate.predictions import Predictions
from bridge_tf.utils.terminal import track

# Of the noise that early exit is measured under, beside inverted pixels.
_NOISE = 3


def measure_shifted(
    run, predictions: Predictions, rows: Sequence[tuple[dict, list | Stages]]
) -> dict:
    """What the run wants of "ood" and "corruptions" in report.json.

    `rows` are those of "ensembles", each with the names of its members; a cascade's with its
    `Stages`, of which threshold and temperatures stay those of the validation split.
    """
    found = {}
    if run.config.ood_dataset:
        found["ood"] = _ood(run, predictions, rows)
    if run.config.corruptions:
        found["corruptions"] = _corruptions(run, predictions, rows)
    return found


def early_exit_shifted(run, predictions: Predictions, threshold: float, more: float) -> list[dict]:
    """How many test images go on to the ensemble once they are noisy, or inverted.

    Args:
        threshold: of early exit, from the validation images as they are.
        more: FLOPs of going on, relative to the base's.

    Returns:
        Of each kind: images, its name; num_images; share; relative_flops. Nothing of inputs that
            aren't images.
    """
    if len(run.data.image_shape) != 3:
        return []
    images, indices = _some_of_test(run)
    noisy = corrupt(images, "noise", _NOISE, indices)
    found = []
    for name, key, shifted in (
        (f"noise of severity {_NOISE}", f"noise-{_NOISE}", noisy),
        ("inverted pixels", "inverted", 255 - images),
    ):
        log_probs = predictions.on(key, shifted, only=predictions.base)[predictions.base]
        share = float((confidences(log_probs) < threshold).mean())
        row = {"images": name, "num_images": len(images), "share": share}
        found.append({**row, "relative_flops": 1 + share * more})
    return found


def other_images(run) -> tuple[str, np.ndarray]:
    """The name of the run's `ood_dataset`, and its test images in the run's size and channels.

    Raises:
        InputError: they can't be read, or can't be brought to the size and channels.
    """
    config = run.config
    check_source("ood_dataset", config.ood_dataset, config.data_dir)
    return load_other_images(
        config.ood_dataset,
        config.data_dir or None,
        run.data.image_shape,
        skip_bad_images=config.skip_bad_images,
        exif=config.exif,
        max_images=config.max_images,
    )


def is_measured(config, report: dict) -> bool:
    """Whether a report holds what a configuration wants measured elsewhere, and no more."""
    ood, corruptions = report.get("ood"), report.get("corruptions")
    if (ood["fingerprint"] if ood else None) != _fingerprint(config.ood_dataset):
        return False
    wanted = min(config.corruption_images, report["dataset"]["num_test"])
    measured = (set(corruptions["kinds"]), corruptions["images"]) if corruptions else (set(), 0)
    return measured == (set(config.corruptions), wanted if config.corruptions else 0)


def _fingerprint(spec: str) -> str | None:
    """What tells one `ood_dataset` from another, but not where it lies."""
    return hashlib.sha256(spec.encode()).hexdigest() if spec else None


def _ood(run, predictions: Predictions, rows) -> dict:
    (name, images), found = other_images(run), []
    of_test = {member: log_probs for member, (log_probs, _) in predictions.log_probs.items()}
    of_others = predictions.on("ood", images)
    for row, members in rows:
        test, _, _ = _predicted(row, members, of_test)
        others, _, cost = _predicted(row, members, of_others)
        found.append({"name": row["name"], **ood_detection(test, others), **cost})
    return {
        "dataset": name,
        "fingerprint": _fingerprint(run.config.ood_dataset),
        "num_images": len(images),
        "rows": found,
    }


def _corruptions(run, predictions: Predictions, rows) -> dict:
    kinds, (test_images, indices) = list(run.config.corruptions), _some_of_test(run)
    labels, found = run.data.test.labels[indices], []
    clean = {member: log_probs[indices] for member, (log_probs, _) in predictions.log_probs.items()}
    for row, members in rows:
        figures = _figures(row, members, clean, labels)
        found.append({"name": row["name"], "clean": figures, "corrupted": []})
    places = [(kind, severity) for kind in kinds for severity in SEVERITIES]
    for kind, severity in track("evaluate: predictions on corrupted images", places):
        images = corrupt(test_images, kind, severity, indices)
        by_member = predictions.on(f"{kind}-{severity}", images)
        for (row, members), measured in zip(rows, found, strict=True):
            place = {"corruption": kind, "severity": severity}
            measured["corrupted"].append(place | _figures(row, members, by_member, labels))
    return {"images": len(indices), "kinds": kinds, "rows": found}


def _some_of_test(run) -> tuple[np.ndarray, np.ndarray]:
    """At most `corruption_images` test images, spread evenly, and their indices."""
    test = run.data.test
    count = min(run.config.corruption_images, len(test))
    indices = np.arange(count) * len(test) // count
    return test.images[indices], indices


def _predicted(row, members, by_member) -> tuple[np.ndarray, np.ndarray, dict[str, float]]:
    """A row's log-probabilities before and after calibration, and the average cost of a cascade."""
    if isinstance(members, Stages):
        raw, calibrated, goes_on = members.predict(by_member)
        return raw, calibrated, {"relative_flops": members.cascade.average_flops(goes_on)}
    log_probs = metrics.ensemble_log_probs([by_member[member] for member in members])
    return log_probs, apply_temperature(log_probs, row["temperature"]), {}


def _figures(row, members, by_member, labels: np.ndarray) -> dict:
    """With what was fitted on the clean validation split."""
    log_probs, calibrated, cost = _predicted(row, members, by_member)
    return {
        "accuracy": metrics.accuracy(log_probs, labels),
        "nll": metrics.nll(log_probs, labels),
        "calibrated_nll": metrics.nll(calibrated, labels),
        "ece": metrics.expected_calibration_error(log_probs, labels),
        **cost,
    }
