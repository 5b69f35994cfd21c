"""The stages in one process: interrupted, taken up again, and with bridges of both types."""

import dataclasses
import shlex
import shutil

import keras
import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.networks.saving import write_model
from bridge_tf.runs import runner
from bridge_tf.runs.context import Run
from bridge_tf.runs.run_files import RunFiles
from bridge_tf.runs.runner import demo_command, execute
from bridge_tf.runs.stages import bridges, curves, modes, training
from bridge_tf.runs.status import check_trained
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.training.recipe import Recipe
from bridge_tf.utils.errors import InputError, TrainingError
from tests.runs.small import SMALL, TRAININGS, digests, executed

pytestmark = pytest.mark.integration


def test_the_demo_of_an_export_elsewhere_is_named_whole(tmp_path):
    run = Run(Config(export_dir="exports"), tmp_path / "a run")
    run.files.claim(run.config)
    assert demo_command(run) == f"bridge-tf demo '--workdir={tmp_path}/a run'"
    elsewhere = Run(dataclasses.replace(run.config, export_dir="b c"), run.files.path)
    assert (
        demo_command(elsewhere) == f"bridge-tf demo '--workdir={tmp_path}/a run' '--export_dir=b c'"
    )


@pytest.mark.parametrize("imports", [(), ("my_layers",)])
def test_the_export_of_the_recommended_row_is_named_whole(tmp_path, monkeypatch, imports):
    run = Run(Config(num_modes=3, export_dir="b c", imports=imports), tmp_path / "run")
    monkeypatch.setattr(runner, "recommended_row", lambda run: "cascade_2")
    ((what, (command,)),) = runner._recommended(run).items()
    assert what == "the model is bridge_2; the report's choice, cascade_2"
    words = ["bridge-tf", "export", f"--workdir={tmp_path}/run", "--export_dir=b c"]
    wanted = [*words, "--ensemble=recommended", *["--imports=my_layers"] * len(imports)]
    assert shlex.split(command) == wanted

    monkeypatch.setattr(runner, "recommended_row", lambda run: "bridge_2")
    assert runner._recommended(run) == {}


def test_without_a_report_no_row_is_recommended(tmp_path):
    assert runner._recommended(Run(Config(), tmp_path / "run")) == {}


