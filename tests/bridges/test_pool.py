"""Pools: what they keep, and that bridges train on them as on images."""

import json

import keras
import numpy as np
import pytest

from bridge_tf import Curve, Recipe, build_bridge
from bridge_tf.bridges.bridge import bridge_features
from bridge_tf.bridges.distillation import BridgeTraining, Distillation, fit_from_features
from bridge_tf.bridges.pool import (
    Pool,
    image_bytes,
    label_table,
    member_table,
    mode_table,
    passes_within,
)
from bridge_tf.bridges.teachers import Teachers
from bridge_tf.curves.batch_norm import reestimate_batch_norm
from bridge_tf.data.stored_batches import stored_batches
from bridge_tf.utils.errors import TrainingError

TAP = "relu0"
BATCH, CLASSES = 8, 5
RECIPE = Recipe()
# Each with the options of `build_bridge`, and whether the loss has a repulsion.
KINDS = {
    "type 1": ({}, 0.0),
    "type 2": ({"bridge_type": 2}, 0.0),
    "residual": ({"residual": True}, 0.0),
    "repulsion": ({}, 0.2),
    "residual and repulsion": ({"residual": True}, 0.2),
    "conditioned": ({"conditioned": True}, 0.0),
}


@pytest.fixture
def parts(tiny, images):
    """A function from a kind to a bridge and the arguments of `Teachers` beside it."""
    base, end = tiny(), tiny()
    for mode in (base, end):
        reestimate_batch_norm(mode, images)

    def made(options: dict):
        bridge = build_bridge(base, TAP, 0.5, **options)
        curve = Curve.between(base, end)
        conditioned = options.get("conditioned")
        member = curve.path(images, points=2) if conditioned else curve.model_at(0.5, images)
        return bridge, {
            "base": base,
            "member": member,
            "end": end if options.get("bridge_type") == 2 else None,
        }

    return made


def filled(folder, teachers: Teachers, passes, seed: int = 0) -> tuple[Pool, list[str]]:
    """A pool of these passes, each a list of (images, labels), and the names of its modes."""
    pool = Pool(folder, len(passes), sum(len(images) for images, _ in passes[0]))
    folder.mkdir(exist_ok=True)
    modes = [f"mode-{k}" for k in range(len(teachers.extractors))]
    tables = [mode_table(name, teachers, k, RECIPE) for k, name in enumerate(modes)]
    tables += [member_table("member", teachers, CLASSES, RECIPE), label_table(CLASSES)]
    for number, batches in enumerate(passes):
        pool.write(number, {table: [] for table in tables}, batches, seed)
    return pool, modes


def batches_of(images, seed: int = 0) -> list:
    generator = np.random.default_rng(seed)
    labels = generator.dirichlet(np.ones(CLASSES), len(images)).astype("float32")
    return [(images[k : k + BATCH], labels[k : k + BATCH]) for k in range(0, len(images), BATCH)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_step_from_the_pool_is_one_from_images(parts, images, tmp_path, kind):
    options, repulsion = KINDS[kind]
    bridge, models = parts(options)
    (batch, _), *_ = batches = batches_of(images)
    teachers = Teachers(bridge, **models, base_logits=repulsion > 0)
    pool, modes = filled(tmp_path, teachers, [batches])
    read = pool.reader(modes, "member", bridge_features(bridge)[1], base_logits=repulsion > 0)
    stored = read(0, np.arange(BATCH))
    model, wanted = (
        Distillation(bridge, repulsion),
        BridgeTraining(bridge, **models, repulsion=repulsion),
    )
    at = {"r": float(stored["r"][0, 0])} if "r" in stored else {}
    found, right = model(stored), wanted(batch, **at)
    assert found.keys() == right.keys()
    for name in found:
        # float16 has 11 bits; a member's logits are kept in float32.
        np.testing.assert_allclose(
            found[name], right[name], atol=1e-5 if name != "bridge" else 5e-3
        )
    losses = [float(each.compute_loss(y_pred=y)) for each, y in ((model, found), (wanted, right))]
    assert losses[0] == pytest.approx(losses[1], rel=5e-3)


def test_positions_differ_between_batches_and_passes(parts, images, tmp_path):
    bridge, models = parts({"conditioned": True})
    batches = batches_of(images)
    pool, modes = filled(tmp_path, Teachers(bridge, **models), [batches, batches])
    read = pool.reader(modes, "member", bridge_features(bridge)[1])
    positions = {float(r) for k in (0, 1) for r in read(k, np.arange(len(images)))["r"][:, 0]}
    assert len(positions) == 2 * len(batches) and all(0 <= r < 1 for r in positions)


def test_a_training_resumes_bit_identically(parts, images, tmp_path):
    bridge, models = parts({})
    passes = [batches_of(images, seed) for seed in (0, 1)]
    pool, modes = filled(tmp_path / "pool", Teachers(bridge, **models), passes)
    read = pool.reader(modes, "member", [TAP], labels=True)
    steps = pool.rows // BATCH
    recipe = Recipe(epochs=3, learning_rate=0.05, warmup_epochs=1)

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if int(self.model.optimizer.iterations) == steps + 1:
                raise KeyboardInterrupt

    def trained(folder, callbacks=()):
        copy = keras.models.clone_model(bridge)
        copy.set_weights(bridge.get_weights())

        def data(done):
            return stored_batches(
                read, pool.rows, 2, BATCH, epochs=recipe.epochs, seed=7, first_step=done
            )

        options = {"steps_per_epoch": steps, "checkpoint_dir": folder, "callbacks": list(callbacks)}
        fit_from_features(copy, data, recipe, label_share=0.3, **options)
        return copy.get_weights()

    whole = trained(tmp_path / "a")
    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "b", [Stop()])
    for one, other in zip(whole, trained(tmp_path / "b"), strict=True):
        np.testing.assert_array_equal(one, other)


