"""A whole run by `bridge_tf.train`."""

import contextlib
import io
import json
import os
import pathlib
import re

import keras
import numpy as np
import pytest

import bridge_tf
from bridge_tf import InputError
from bridge_tf.cli.flags import Flags
from bridge_tf.cli.train import Options
from bridge_tf.config import Config
from bridge_tf.runs import python_run
from bridge_tf.runs.objects import arrays_of
from bridge_tf.runs.work_dir import WorkDir
from tests.commands import done
from tests.runs.small import digests
from tests.tiny import tiny_network

GENERATOR = np.random.default_rng(0)
X, Y = GENERATOR.integers(0, 256, (60, 8, 8, 1)).astype("uint8"), np.arange(60) % 5
# Others than any that validate, whose confidence may be just the threshold of a cascade.
OTHERS = GENERATOR.integers(0, 256, (60, 8, 8, 1)).astype("uint8")
SHORT = {"num_modes": 2, "mode_epochs": 1, "curve_epochs": 1, "bridge_epochs": 1, "batch_size": 16}
SHORT |= {"taps": ["relu0"], "curve_points": 3, "validation_fraction": 0.3, "jobs": "1"}


@pytest.fixture
def configured(monkeypatch):
    """Runs `train` up to the run, of which it gives the configuration."""
    monkeypatch.setattr(python_run, "_execute", lambda config, workdir, **options: config)
    monkeypatch.setattr(python_run, "TrainedRun", lambda config: config)
    return bridge_tf.train


def test_settings_are_those_of_the_command(configured, tmp_path):
    flags = Flags(Options, None)
    flags.parse(["--width=2", "--mode_epochs=7", "--taps=stage1_block1", "--positions=0,1"])
    flags.parse(["--conditioned", "--pixel_mean=1", "--nesterov", "--model=resnet14"])
    given = {"width": 2, "mode_epochs": np.int64(7), "taps": "stage1_block1", "positions": (0, 1)}
    given |= {"conditioned": True, "pixel_mean": 1, "nesterov": True, "model": "resnet14"}
    found = configured("digits", workdir=tmp_path / "w", **given)
    assert found == flags.config()
    assert found.fingerprint == flags.config().fingerprint
    assert not (tmp_path / "w").exists()


