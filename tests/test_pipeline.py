"""The stages in one process: interrupted, taken up again, and with bridges of both types."""

import json

import keras
import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.errors import InputError
from bridge_tf.pipeline import Pipeline
from bridge_tf.progress import TrainingProgress

SMALL = {
    "max_images": 64,
    "width": 0.25,
    "batch_size": 16,
    "warmup_epochs": 1,
    "mode_epochs": 2,
    "curve_epochs": 2,
    "bridge_epochs": 2,
    "curve_points": 3,
    "jit_compile": False,
}
TRAININGS = ("modes", "curves", "bridges")


def weights(folder) -> dict:
    return {
        str(path.relative_to(folder)): keras.models.load_model(path).get_weights()
        for path in sorted(folder.rglob("*.keras"))
    }


def test_a_run_interrupted_in_every_training_ends_the_same(tmp_path, monkeypatch):
    config = Config(num_modes=2, augment="crop", norm="batch", **SMALL)
    Pipeline(config, tmp_path / "whole").run(TRAININGS)

    interrupted = set()

    def interrupt(progress, epoch, logs=None):
        if epoch == 1 and progress.title not in interrupted:
            interrupted.add(progress.title)
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingProgress, "on_epoch_begin", interrupt)
    while True:
        try:
            Pipeline(config, tmp_path / "pieces").run(TRAININGS)
            break
        except KeyboardInterrupt:
            continue
    assert len(interrupted) == 4

    whole, pieces = weights(tmp_path / "whole"), weights(tmp_path / "pieces")
    assert list(whole) == list(pieces)
    for name, values in whole.items():
        for a, b in zip(values, pieces[name], strict=True):
            np.testing.assert_array_equal(a, b, err_msg=name)
    assert not (tmp_path / "pieces" / "checkpoints").exists()


def test_a_result_that_cannot_be_saved_costs_no_training(tmp_path, monkeypatch):
    config = Config(num_modes=2, **SMALL)
    save = keras.Model.save

    def full_disk(model, path, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keras.Model, "save", full_disk)
    with pytest.raises(OSError, match="No space left"):
        Pipeline(config, tmp_path).run(["modes"])
    checkpoints = [path.name for path in (tmp_path / "checkpoints" / "modes" / "0").iterdir()]
    assert checkpoints == ["epoch-2.npz"]
    assert not list(tmp_path.rglob("*.keras"))

    monkeypatch.setattr(keras.Model, "save", save)
    run = Pipeline(config, tmp_path)
    monkeypatch.setattr(run, "training_batches", lambda *a, **k: pytest.fail("trains again"))
    with pytest.raises(pytest.fail.Exception, match="trains again"):
        run.run(["modes"])  # of the second mode
    assert (tmp_path / "modes" / "0.keras").exists()


def test_type_2_with_three_modes(tmp_path, capsys):
    config = Config(
        num_modes=3,
        bridge_type=2,
        r=0.25,
        taps=["stage1_block1", "stage2_block1"],
        curve_kind="chain",
        curve_degree=3,
        repulsion=0.1,
        export_dir=str(tmp_path / "exports"),
        **SMALL,
    )
    run = Pipeline(config, tmp_path / "work")
    run.run()
    report = json.loads(run.files.report.read_text())
    assert [(row["name"], row["size"]) for row in report["ensembles"]] == [
        ("single", 1),
        ("deep_ensemble_2", 2),
        ("deep_ensemble_3", 3),
        ("curve_1", 3),
        ("curve_2", 5),
        ("curve_3", 6),
        ("bridge_1", 3),
        ("bridge_2", 5),
        ("bridge_3", 6),
    ]
    assert [(row["curve"], row["type"], row["r"]) for row in report["bridges"]] == [
        ([0, 1], 2, 0.25),
        ([0, 2], 2, 0.25),
        ([1, 2], 2, 0.25),
    ]
    # Each row of the table must hold what the deployed model of that size answers.
    test = run.data.test
    for row in report["ensembles"][-3:]:
        ensemble = run.build_ensemble(int(row["name"][-1]))
        answers = ensemble.predict(test.images, verbose=0)["probabilities"]
        assert row["accuracy"] == np.mean(answers.argmax(1) == test.labels)
        nll = -np.mean(np.log(answers[np.arange(len(test)), test.labels]))
        assert row["nll"] == pytest.approx(nll, rel=1e-4)
    assert "bridge_3" in capsys.readouterr().out


def test_modes_of_another_network_are_refused(tmp_path):
    config = Config(num_modes=2, **SMALL)
    run = Pipeline(config, tmp_path)
    run.run(["modes"])
    other = Config(**{**config.to_json(), "width": 0.5})
    Pipeline(other, tmp_path / "other").build().save(run.files.mode(1))
    with pytest.raises(InputError, match=r"modes/0.keras and .*modes/1.keras: .*architecture"):
        run.run(["curves"])
    keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()]).save(run.files.mode(1))
    with pytest.raises(InputError, match=r"modes/1.keras maps .* but the run's images"):
        run.run(["curves"])
