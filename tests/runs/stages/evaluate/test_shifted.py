"""What is measured on corrupted images and on other data, of made-up members."""

import types

import numpy as np
import pytest
from scipy.special import log_softmax

from bridge_tf.config import Config
from bridge_tf.data import Split
from bridge_tf.data.corruptions import corrupt
from bridge_tf.evaluation import (
    accuracy,
    apply_temperature,
    ensemble_log_probs,
    expected_calibration_error,
    nll,
    ood_detection,
)
from bridge_tf.evaluation.cascade import Cascade
from bridge_tf.runs.stages.evaluate import shifted
from bridge_tf.runs.stages.evaluate.cascade_rows import Stages
from bridge_tf.runs.stages.evaluate.shifted import (
    early_exit_shifted,
    is_measured,
    measure_shifted,
)

NAMES = [("mode", 0), ("mode", 1)]
ROWS = [
    ({"name": "single", "temperature": 2.0}, NAMES[:1]),
    ({"name": "deep_ensemble_2", "temperature": 0.5}, NAMES),
]
IMAGES = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 1)).astype("uint8")
OTHERS = np.random.default_rng(1).integers(0, 256, (5, 8, 8, 1)).astype("uint8")
TEST = Split(IMAGES, np.arange(12) % 3)


class Members:
    """Answers that are a linear function of the pixels."""

    base = NAMES[0]

    def __init__(self):
        self.asked = []
        self.weights = np.random.default_rng(2).normal(0, 1e-3, (2, 64, 3))

    def on(self, name, images, only=None) -> dict:
        assert only in (None, self.base)
        self.asked.append((name, len(images)))
        pixels = images.reshape(len(images), 64).astype("float64")
        answers = [log_softmax(pixels @ weights, axis=1) for weights in self.weights]
        return dict(zip(NAMES, answers, strict=True))

    def ensemble(self, members, images) -> np.ndarray:
        by_member = self.on("test", images)
        return ensemble_log_probs([by_member[member] for member in members])

    @property
    def log_probs(self) -> dict:
        return {name: (log_probs, None) for name, log_probs in self.on("test", IMAGES).items()}


def run_of(**settings) -> types.SimpleNamespace:
    config = Config(**settings)
    data = types.SimpleNamespace(test=TEST, image_shape=IMAGES.shape[1:])
    return types.SimpleNamespace(config=config, data=data)


@pytest.fixture(autouse=True)
def _other_images(monkeypatch):
    monkeypatch.setattr(shifted, "other_images", lambda run: ("others", OTHERS))


def test_nothing_is_measured_unasked():
    members = Members()
    assert measure_shifted(run_of(), members, ROWS) == {}
    assert not members.asked


def test_early_exit_is_counted_under_noise_and_inverted():
    members, run = Members(), run_of(corruption_images=6)
    indices = np.arange(6) * 2
    images = IMAGES[indices]
    kinds = [corrupt(images, "noise", 3, indices), 255 - images]
    tops = [np.exp(members.on("", x)[NAMES[0]]).max(axis=1).astype("float32") for x in kinds]
    threshold = float(np.sort(tops[0])[2])  # two of six are below
    found = early_exit_shifted(run, members, threshold, more=0.5)
    assert [row["images"] for row in found] == ["noise of severity 3", "inverted pixels"]
    assert [row["num_images"] for row in found] == [6, 6]
    shares = [float((top < threshold).mean()) for top in tops]
    assert [row["share"] for row in found] == shares and shares[0] == 2 / 6
    assert [row["relative_flops"] for row in found] == [1 + share / 2 for share in shares]
    run.data.image_shape = (6,)
    assert early_exit_shifted(run, members, threshold, more=0.5) == []


def test_every_row_tells_other_data_apart():
    members = Members()
    found = measure_shifted(run_of(ood_dataset="npz:others.npz"), members, ROWS)["ood"]
    assert (found["dataset"], found["num_images"]) == ("others", 5)
    assert "npz" not in str(found)  # where it lies isn't everybody's business
    for measured, (row, names) in zip(found["rows"], ROWS, strict=True):
        pair = (members.ensemble(names, images) for images in (IMAGES, OTHERS))
        assert measured == {"name": row["name"], **ood_detection(*pair)}