def test_a_result_that_cannot_be_saved_costs_no_training(tmp_path, monkeypatch):
    config = Config(num_modes=2, **SMALL)
    save = keras.Model.save

    def full_disk(model, path, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        executed(config, tmp_path, ["modes"])
    checkpoints = [path.name for path in (tmp_path / "checkpoints" / "modes" / "0").iterdir()]
    assert sorted(checkpoints) == ["epoch-1.npz", "epoch-2.npz"]
    assert not list(tmp_path.rglob("*.keras"))

    monkeypatch.setattr(keras.Model, "save", save)
    run = Run(config, tmp_path, ["modes"])
    monkeypatch.setattr(run, "training_batches", lambda *a, **k: pytest.fail("trains again"))
    with pytest.raises(pytest.fail.Exception, match="trains again"):
        execute(run)  # of the second mode
    assert (tmp_path / "modes" / "0.keras").exists()


def test_modes_of_another_network_are_refused(copied, tmp_path):
    config, folder = copied
    (folder / "curves" / "0-1.keras").unlink()
    run = Run(config, folder)
    other = Config(**{**config.to_json(), "width": 0.5})

    def put(network):
        network.save(run.files.mode(1))
        run.files.manifest.remove(run.files.mode(1))

    put(Run(other, tmp_path / "other").build())
    with pytest.raises(InputError, match=r"modes/0.keras and .*modes/1.keras: .*architecture"):
        executed(config, folder, ["curves"])
    put(keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]))
    with pytest.raises(InputError, match=r"modes/1.keras maps .* but the run's images"):
        executed(config, folder, ["curves"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The configuration and the work directory of a run that is trained."""
    config = Config(num_modes=2, **SMALL)
    folder = tmp_path_factory.mktemp("trained") / "work"
    executed(config, folder, TRAININGS)
    return config, folder


@pytest.fixture
def copied(trained, tmp_path):
    """The same, to spoil."""
    config, folder = trained
    return config, shutil.copytree(folder, tmp_path / "work")


def count_trainings(monkeypatch, tell):
    """Tells of each training that is begun its task."""
    train = training.train
    for stage in (modes, curves, bridges):
        monkeypatch.setattr(
            stage, "train", lambda run, task, *a, **k: (tell(task), train(run, task, *a, **k))
        )


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "name", ["modes/1.keras", "curves/0-1.keras", "bridges/0-1.keras", "ensemble.keras"]
)
def test_a_flipped_bit_is_named_and_just_that_file_made_again(copied, name, monkeypatch):
    config, folder = copied
    whole = digests(folder)
    flip(folder / name)
    with pytest.raises(InputError, match=f"{name} isn't as it was written.*`repair`"):
        executed(config, folder, TRAININGS)
    trained = []
    count_trainings(monkeypatch, trained.append)
    executed(config, folder, TRAININGS, repair=True)
    files = [task.file(RunFiles("")) for task in trained]
    assert list(map(str, files)) == [name][: name != "ensemble.keras"]
    assert digests(folder) == whole
    assert (folder / f"{name}.damaged").exists()
    executed(config, folder, TRAININGS)


def test_what_was_made_of_a_file_that_is_another_now_is_named(copied):
    config, folder = copied
    run = Run(config, folder)
    (folder / "modes" / "1.keras").unlink()
    run.build().save(folder / "modes" / "1.keras")
    run.files.manifest.remove(folder / "modes" / "1.keras")
    with pytest.raises(
        InputError, match=r"curves/0-1.keras was made from other files than .*1.keras"
    ):
        executed(config, folder, TRAININGS)


def test_a_run_without_a_manifest_is_taken_in_and_not_trained_again(copied, monkeypatch):
    config, folder = copied
    whole = digests(folder)
    (folder / "manifest.json").unlink()
    count_trainings(monkeypatch, lambda task: pytest.fail("trains again"))
    executed(config, folder, TRAININGS)
    assert digests(folder) == whole
    flip(folder / "modes" / "1.keras")
    with pytest.raises(InputError, match=r"modes/1.keras isn't as it was written"):
        executed(config, folder, TRAININGS)


def test_a_damaged_manifest_and_configuration_are_named_and_repaired(copied):
    config, folder = copied
    whole, content = digests(folder), (folder / "config.json").read_bytes()
    for name in ("manifest.json", "config.json"):
        flip(folder / name)
        with pytest.raises(InputError, match=f"{name} .*`repair`"):
            executed(config, folder, TRAININGS)
        executed(config, folder, TRAININGS, repair=True)
        assert digests(folder) == whole
        assert (folder / "config.json").read_bytes() == content
    flip(folder / "config.json")
    other = dataclasses.replace(config, seed=1)
    with pytest.raises(InputError, match=r"config.json isn't as the run wrote it"):
        executed(other, folder, TRAININGS, repair=True)


def test_too_little_space_is_told_before_a_stage(copied, monkeypatch):
    config, folder = copied
    (folder / "curves" / "0-1.keras").unlink()
    usage = shutil.disk_usage(folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with pytest.raises(
        InputError, match=r"`workdir`: the stage curves will take 0.6 MB in .* 0.0 MB left"
    ):
        executed(config, folder, TRAININGS)


def test_retries_are_kept_for_the_report(tmp_path, monkeypatch):
    config = Config(num_modes=2, **{**SMALL, "learning_rate": 1e18, "warmup_epochs": 0})
    with pytest.raises(TrainingError, match=r"the loss became .*`on_divergence=retry`"):
        executed(config, tmp_path, ["modes"])
    begun = []
    schedule = Recipe.optimizer

    def optimizer(recipe, steps):
        begun.append(recipe.learning_rate)
        rate = recipe.learning_rate if len(begun) < 3 else 0.01
        return schedule(dataclasses.replace(recipe, learning_rate=rate), steps)

    monkeypatch.setattr(Recipe, "optimizer", optimizer)
    run = executed(dataclasses.replace(config, on_divergence="retry"), tmp_path, ["modes"])
    assert begun[:3] == [1e18, 0.5e18, 0.25e18]
    assert len(run.files.manifest.entry(run.files.mode(0))["retries"]) == 2
    assert "retries" not in run.files.manifest.entry(run.files.mode(1))


def test_an_ensemble_of_other_bridges_is_made_again_before_it_is_used(copied):
    config, folder = copied
    run = Run(config, folder)
    pair, before = (0, 1), digests(folder)
    bridge = run.load(run.files.bridge(pair), keras.Model)
    bridge.set_weights([weight + 1 for weight in bridge.get_weights()])
    sources = run.graph.tasks["bridge-0-1"].sources(run.files)
    with run.files.writing(run.files.bridge(pair), sources) as partial:
        write_model(bridge, partial)
    check_trained(Run(config, folder), "export")
    assert digests(folder)["ensemble.keras"] != before["ensemble.keras"]
    ensemble = run.load(run.files.ensemble, keras.Model)
    for a, b in zip(ensemble.bridges[0].get_weights(), bridge.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_damaged_mode_is_named_and_not_what_was_made_of_it(copied):
    config, folder = copied
    flip(folder / "modes" / "1.keras")
    for stage in ("curves", "bridges", "evaluate", "export"):
        for repair in (False, True):
            if stage in ("curves", "bridges") or not repair:
                with pytest.raises(InputError, match=r"modes/1.keras isn't as it was written"):
                    executed(config, folder, [stage], repair=repair)
    assert not list(folder.rglob("*.damaged"))


def test_other_images_are_not_mixed_into_a_run(copied):
    config, folder = copied
    (folder / "modes" / "1.keras").unlink()
    run = Run(config, folder, ["modes"])
    run.data.train.labels[:] = run.data.train.labels[::-1].copy()
    with pytest.raises(InputError, match=r"`dataset`: isn't what it was when the run in .* began"):
        execute(run)


def test_who_has_waited_trains_nothing_again(copied, tmp_path, monkeypatch):
    config, folder = copied
    late = Run(config, tmp_path / "new", ["modes"])

    def claim(files, config):
        """The other process finishes while this one waits for the lock."""
        monkeypatch.undo()
        shutil.copytree(folder, tmp_path / "new")
        files.claim(config)

    monkeypatch.setattr(WorkDir, "claim", claim)
    monkeypatch.setattr(late, "training_batches", lambda *a, **k: pytest.fail("trains again"))
    execute(late)
