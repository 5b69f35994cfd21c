"""Runs whose base is a student of all modes."""

import json

import keras
import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.evaluation.calibration import apply_temperature
from bridge_tf.evaluation.metrics import nll
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.bridge_settings import new_bridge
from bridge_tf.runs.context import Run
from bridge_tf.runs.rows import row_ensemble
from bridge_tf.runs.runner import execute
from bridge_tf.utils.errors import InputError
from tests.runs.small import SMALL, digests, executed

CONFIG = Config(
    num_modes=2,
    distil_base=True,
    student_epochs=3,
    student_bridges=1,
    taps=("stage2_block1",),
    student_passes=2,
    baselines=("student", "wide_student", "sub_ensemble"),
    **SMALL,
)
STAGES = ("modes", "curves", "bridges", "baselines", "evaluate")
pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return executed(CONFIG, tmp_path_factory.mktemp("distilled") / "run", STAGES)


@pytest.fixture(scope="module")
def rows(run):
    return {row["name"]: row for row in json.loads(run.files.report.read_text())["ensembles"]}


def log_probs(model, images):
    return log_prob_predictor(model)(images)


def test_the_base_is_mode_0_trained_on(run):
    base, mode, other = run.load(run.files.base, keras.Model), run.load_mode(0), run.load_mode(1)

    def distance(model):
        pairs = zip(model.get_weights(), base.get_weights(), strict=True)
        return sum(np.square(a - b).sum() for a, b in pairs)

    assert 0 < distance(mode) < distance(other) / 2
    assert not (run.files.path / "baselines" / "student.keras").exists()  # it would be the same


def test_bridges_and_tails_read_it(run, rows):
    base = run.load(run.files.base, keras.Model)
    for name in ("bridge_1", "sub_ensemble_1"):
        ensemble = row_ensemble(run, name)
        for ours, wanted in zip(ensemble.base.get_weights(), base.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, wanted)
        test = run.data.test
        mean = np.log(np.exp(log_probs(ensemble, test.images)).mean(axis=0))
        assert nll(mean, test.labels) == pytest.approx(rows[name]["nll"], abs=1e-5)


def test_its_own_row_and_that_of_mode_0(run, rows):
    for name, path in (("single", run.files.mode(0)), ("student_1", run.files.base)):
        test, row = run.data.test, rows[name]
        predicted = log_probs(run.load(path, keras.Model), test.images)
        assert row["relative_flops"] == 1
        assert row["nll"] == pytest.approx(nll(predicted, test.labels), abs=1e-5)
        calibrated = apply_temperature(predicted, row["temperature"])
        assert row["calibrated_nll"] == pytest.approx(nll(calibrated, test.labels), abs=1e-5)
    assert rows["single"]["nll"] != rows["student_1"]["nll"]


def test_a_wide_student_costs_what_all_bridges_do(run, rows):
    wide = run.load(run.files.baseline("wide_student"), keras.Model)
    row, test = rows["wide_student_1"], run.data.test
    # Of so few channels, one more or less is a step of some percent.
    assert row["relative_flops"] == pytest.approx(rows["bridge_1"]["relative_flops"], rel=0.1)
    assert row["nll"] == pytest.approx(nll(log_probs(wide, test.images), test.labels), abs=1e-5)
    (member,) = log_probs(row_ensemble(run, "wide_student_1"), test.images)
    np.testing.assert_allclose(member, log_probs(wide, test.images), atol=1e-5)


def test_costs(run, rows):
    base, ensemble = run.load_mode(0), row_ensemble(run, "bridge_1")
    behind = count_flops(ensemble.bridges[0]) / count_flops(base)
    # Two modes; 3 epochs, where a mode has 2, and a bridge that is trained with it; two teachers
    # in 2 epochs.
    student = 2 + 3 / 2 * (1 + behind) + 2 / 2 * 2 / 3
    assert rows["student_1"]["training_cost"] == pytest.approx(student)
    wide = run.load(run.files.baseline("wide_student"), keras.Model)
    behind = count_flops(new_bridge(run, wide)) / count_flops(base)
    width = rows["wide_student_1"]["relative_flops"]
    assert rows["wide_student_1"]["training_cost"] == pytest.approx(
        2 + 3 / 2 * (width + behind) + 2 / 2 * 2 / 3
    )
    front = keras.Model(base.input, base.get_layer("stage2_block1").output)
    bridge = count_flops(front) + count_flops(base) + 3 * count_flops(ensemble.bridges[0])
    wanted = student + 1 + bridge / (3 * count_flops(base))
    assert rows["bridge_1"]["training_cost"] == pytest.approx(wanted)
    # The student is none of the modes that follow it.
    modes = rows["deep_ensemble_2"]["relative_flops"]
    for first, cascade in (("student_1", "student_cascade_2"), ("bridge_1", "bridge_cascade_1")):
        whole = rows[first]["relative_flops"] + modes
        assert rows[cascade]["worst_relative_flops"] == pytest.approx(whole)


def test_a_second_run_trains_nothing(run):
    before = digests(run.files.path)
    execute(Run(CONFIG, run.files.path, STAGES))
    assert digests(run.files.path) == before


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distil_base": True, "bridge_type": 2}, "`distil_base`: is for bridges of one base"),
        ({"student_passes": 1}, "`student_passes=1`: needs a student: `distil_base`, or"),
        ({"student_bridges": 1}, "`student_bridges=1`: needs a student: `distil_base`, or"),
        (
            {"student_bridges": 2, "num_modes": 2, "distil_base": True},
            "`student_bridges=2`: each learns another mode, and there are 1",
        ),
        (
            {"student_bridges": 1, "baselines": ("student",), "bridge_type": 2},
            "`student_bridges=1`: is for bridges of one base, without",
        ),
        (
            {"student_bridges": 1, "distil_base": True, "conditioned": True},
            "`student_bridges=1`: is for bridges of one base, without",
        ),
    ],
)
def test_what_a_student_cant_have_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Config(**settings)