def test_every_row_is_measured_on_every_corruption():
    members = Members()
    run = run_of(corruptions=["jpeg", "noise"], corruption_images=4)
    found = measure_shifted(run, members, ROWS)["corruptions"]
    assert (found["images"], found["kinds"]) == (4, ["jpeg", "noise"])
    indices = [0, 3, 6, 9]
    labels = TEST.labels[indices]
    places = [(kind, severity) for kind in ("jpeg", "noise") for severity in range(1, 6)]
    for measured, (row, names) in zip(found["rows"], ROWS, strict=True):

        def figures(images, names=names, row=row) -> dict:
            log_probs = members.ensemble(names, images)
            calibrated = apply_temperature(log_probs, row["temperature"])
            return {
                "accuracy": accuracy(log_probs, labels),
                "nll": nll(log_probs, labels),
                "calibrated_nll": nll(calibrated, labels),
                "ece": expected_calibration_error(log_probs, labels),
            }

        assert measured["name"] == row["name"]
        clean = figures(IMAGES[indices])
        assert measured["clean"] == {key: pytest.approx(clean[key], rel=1e-12) for key in clean}
        assert [(c["corruption"], c["severity"]) for c in measured["corrupted"]] == places
        for corrupted, (kind, severity) in zip(measured["corrupted"], places, strict=True):
            # By the images' numbers in the test split.
            images = corrupt(IMAGES, kind, severity)[indices]
            place = {"corruption": kind, "severity": severity}
            assert corrupted == {**place, **figures(images)}
    assert [asked for asked in members.asked if asked[0] != "test"] == [
        (f"{kind}-{severity}", 4) for kind, severity in places
    ]


def test_cascades_keep_their_threshold_and_temperatures():
    members = Members()
    tops = np.exp(apply_temperature(members.ensemble(NAMES[:1], IMAGES), 2.0).max(axis=1))
    cascade = Cascade((2.0, 0.5), (1.0, 2.0), threshold=float(np.median(tops)))
    rows = [({"name": "cascade_2"}, Stages(cascade, NAMES[:1], NAMES))]
    run = run_of(ood_dataset="npz:others.npz", corruptions=["noise"])
    found = measure_shifted(run, members, rows)

    def by_loop(images):
        first, second = (members.ensemble(names, images) for names in (NAMES[:1], NAMES))
        scaled = apply_temperature(first, 2.0), apply_temperature(second, 0.5)
        going = [np.float32(np.exp(x.max())) < cascade.threshold for x in scaled[0]]
        pairs = ((first, second), scaled)
        raw, calibrated = (
            np.array([b[k] if on else a[k] for k, on in enumerate(going)]) for a, b in pairs
        )
        return raw, calibrated, 1 + np.mean(going)

    raw, _, _ = by_loop(IMAGES)
    others, _, cost = by_loop(OTHERS)
    assert found["ood"]["rows"] == [
        {"name": "cascade_2", **ood_detection(raw, others), "relative_flops": pytest.approx(cost)}
    ]
    (measured,) = found["corruptions"]["rows"]
    shifted_costs = set()
    for k, figures in enumerate([measured["clean"], *measured["corrupted"]]):
        images = corrupt(IMAGES, "noise", k) if k else IMAGES
        raw, calibrated, cost = by_loop(images)
        assert figures["nll"] == pytest.approx(nll(raw, TEST.labels), rel=1e-12)
        assert figures["calibrated_nll"] == pytest.approx(nll(calibrated, TEST.labels), rel=1e-12)
        assert figures["relative_flops"] == pytest.approx(cost, rel=1e-12)
        shifted_costs.add(cost)
    assert measured["clean"]["relative_flops"] == 1.5 and len(shifted_costs) > 1


def test_no_more_images_are_corrupted_than_there_are():
    run = run_of(corruptions=["contrast"])
    found = measure_shifted(run, Members(), ROWS)["corruptions"]
    assert found["images"] == 12


MEASURED = {"ood_dataset": "npz:others.npz", "corruptions": ["noise", "blur"]}


def test_a_report_is_of_what_was_wanted_of_it():
    report = {"dataset": {"num_test": 12}}
    assert is_measured(Config(), report)
    assert not is_measured(Config(**MEASURED), report)
    report |= measure_shifted(run_of(**MEASURED), Members(), ROWS)
    assert is_measured(Config(**MEASURED), report)
    # In any order, and with as many images as there are.
    other = {"corruptions": ["blur", "noise"], "corruption_images": 12}
    assert is_measured(Config(**MEASURED | other), report)
    for changes in (
        {"ood_dataset": ""},
        {"ood_dataset": "npz:elsewhere/others.npz"},
        {"corruptions": []},
        {"corruptions": ["noise"]},
        {"corruption_images": 11},
    ):
        assert not is_measured(Config(**MEASURED | changes), report)
    assert not is_measured(Config(), report)
