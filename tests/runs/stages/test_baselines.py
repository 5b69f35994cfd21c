import dataclasses
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from bridge_tf.config import Config
from bridge_tf.config.fields import BASELINES
from bridge_tf.ensembles.baselines import laplace
from bridge_tf.export import load_predictor
from bridge_tf.networks.flops import count_flops
from bridge_tf.runs.context import Run
from bridge_tf.runs.ensemble_file import build_ensemble
from bridge_tf.runs.runner import execute, measure_again
from bridge_tf.runs.stages.baselines import Baselines
from bridge_tf.runs.stages.export import export_row
from bridge_tf.runs.status import baseline_files, check_baselines
from bridge_tf.utils.errors import InputError
from tests.runs.small import SMALL, check_interrupted, digests, executed

CONFIG = Config(num_modes=3, norm="batch", baselines=BASELINES, **{**SMALL, "mode_epochs": 4})
STAGES = ("modes", "curves", "bridges", "baselines", "evaluate")
pytestmark = pytest.mark.slow

FILES = {
    *("swa", "fge-1", "fge-2", "distillation", "mixed_distillation", "student", "wide_student"),
    *("wide", "mixup", "long", "sub_ensemble-1", "sub_ensemble-2", "laplace", "batch_ensemble"),
    *("mimo", "mc_dropout", "packed-1", "packed-2", "packed-3"),
}
NAMES = ("student", "distillation")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return executed(CONFIG, tmp_path_factory.mktemp("baselines") / "run", STAGES)


@pytest.fixture
def copied(run, tmp_path):
    """A function that gives the run, in a folder of its own, with other settings."""

    def copied(**changes):
        folder = shutil.copytree(run.files.path, tmp_path / "run", dirs_exist_ok=True)
        return Run(dataclasses.replace(CONFIG, **changes), folder, STAGES)

    return copied


@pytest.fixture(scope="module")
def rows(run):
    return {row["name"]: row for row in json.loads(run.files.report.read_text())["ensembles"]}


@pytest.mark.parametrize("name", ["batch_ensemble_3", "mimo_2", "mc_dropout_3", "bridge_cascade_2"])
def test_exported_rows_have_the_calibrated_nll_of_the_report(run, rows, tmp_path, name):
    config = dataclasses.replace(CONFIG, export_dir=str(tmp_path), export_name="it", latency=False)
    saved_model, tflite = export_row(Run(config, run.files.path, STAGES), name)
    test = run.data.test
    served = tf.saved_model.load(str(saved_model)).signatures["serving_default"]
    for found in (
        served(image=tf.constant(test.images, "float32"))["probabilities"].numpy(),
        load_predictor(tflite)(test.images)["probabilities"],
    ):
        nll = -np.log(found[np.arange(len(test)), test.labels].astype("float64")).mean()
        assert nll == pytest.approx(rows[name]["calibrated_nll"], abs=1e-4)
    assert ("no signature `base`" in (tmp_path / f"it-{name}.md").read_text()) == (
        "cascade" not in name
    )


def test_each_baseline_has_its_files_and_rows(run, rows):
    assert {path.stem for path in run.files.path.glob("baselines/*")} == FILES
    assert [name for name in rows if "cascade" not in name] == [
        *("single", "deep_ensemble_2", "deep_ensemble_3", "curve_1", "curve_2"),
        *("swa_1", "fge_2", "fge_3", "distillation_1", "mixed_distillation_1", "student_1"),
        *("wide_student_1", "wide_1", "mixup_1", "long_1", "sub_ensemble_1", "sub_ensemble_2"),
        *("packed_3", "laplace_1"),
        *("batch_ensemble_3", "mimo_2", "mc_dropout_3", "bridge_1", "bridge_2"),
    ]
    methods = {row["method"] for row in rows.values() if "cascade" not in row["method"]}
    assert methods == {"single", "bridge", *BASELINES}