def test_a_budget_is_that_of_rows_and_cascades(configured, tmp_path):
    def budgets(**settings):
        config = configured("digits", workdir=tmp_path / "w", **settings)
        return config.budget_flops, config.average_cost

    assert budgets() == (1.25, 1.25)
    assert budgets(budget=2) == (2, 2)
    assert budgets(budget=1) == (1, 1.25)  # a cascade costs more than one network
    assert budgets(budget=2, average_cost=3) == (2, 3)
    with pytest.raises(InputError, match="`budget`: is `budget_flops` too; leave one of them out"):
        budgets(budget=2, budget_flops=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mode_epoch": 3}, "`mode_epoch`: is no setting of a run; nearest: mode_epochs"),
        ({"zzz": 3}, "`zzz`: is no setting of a run; help(bridge_tf.train) lists them"),
        ({"mode_epochs": "3"}, "`mode_epochs='3'`: must be a whole number"),
        ({"mode_epochs": 3.0}, "`mode_epochs=3.0`: must be a whole number"),
        ({"mode_epochs": 0}, "`mode_epochs=0`: must be at least 1"),
        ({"width": "2"}, "`width='2'`: must be a number"),
        ({"width": True}, "`width=True`: must be a number"),
        ({"nesterov": 1}, "`nesterov=1`: must be True or False"),
        ({"norm": 1}, "`norm=1`: must be text"),
        ({"taps": [1]}, "`taps=[1]`: must be a list of texts"),
        ({"positions": "0"}, "`positions='0'`: must be a list of numbers"),
        ({"model": 8}, "`model=8`: must be text"),
        ({"model": "resnet9"}, "`model`: no network 'resnet9'; nearest: resnet8"),
        ({"dataset": pathlib.Path("a")}, "`dataset`: a is a path; say of what, as in 'folder:a'"),
        ({"dataset": 3}, "`dataset`: is of no known form (int); give text"),
        ({"dataset": ((X, Y), X)}, "`dataset`: its test part isn't (images, labels)"),
        ({"dataset": {"x_train": X}}, "has no y_train, x_test, y_test"),
        ({"dataset": ((X, Y + 0.5), (X, Y))}, "y_train must be whole numbers"),
        ({"model": tiny_network}, "`model=<function"),
        ({"stages": ["cook"]}, "`stages=cook`: name one or more of modes"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_left(settings, message, tmp_path):
    settings = {"dataset": ((X, Y), (X, Y)), "model": "resnet8", **settings}
    with pytest.raises(InputError, match=re.escape(message)):
        bridge_tf.train(**settings, workdir=tmp_path / "w")
    assert not (tmp_path / "w").exists()


def test_all_forms_of_data_are_the_same_arrays():
    split = bridge_tf.Split(X, Y)
    digits = bridge_tf.load_dataset("digits")
    for given in (((X, Y), (X, Y)), [split, (X, Y)]):
        found = arrays_of(given)
        assert [*found] == ["x_train", "y_train", "x_test", "y_test"]
        assert all(np.array_equal(array, (X, Y)[k % 2]) for k, array in enumerate(found.values()))
    named = {"x_train": X.tolist(), "y_train": Y.tolist(), "x_test": X, "y_test": Y}
    assert all(np.array_equal(x, arrays_of(named)[name]) for name, x in found.items())
    found = arrays_of(digits)
    assert [*found][2:4] == ["x_val", "y_val"]
    assert np.array_equal(found["x_val"], digits.validation.images)
    assert np.array_equal(found["y_test"], digits.test.labels)


def test_objects_stay_those_of_the_run(configured, tmp_path):
    workdir = tmp_path / "w"
    config = configured(((X, Y), (X, Y)), workdir=workdir, model=tiny_network(0))
    assert config.dataset == f"npz:{workdir}/dataset.npz"
    assert config.model == f"{workdir}/model.keras"
    before = (workdir / "model.keras").read_bytes()
    keras.layers.Dense(1), keras.Sequential()  # the next ones are numbered from these on
    again = configured(((X, Y), (X, Y)), workdir=workdir, model=tiny_network(1))
    assert again == config and (workdir / "model.keras").read_bytes() == before
    other = keras.models.clone_model(tiny_network(0))
    other.get_layer("conv1").padding = "valid"
    for dataset, model, message in (
        (((X, Y), (X, Y[::-1])), "resnet8", "`dataset`: isn't what it was when the run in"),
        (((X, Y), (X, Y)), other, "`model`: is of another architecture than the one in"),
    ):
        with pytest.raises(InputError, match=message):
            configured(dataset, workdir=workdir, model=model)
    (workdir / "dataset.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match="`dataset`: isn't what it was"):
        configured(((X, Y), (X, Y)), workdir=workdir)


def test_a_relative_work_directory_is_found_from_elsewhere(configured, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = configured(((X, Y), (X, Y)), workdir="w")
    assert config.dataset == f"npz:{os.path.abspath('w')}/dataset.npz"


@pytest.mark.integration
def test_a_whole_run(tmp_path):
    data, printed = ((X, Y), (OTHERS, Y)), io.StringIO()
    with contextlib.redirect_stdout(printed):
        run = bridge_tf.train(data, model=tiny_network(0), workdir=tmp_path / "w", **SHORT)
        before = digests(tmp_path / "w")
        again = bridge_tf.train(data, model=tiny_network(0), workdir=tmp_path / "w", **SHORT)
    assert printed.getvalue() == ""
    assert digests(tmp_path / "w") == before and again.report == run.report
    assert run.workdir == tmp_path / "w" and str(run.workdir) in repr(run)

    # The same run by the command's settings.
    own = {"dataset": f"npz:{tmp_path}/w/dataset.npz", "model": f"{tmp_path}/w/model.keras"}
    config = Config(**own, **SHORT)
    assert WorkDir(tmp_path / "w").read_config().fingerprint == config.fingerprint

    recommended = run.report["recommendation"]["name"]
    assert f"choose {recommended}" in str(run.report)
    page = run.report._repr_html_()
    assert f"<b>{recommended}</b>" in page
    assert page.count("<tr>") == 1 + len(run.report["ensembles"])
    for row in run.report["ensembles"]:
        probabilities = run.row(row["name"]).predict(OTHERS.astype("float32"))["probabilities"]
        nll = -np.log(probabilities[np.arange(60), Y]).mean()
        assert nll == pytest.approx(row["calibrated_nll"], abs=1e-5), row["name"]
    assert {"cascade_2", "single"} <= {row["name"] for row in run.report["ensembles"]}
    assert run.best is run.best

    paths = run.export(tmp_path / "e", "mine", coverage=0.8, latency=False)
    assert [path.name for path in paths] == ["1", "mine.tflite"]
    assert run.export(tmp_path / "e", "mine", coverage=0.8, latency=False) == paths
    rows = run.export(tmp_path / "e", "mine", "single", latency=False)
    assert [path.name for path in rows] == ["1", "mine-single.tflite"]
    assert [row["file"] for row in run.report["artifacts"]] == ["ensemble.keras", "mine.tflite"]
    for settings, message in (
        ({"mode_epochs": 3}, "`mode_epochs`: is no setting of an export, but of `train`"),
        ({"ensemble": "no"}, "`ensemble=no`: isn't a row that can be exported; name one of"),
    ):
        with pytest.raises(InputError, match=message):
            run.export(tmp_path / "e", **settings)
    with pytest.raises(InputError, match="isn't a row"):
        run.row("bridge_9")
    command = ["calibrate", f"--model={run.workdir}", "--ensemble=cascade_2", "--split=all"]
    found = json.loads(done(*command, f"--dataset=npz:{run.workdir}/dataset.npz").stdout)
    assert found["images"] == 120 and found["cascade"]["average_cost"] == 1.25
    message = "holds a run with other settings: `mode_epochs=2`"
    with pytest.raises(InputError, match=message):
        bridge_tf.train(
            data, model=tiny_network(0), workdir=tmp_path / "w", **{**SHORT, "mode_epochs": 2}
        )
