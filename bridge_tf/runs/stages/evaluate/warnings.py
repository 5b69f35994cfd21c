"""What in a report can't be relied on, in words."""

import types
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from bridge_tf.config.names import pair_name
from bridge_tf.data import Dataset

# Over resamples of validation splits of digits, 90 % of the fitted temperatures spanned a factor of
# 1.5 where the split held 10 errors, and of 2 to 5 where it held 5 or fewer.
_FEW_ERRORS = 10
# A curve's NLL is far above its ends from this multiple of the worse one on, and so many nats.
_BARRIER_RATIO, _BARRIER_NATS = 1.5, 0.05
_LISTED = 10
# A network of shapes, after 120 steps at a momentum of 0.99 (0.3 left), had 57 % where its weights
# had 99 %; after 300 (0.05 left) it had lost one image in a hundred.
_UNSETTLED = 0.05


def find_warnings(
    dataset: Dataset,
    validation_errors: int,
    curves: Sequence[dict],
    bridges: Sequence[dict],
    *,
    accuracies: Sequence[float] = (),
    retries: Mapping[str, Sequence[str]] = types.MappingProxyType({}),
    changed: Sequence[str] = (),
    seen: bool = False,
    harmed: Sequence[tuple[str, float, float]] = (),
    unsettled: Mapping[str, tuple[float, int]] = types.MappingProxyType({}),
    aligned: bool = False,
) -> list[str]:
    """A sentence without its full stop for each thing that spoils figures of a report.

    Args:
        validation_errors: how many validation images one network is wrong on.
        curves, bridges: as in report.json.
        accuracies: of the modes on the test images.
        retries: why a training was retried at a lower rate, each time, by its file's name.
        changed: the settings that name something else now than when the run began.
        seen: whether `modes` may have been trained on the validation images.
        harmed: names of ensembles with their NLL before and after calibration, where it is worse.
        unsettled: of "modes" and "bridges", what batch normalizations hold of their first values
            (`bridge_tf.curves.batch_norm.unsettled`), and after how many steps.
        aligned: whether curves are between modes matched by activations.
    """
    return [
        *_of_inputs(changed),
        *_of_data(dataset),
        *_of_trainings(retries),
        *_of_modes(accuracies, dataset.test.labels),
        *_of_batch_norms(unsettled),
        *_of_temperature(validation_errors, dataset),
        *_of_calibration(seen, harmed),
        *_of_curves(curves, aligned),
        *_of_bridges(bridges),
    ]


def _of_data(dataset: Dataset) -> Iterator[str]:
    faults, measured = dataset.faults, len(dataset.test)
    if faults.skipped:
        number = len(faults.skipped)
        subject, is_, was = ("image", "is", "was") if number == 1 else ("images", "are", "were")
        yield (
            f"{number:,} {subject} that can't be read or {is_} mislabelled {was} left out "
            f"(`skip_bad_images`): {_listing(faults.skipped)}"
        )
    if faults.duplicates:
        copies = "is a training image" if faults.duplicates == 1 else "are training images"
        yield (
            f"{faults.duplicates:,} of the {measured:,} test images {copies} too, so that all "
            "figures are better than on images never seen: remove the copies from one of the two"
        )
    if faults.classes_without_test:
        names = faults.classes_without_test
        classes, them = ("class", "it") if len(names) == 1 else (f"{len(names):,} classes", "them")
        yield (
            f"no test image is of the {classes} {_listing(names)}, so that the figures say nothing "
            f"of {them}: add test images of every class"
        )
    if faults.test_left_out:
        yield (
            f"the figures are of {measured:,} of the {measured + faults.test_left_out:,} test "
            "images only: `max_images=0` measures all"
        )


def _of_inputs(changed: Sequence[str]) -> Iterator[str]:
    for setting in changed:
        yield (
            f"`{setting}` isn't what it was when the run began: the figures may be of images that "
            "were trained on, or of others than the networks were made for"
        )