def test_costs_of_inference(rows):
    def costs(name):
        return rows[name]["relative_flops"], rows[name]["relative_params"]

    for name in ("swa_1", "distillation_1", "mixed_distillation_1", "student_1", "mixup_1"):
        assert costs(name) == costs("long_1") == (1, 1)
    assert costs("sub_ensemble_2") == costs("bridge_2")
    assert 1 < costs("laplace_1")[0] < 1.1
    assert costs("packed_3")[0] == pytest.approx(1, rel=0.1)
    assert costs("wide_1") == costs("wide_student_1")
    # Of so few channels, one more or less is a step of some percent.
    assert costs("wide_1")[0] == pytest.approx(costs("bridge_2")[0], rel=0.1)
    assert costs("fge_3") == costs("deep_ensemble_3")
    # All members run, but share their kernels; MIMO has first and last layers of its own.
    assert 3 < costs("batch_ensemble_3")[0] < 3.2 and 1 < costs("batch_ensemble_3")[1] < 1.2
    assert 3 < costs("mc_dropout_3")[0] < 3.2 and 1 < costs("mc_dropout_3")[1] < 1.1
    assert 1 < costs("mimo_2")[0] < 1.2 and 1 < costs("mimo_2")[1] < 1.2


def test_costs_of_training(run, rows):
    cost = {name: row["training_cost"] for name, row in rows.items()}
    assert cost["single"] == cost["swa_1"] == cost["mixup_1"] == 1
    assert cost["wide_1"] == rows["wide_1"]["relative_flops"]
    assert cost["deep_ensemble_3"] == 3
    assert cost["curve_2"] == 3 + 2 * 2 / 4  # 2 epochs each, where a mode has 4
    assert cost["fge_3"] == 1 + 2 * 1 / 4  # cycles of 1 epoch
    # Three teachers answer, one student learns.
    # Whole epochs, of which a mode has four.
    assert cost["bridge_1"] <= cost["long_1"] < cost["bridge_1"] + 1 / 4
    assert cost["distillation_1"] == cost["student_1"] == 3 + (3 + 3) / 3
    assert cost["mixed_distillation_1"] == cost["distillation_1"]
    wide = rows["wide_1"]["relative_flops"]
    assert cost["wide_student_1"] == pytest.approx(3 + (3 * wide + 3) / 3)
    assert cost["packed_3"] == pytest.approx(rows["packed_3"]["relative_flops"])
    assert cost["laplace_1"] == 1 + 1 / (3 * 4)  # a forward pass
    # An image is seen by all members of the one, by one member of the other.
    assert cost["batch_ensemble_3"] == pytest.approx(rows["batch_ensemble_3"]["relative_flops"])
    assert cost["mc_dropout_3"] == pytest.approx(rows["mc_dropout_3"]["relative_flops"] / 3)
    assert cost["mimo_2"] == rows["mimo_2"]["relative_flops"]
    base, ensemble = run.load_mode(0), build_ensemble(run).first(1)
    front = keras.Model(base.input, base.get_layer("stage2_block1").output)
    step = count_flops(front) + count_flops(base) + 3 * count_flops(ensemble.bridges[0])
    assert cost["bridge_1"] == pytest.approx(2 + 2 / 4 + 2 / 4 * step / (3 * count_flops(base)))
    tail = step - count_flops(base)  # without a member
    assert cost["sub_ensemble_1"] == pytest.approx(1 + 2 / 4 * tail / (3 * count_flops(base)))


def test_cycles_begin_where_the_last_ended(run):
    first, second = (run.load(path, keras.Model) for path in baseline_files(run, "fge"))
    mode = run.load_mode(0)

    def distance(a, b):
        return sum(
            np.square(x - y).sum() for x, y in zip(a.get_weights(), b.get_weights(), strict=True)
        )

    assert 0 < distance(mode, first) < distance(mode, run.load_mode(1))
    assert 0 < distance(first, second) < distance(mode, run.load_mode(1))


def test_the_student_begins_as_mode_0(run):
    student, other = (run.load(run.files.baseline(name), keras.Model) for name in NAMES)
    mode = run.load_mode(0)

    def distance(model):
        pairs = zip(model.get_weights(), mode.get_weights(), strict=True)
        return sum(np.square(a - b).sum() for a, b in pairs)

    assert 0 < distance(student) < distance(other) / 2


