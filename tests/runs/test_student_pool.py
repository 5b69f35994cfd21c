"""Runs whose student learns from answers that are kept."""

import dataclasses

import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.runs.context import Run
from bridge_tf.runs.student_pool import StudentPool, remove_answers
from tests.runs.small import SMALL, check_interrupted, digests, executed

CONFIG = Config(
    num_modes=2,
    distil_base=True,
    student_epochs=3,
    student_bridges=1,
    bridge_target="mode",
    augment="crop_flip",
    taps=("stage2_block1",),
    **SMALL,
)
pytestmark = pytest.mark.integration


def kept(**settings) -> Config:
    return dataclasses.replace(CONFIG, **settings)


@pytest.fixture(scope="module")
def modes(tmp_path_factory):
    return executed(CONFIG, tmp_path_factory.mktemp("kept") / "run", ["modes"])


def pool_of(modes, passes: int) -> StudentPool:
    """A pool beside the modes of a run; its training's seed is 7."""
    run = Run(kept(student_passes=passes), modes.files.path)
    task = run.graph.tasks["base"]
    return StudentPool(run, task, run.recipe(3, 7))


@pytest.mark.parametrize("passes", [1, 2, 5])
def test_epochs_take_the_passes_in_turn(modes, passes):
    pool = pool_of(modes, passes)
    networks = [modes.load_mode(k) for k in range(2)]
    pool.fill(networks)
    found = [*pool.batches(3, 7).as_numpy_iterator()]
    steps = len(found) // 3
    # Without what is kept, the batches of each epoch are those of a training of three.
    plain = [*modes.training_batches(3, 7).as_numpy_iterator()]
    assert len(found) == len(plain)
    for step, (inputs, labels) in enumerate(found):
        images, wanted = plain[step % (min(passes, 3) * steps)]
        np.testing.assert_array_equal(inputs["images"], images)
        np.testing.assert_array_equal(labels, wanted)
        for k, network in enumerate(networks):
            logits = network.predict_on_batch(images).astype("float64")
            log_probs = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            np.testing.assert_allclose(inputs["answers"][:, k], log_probs, atol=1e-5)
    for first in (1, steps, 2 * steps + 1, 3 * steps):
        rest = [*pool.batches(3, 7, first).as_numpy_iterator()]
        assert len(rest) == len(found) - first
        for (inputs, _), (wanted, _) in zip(rest, found[first:], strict=True):
            np.testing.assert_array_equal(inputs["images"], wanted["images"])
            np.testing.assert_array_equal(inputs["answers"], wanted["answers"])
    remove_answers(pool.run, pool.task)
    assert not pool.pool.folder.exists()


def test_what_is_damaged_or_missing_is_computed_again(modes):
    pool = pool_of(modes, 2)
    networks = [modes.load_mode(k) for k in range(2)]
    pool.fill(networks)
    first, second = (pool.pool.path("modes", number) for number in range(2))
    whole = [path.read_bytes() for path in (first, second)]
    first.write_bytes(whole[0][:-8])
    second.unlink()
    pool.fill(networks)
    assert [path.read_bytes() for path in (first, second)] == whole
    written = first.stat().st_mtime_ns
    pool.fill(networks)
    assert first.stat().st_mtime_ns == written
    remove_answers(pool.run)
    assert not pool.pool.folder.exists()


def test_with_a_pass_an_epoch_the_student_is_the_same(tmp_path):
    stages = ("modes", "bridges")
    plain = digests(executed(CONFIG, tmp_path / "plain", stages).files.path)
    run = executed(kept(student_passes=4), tmp_path / "kept", stages)
    assert not (run.files.path / "checkpoints").exists()
    base, other = (Run(CONFIG, tmp_path / name).load_base() for name in ("plain", "kept"))
    for ours, wanted in zip(other.get_weights(), base.get_weights(), strict=True):
        np.testing.assert_allclose(ours, wanted, atol=1e-6)
    repeated = executed(kept(student_passes=1), tmp_path / "repeated", stages)
    assert digests(repeated.files.path).keys() == plain.keys()
    assert digests(repeated.files.path)["base.keras"] != plain["base.keras"]


def test_an_interrupted_run_ends_with_the_same_files(tmp_path, monkeypatch):
    check_interrupted(kept(student_passes=2), 4, tmp_path, monkeypatch)
