"""Small runs."""

import dataclasses

from bridge_tf.config import STAGES
from bridge_tf.runs.context import Run
from bridge_tf.runs.runner import execute
from bridge_tf.training.callbacks.progress import TrainingProgress
from bridge_tf.utils.files import sha256

SMALL = {
    "max_images": 64,
    "width": 0.25,
    "batch_size": 16,
    "warmup_epochs": 1,
    "mode_epochs": 2,
    "curve_epochs": 2,
    "bridge_epochs": 2,
    "curve_points": 3,
    "jit_compile": "false",
    "jobs": "1",
}
TRAININGS = ("modes", "curves", "bridges")


def executed(config, folder, stages=STAGES, jobs="1", **options) -> Run:
    """A run whose stages have been run."""
    run = Run(dataclasses.replace(config, jobs=jobs), folder, stages, **options)
    execute(run)
    return run


def digests(folder) -> dict:
    """SHA-256 of the .keras files of a run, by their names."""
    return {str(path.relative_to(folder)): sha256(path) for path in folder.rglob("*.keras")}


def check_interrupted(config, trainings, tmp_path, monkeypatch, more=(), of_one_epoch=0):
    """Checks that a run that is interrupted in every training ends with the same files."""
    stages = (*TRAININGS, *more)
    executed(config, tmp_path / "whole", stages)

    interrupted = set()

    def interrupt(progress, epoch, logs=None):
        if epoch == 1 and progress.title not in interrupted:
            interrupted.add(progress.title)
            raise KeyboardInterrupt

    monkeypatch.setattr(TrainingProgress, "on_epoch_begin", interrupt)
    while True:
        try:
            executed(config, tmp_path / "pieces", stages)
            break
        except KeyboardInterrupt:
            continue
    assert len(interrupted) == trainings - of_one_epoch  # those can't be in their second

    # The very same files, in this process as in one that trained some of them only.
    whole = digests(tmp_path / "whole")
    assert len(whole) == trainings + 1
    assert digests(tmp_path / "pieces") == whole
    assert not (tmp_path / "pieces" / "checkpoints").exists()