def test_laplace_is_mode_0_with_its_last_layers_uncertainty(run):
    written, network = run.load(run.files.baseline("laplace"), keras.Model), run.load_mode(0)
    images = run.data.test.images[:16].astype("float32")
    wanted = laplace(network, run.data.train.images).predict(images, verbose=0)
    np.testing.assert_allclose(written.predict(images, verbose=0), wanted, atol=1e-5)
    assert np.all(np.abs(wanted) <= np.abs(network.predict(images, verbose=0)) + 1e-5)


def test_packed_networks_are_trained_apart(run):
    networks = [run.load(path, keras.Model) for path in baseline_files(run, "packed")]
    kernels = [network.get_layer("stem_conv").get_weights()[0] for network in networks]
    assert kernels[0].shape[-1] < run.load_mode(0).get_layer("stem_conv").get_weights()[0].shape[-1]
    assert (kernels[0] != kernels[1]).any() and (kernels[1] != kernels[2]).any()


def test_tails_differ_and_are_like_the_bridges(run, rows):
    first, second = (run.load(path, keras.Model) for path in baseline_files(run, "sub_ensemble"))
    bridge = run.load(run.files.bridge((0, 1)), keras.Model)
    assert [tuple(w.shape) for w in first.weights] == [tuple(w.shape) for w in bridge.weights]
    assert any((a != b).any() for a, b in zip(first.get_weights(), second.get_weights(), strict=1))
    assert rows["sub_ensemble_2"]["disagreement"] > 0
    assert not run.files.pool.exists()


@pytest.mark.parametrize("changes", [{"bridge_type": 2}, {"conditioned": True}])
def test_tails_of_other_bridges_are_refused(copied, changes):
    again = copied(baselines=("sub_ensemble",), num_modes=4, **changes)
    with pytest.raises(InputError, match="`baselines=sub_ensemble`: needs bridges of one base"):
        Baselines().check(again)


def test_mixup_is_the_same_where_bridges_do_not_mix(tmp_path, run):
    config = dataclasses.replace(CONFIG, baselines=("mixup",), mixup_alpha=0.0)
    again = executed(config, tmp_path / "run", ("modes", "baselines"))
    mine, other = (x.load(x.files.baseline("mixup"), keras.Model) for x in (again, run))
    for weight, wanted in zip(mine.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, wanted)


def test_a_second_run_trains_nothing_and_compares_what_is_there(copied, run):
    before = digests(run.files.path)
    again = copied(baselines=())
    execute(again)
    assert digests(again.files.path) == before
    assert again.files.report.read_bytes() == run.files.report.read_bytes()


def test_the_same_figures_when_measured_anew(copied, run):
    again = copied(baselines=())
    measure_again(again)
    assert again.files.report.read_bytes() == run.files.report.read_bytes()


def test_a_baseline_that_is_missing_is_named(copied):
    again = copied(baselines=("swa",))
    again.files.baseline("swa").unlink()
    with pytest.raises(InputError, match=r"swa.keras is missing; run `stages=baselines` first"):
        measure_again(again)


def test_what_a_baseline_was_made_from_is_known(copied):
    again = copied()
    shutil.copyfile(again.files.mode(1), again.files.mode(0))
    again.files.manifest.add(again.files.mode(0), again.files.mode(0), [])
    with pytest.raises(InputError, match=r"fge-1.keras was made from other files"):
        check_baselines(again)


def test_mimo_of_a_file_is_refused_before_anything_is_trained(copied, run, tmp_path):
    config = Config(model=str(run.files.mode(0)), baselines=("mimo",), max_images=64)
    with pytest.raises(InputError, match="`baselines=mimo`: needs more inputs and outputs"):
        executed(config, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_an_unknown_baseline_is_refused():
    with pytest.raises(InputError, match=r"`baselines=swag`: .*distillation"):
        Config(baselines=("swag",))


def test_baselines_interrupted_in_every_training_end_the_same(tmp_path, monkeypatch):
    config = dataclasses.replace(CONFIG, num_modes=2)
    trainings = 2 + 1 + 1 + len(FILES - {"fge-2", "sub_ensemble-2", "packed-3"})
    check_interrupted(config, trainings, tmp_path, monkeypatch, ("baselines",), of_one_epoch=2)
