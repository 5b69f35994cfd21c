import keras
import numpy as np
import pytest
from scipy.special import log_softmax

from bridge_tf import InputError, Recipe, build_bridge, fit_bridge
from bridge_tf.bridges.bridge import bridge_taps
from bridge_tf.bridges.distillation import BridgeTraining

QUICK = Recipe(epochs=3, learning_rate=0.02, warmup_epochs=0, jit_compile=False)


def test_medium_bridge_is_the_tail_of_the_base(build, images):
    base = build("batch")
    bridge = build_bridge(base, "stage2_block1", width=1)
    tail_names = [
        layer.name
        for layer in base.layers[base.layers.index(base.get_layer("stage2_block1")) + 1 :]
    ]
    assert [layer.name for layer in bridge.layers[1:]] == tail_names
    for layer in bridge.layers[1:]:
        for ours, theirs in zip(layer.weights, base.get_layer(layer.name).weights, strict=True):
            assert ours.shape == theirs.shape
            ours.assign(theirs)
    features = keras.Model(base.input, base.get_layer("stage2_block1").output)(images)
    np.testing.assert_allclose(bridge(features), base(images), atol=1e-5)


@pytest.mark.parametrize("model", ["resnet8", "resnet14"])
@pytest.mark.parametrize("bridge_type", [1, 2])
@pytest.mark.parametrize("width", [0.5, 1.0])
def test_shapes_of_both_types(build, model, bridge_type, width):
    base = build(model=model)
    bridge = build_bridge(base, "stage3_block1", width, bridge_type=bridge_type)
    assert bridge.output_shape == (None, 5)
    assert [tuple(tensor.shape) for tensor in bridge.inputs] == [(None, 2, 2, 16)] * bridge_type
    assert bridge_taps(bridge) == (bridge_type, ["stage3_block1"])
    convolutions = [x for x in bridge.layers if isinstance(x, keras.layers.Conv2D)]
    assert all(layer.filters == round(16 * width) for layer in convolutions)


def test_several_taps_are_pooled_and_concatenated(build):
    bridge = build_bridge(build(model="resnet14"), ["stage1_block2", "stage2_block2"], 0.5)
    assert bridge_taps(bridge) == (1, ["stage1_block2", "stage2_block2"])
    assert bridge.get_layer("taps").output.shape == (None, 4, 4, 4 + 8)
    outputs = bridge([np.ones((2, 8, 8, 4)), np.ones((2, 4, 4, 8))])
    assert outputs.shape == (2, 5)


def test_base_that_ends_in_softmax_gives_a_bridge_that_ends_in_logits():
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(3, 3, name="tap")(inputs)
    x = keras.layers.Flatten()(x)
    base = keras.Model(inputs, keras.layers.Dense(5, activation="softmax")(x))
    bridge = build_bridge(base, "tap")
    assert bridge.layers[-1].activation is keras.activations.linear
    assert base.layers[-1].activation is keras.activations.softmax


def test_save_and_load(build, tmp_path):
    bridge = build_bridge(build(), "stage2_block1", 0.5, bridge_type=2)
    bridge.save(tmp_path / "bridge.keras")
    loaded = keras.models.load_model(tmp_path / "bridge.keras", safe_mode=True)
    features = [np.random.default_rng(k).normal(size=(3, 4, 4, 8)) for k in range(2)]
    np.testing.assert_array_equal(bridge(features), loaded(features))
    assert bridge_taps(loaded) == (2, ["stage2_block1"])