def _of_modes(accuracies: Sequence[float], labels: np.ndarray) -> Iterator[str]:
    largest = np.bincount(labels).max() / len(labels)
    for k, accuracy in enumerate(accuracies):
        if accuracy <= largest:
            yield (
                f"mode {k} has learned nothing: its accuracy of {accuracy:.4f} is that of always "
                f"naming the largest class ({largest:.4f}) at most; more `mode_epochs` or a lower "
                "`learning_rate` would help"
            )


def _of_trainings(retries: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for name, reasons in retries.items():
        times = "once" if len(reasons) == 1 else f"{len(reasons)} times"
        yield (
            f"the training of {name} diverged {times} and ended at 1/{2 ** len(reasons)} of the "
            f"learning rate, unlike the others: {'; '.join(reasons)}"
        )


def _of_batch_norms(unsettled: Mapping[str, tuple[float, int]]) -> Iterator[str]:
    for kind, (share, steps) in unsettled.items():
        if share > _UNSETTLED:
            yield (
                f"batch normalization in the {kind} still holds {share:.0%} of its first moving "
                f"averages after {steps:,} training steps, so that {kind} predict worse than their "
                "weights allow, and curves, whose averages are taken anew, seem better than they "
                f"are: more `{kind[:-1]}_epochs`, a smaller `batch_size` or layers of a lower "
                "`momentum` would help"
            )


def _of_temperature(errors: int, dataset: Dataset) -> Iterator[str]:
    if errors < _FEW_ERRORS:
        remedy = {
            "test": "more test images",
            "train": "a larger `validation_fraction`",
        }
        yield (
            f"one network is wrong on {errors} of the {len(dataset.validation)} validation images; "
            "a temperature fitted on so few errors is rough, and so are the calibrated figures: "
            f"{remedy.get(dataset.validation_from, 'more validation images')} would steady them"
        )


def _of_calibration(seen: bool, harmed: Sequence[tuple[str, float, float]]) -> Iterator[str]:
    if seen:
        yield (
            "`modes` may have been trained on the validation images, so that temperatures are too "
            "low and calibrated figures too bad or too good: leave `validation=train` out, or give "
            "validation images of their own"
        )
    for name, before, after in harmed:
        yield (
            f"calibration makes {name} worse on the test images, beyond chance (NLL {before:.4f} "
            f"before, {after:.4f} after): the validation images aren't like these, or were trained "
            "on"
        )


def _of_curves(curves: Sequence[dict], aligned: bool) -> Iterator[str]:
    remedies = "more `curve_epochs`" if aligned else "more `curve_epochs` or `align=activations`"
    for curve in curves:
        points = sorted(curve["points"], key=lambda point: point["r"])
        ends = points[0]["nll"], points[-1]["nll"]
        middle = min(points, key=lambda point: abs(point["r"] - 0.5))
        beyond = middle["nll"] - max(ends)
        if beyond >= _BARRIER_NATS and middle["nll"] > _BARRIER_RATIO * max(ends):
            yield (
                f"the curve {pair_name(curve['curve'])} is no path of low loss: at "
                f"r = {middle['r']:g} its NLL is {middle['nll']:.4f}, at its ends {ends[0]:.4f} "
                f"and {ends[1]:.4f}; {remedies} would lower it"
            )


def _of_bridges(bridges: Sequence[dict]) -> Iterator[str]:
    for bridge in bridges:
        # At r = 0 the member is the base itself.
        if bridge["r"] > 0 and not bridge["kl"] < bridge["kl_base"]:
            residual = "" if bridge["residual"] else "`residual`, which begins at the base, "
            yield (
                f"the bridge {pair_name(bridge['curve'])} at r = {bridge['r']:g} is no nearer to "
                f"its member than the base is (KL {bridge['kl']:.4f}, of the base "
                f"{bridge['kl_base']:.4f}); {residual}more `bridge_epochs`, another `taps` or a "
                "larger `bridge_width` would help"
            )


def _listing(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED:,} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