def test_each_epoch_reads_each_row_of_its_pass_once():
    seen = []

    def read(number, rows):
        seen.append((number, *rows))
        return rows

    found = [*stored_batches(read, 12, 2, 4, epochs=3, seed=0).as_numpy_iterator()]
    seen.pop(0)  # of the example
    assert [number for number, *_ in seen] == [0, 0, 0, 1, 1, 1, 0, 0, 0]
    epochs = [np.concatenate(found[k : k + 3]) for k in (0, 3, 6)]
    assert all(sorted(epoch) == [*range(12)] for epoch in epochs)
    assert not np.array_equal(epochs[0], epochs[2])
    later = [*stored_batches(read, 12, 2, 4, epochs=3, seed=0, first_step=4).as_numpy_iterator()]
    np.testing.assert_array_equal(later, found[4:])


@pytest.mark.parametrize("fault", ["changed", "shortened", "other source", "no digest"])
def test_a_table_that_is_not_as_written_counts_as_missing(parts, images, tmp_path, fault):
    bridge, models = parts({})
    pool, _ = filled(tmp_path, Teachers(bridge, **models), [batches_of(images)])
    path = pool.path("member", 0)
    assert pool.has("member", 0, [])
    content = path.read_bytes()
    if fault == "changed":
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif fault == "shortened":
        path.write_bytes(content[:-8])
    elif fault == "no digest":
        path.with_suffix(".json").unlink()
    assert not pool.has("member", 0, ["abc"] if fault == "other source" else [])
    assert pool.has("mode-0", 0, [])


def test_a_feature_that_float16_cannot_hold_is_refused(parts, images, tmp_path):
    bridge, models = parts({})
    teachers = Teachers(bridge, **models)
    with pytest.raises(TrainingError, match=r"mode-0: 'relu0' .* `bridge_pool=0`"):
        filled(tmp_path, teachers, [[(images[:BATCH] * 1e9, np.zeros((BATCH, CLASSES)))]])
    assert not [*tmp_path.iterdir()]


def test_the_bytes_of_an_image_are_those_of_its_rows(parts, images, tmp_path):
    for kind in ("type 2", "repulsion", "residual and repulsion", "conditioned"):
        options, repulsion = KINDS[kind]
        bridge, models = parts(options)
        teachers = Teachers(bridge, **models, base_logits=repulsion > 0)
        modes = len(teachers.extractors)
        rows = [mode_table("m", teachers, k, RECIPE).row.itemsize for k in range(modes)]
        rows += [member_table("x", teachers, CLASSES, RECIPE).row.itemsize, 4 * CLASSES]
        wanted = sum(rows) + (0 if teachers.conditioned else 4)  # as if all had an r
        assert image_bytes(bridge, modes, repulsion > 0) == wanted


def test_the_number_of_passes_keeps_to_epochs_and_bytes():
    assert passes_within(4.0, 80, 1000, 1000) == 16
    assert passes_within(4.0, 8, 1000, 1000) == 2
    assert passes_within(4.0, 1, 1000, 1000) == 1
    assert passes_within(0.0051, 80, 1000, 1000) == 5
    assert passes_within(0.0009, 80, 1000, 1000) == 0
    assert passes_within(0.0, 80, 1000, 1000) == 0


def test_digests_are_beside_the_tables(parts, images, tmp_path):
    bridge, models = parts({})
    pool, _ = filled(tmp_path, Teachers(bridge, **models), [batches_of(images)])
    for name in ("mode-0", "member", "labels"):
        assert json.loads(pool.path(name, 0).with_suffix(".json").read_text())["made_from"] == []
    pool.remove("member")
    assert not pool.has("member", 0, []) and pool.has("mode-0", 0, [])