def test_loss_is_the_kl_of_numpy(build, images):
    base, member, end = build(), build(), build()
    for repulsion, kind in ((0.0, 1), (0.2, 1), (0.1, 2)):
        bridge = build_bridge(base, "stage2_block1", 0.5, bridge_type=kind)
        model = BridgeTraining(
            bridge, base, member, end=end if kind == 2 else None, repulsion=repulsion
        )
        outputs = model(images)
        found = float(model.compute_loss(x=images, y_pred=outputs))
        features = [
            keras.Model(mode.input, mode.get_layer("stage2_block1").output)(images)
            for mode in (base, end)[:kind]
        ]
        q = log_softmax(bridge(features if kind == 2 else features[0]).numpy(), axis=1)
        p, b = (log_softmax(m(images).numpy(), axis=1) for m in (member, base))
        expected = np.mean(np.sum(np.exp(p) * (p - q), axis=1))
        expected -= repulsion * np.mean(np.sum(np.exp(b) * (b - q), axis=1))
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.integration
def test_training_changes_the_bridge_alone(build, images):
    base, member = build("batch"), build("batch")
    bridge = build_bridge(base, "stage2_block1", 0.5)
    frozen = [base.get_weights(), member.get_weights()]
    trainable = len(base.trainable_variables)
    before = bridge.get_weights()
    history = fit_bridge(bridge, base, member, images, QUICK, batch_size=8)
    assert history.history["loss"][-1] < history.history["loss"][0]
    for model, weights in zip((base, member), frozen, strict=True):
        for a, b in zip(model.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)
    assert len(base.trainable_variables) == trainable
    assert any(not np.array_equal(a, b) for a, b in zip(bridge.get_weights(), before, strict=True))


@pytest.mark.integration
def test_a_bridge_learns_what_the_base_does_not_say(build, images):
    base, member = build(), build()
    bridge = build_bridge(base, "stage1_block1", 1.0)
    recipe = Recipe(epochs=150, learning_rate=0.05, warmup_epochs=5, jit_compile=False)
    fit_bridge(bridge, base, member, images, recipe, batch_size=24)
    model = BridgeTraining(bridge, base, member, repulsion=1e-9)
    outputs = {key: np.asarray(value, "float64") for key, value in model(images).items()}
    p = outputs["member"]
    kl, kl_base = (
        np.mean(np.sum(np.exp(p) * (p - outputs[key]), axis=1)) for key in ("bridge", "base")
    )
    assert kl < 0.1 * kl_base


def test_bad_taps_are_named_with_the_nearest(build):
    base = build()
    with pytest.raises(InputError, match=r"no layer 'stage2_blok1'.*'stage2_block1'"):
        build_bridge(base, "stage2_blok1")
    with pytest.raises(InputError, match=r"goes around it; nearest cuts: .*'stage2_block1_add'"):
        build_bridge(base, "stage2_block1_norm1")
    with pytest.raises(InputError, match="can't be cut at 'logits'"):
        build_bridge(base, "logits")
    with pytest.raises(ValueError, match="width=0"):
        build_bridge(base, "stage2_block1", 0)
    with pytest.raises(ValueError, match="bridge_type=3"):
        build_bridge(base, "stage2_block1", bridge_type=3)
    with pytest.raises(ValueError, match="Type II needs `end`"):
        BridgeTraining(build_bridge(base, "stage2_block1", bridge_type=2), base, base)


def test_a_share_of_the_labels_is_part_of_the_loss(build, images, labels):
    base, member = build(), build()
    bridge = build_bridge(base, "stage2_block1")
    soft = np.random.default_rng(0).dirichlet(np.ones(5), len(images)).astype("float32")

    def loss(share, targets):
        model = BridgeTraining(bridge, base, member, label_share=share)
        return float(model.compute_loss(y=targets, y_pred=model(images)))

    log_probs = BridgeTraining(bridge, base, member)(images)["bridge"].numpy()
    alone = loss(0.0, None)
    for targets, probabilities in ((labels, np.eye(5)[labels]), (soft, soft)):
        entropy = -(probabilities * log_probs).sum(axis=1).mean()
        assert loss(0.25, targets) == pytest.approx(0.75 * alone + 0.25 * entropy, rel=1e-5)
        only = BridgeTraining(bridge, base, None, label_share=1)
        found = float(only.compute_loss(y=targets, y_pred=only(images)))
        assert found == pytest.approx(entropy, rel=1e-5)
    with pytest.raises(ValueError, match=r"label_share must lie in \[0, 1\]"):
        loss(1.1, labels)
    with pytest.raises(ValueError, match="member must be None at a label_share of 1"):
        loss(1.0, labels)
    with pytest.raises(ValueError, match="label_share needs labels beside the images"):
        loss(0.5, None)
