import keras
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import entropy

from bridge_tf import BridgeEnsemble, build_bridge
from bridge_tf.networks.flops import count_flops, count_params


def tapped(mode, images):
    return keras.Model(mode.input, mode.get_layer("stage2_block1").output)(images)


def members_by_hand(modes, bridges, ends, images):
    logits = [mode(images) for mode in modes]
    for bridge, pair in zip(bridges, ends, strict=True):
        features = [tapped(modes[k], images) for k in pair]
        logits.append(bridge(features if len(features) > 1 else features[0]))
    return np.stack([log_softmax(np.asarray(x, "float64"), axis=1) for x in logits], axis=1)


@pytest.mark.parametrize("bridge_type", [1, 2])
def test_outputs_against_a_plain_loop(build, images, bridge_type):
    modes = [build("batch") for _ in range(3 if bridge_type == 2 else 1)]
    ends = [(0, 1), (1, 2)] if bridge_type == 2 else [(0,), (0,)]
    bridges = [build_bridge(modes[0], "stage2_block1", 0.5, bridge_type=bridge_type) for _ in ends]
    ensemble = BridgeEnsemble(modes[0], bridges, modes[1:], ends=ends if bridge_type == 2 else None)
    outputs = ensemble.predict(images, verbose=0)
    expected = members_by_hand(modes, bridges, ends, images)
    probabilities = np.exp(expected).mean(axis=1)
    # float32 against float64: a few units in the seventh digit.
    np.testing.assert_allclose(outputs["log_probabilities"], expected, atol=1e-4)
    np.testing.assert_allclose(outputs["probabilities"], probabilities, atol=1e-5)
    np.testing.assert_allclose(outputs["entropy"], entropy(probabilities, axis=1), atol=1e-5)
    mutual = entropy(probabilities, axis=1) - entropy(np.exp(expected), axis=2).mean(axis=1)
    np.testing.assert_allclose(outputs["mutual_information"], mutual, atol=1e-5)


@pytest.mark.parametrize("bridge_type", [1, 2])
def test_the_first_bridges_answer_as_an_ensemble_of_them(build, images, bridge_type):
    modes = [build("batch") for _ in range(3 if bridge_type == 2 else 1)]
    ends = [(0, 1), (0, 2), (1, 2)] if bridge_type == 2 else [(0, 0)] * 3
    bridges = [build_bridge(modes[0], "stage2_block1", 0.5, bridge_type=bridge_type) for _ in ends]
    whole = BridgeEnsemble(modes[0], bridges, modes[1:], ends=ends)
    answers = whole.predict(images, verbose=0)["log_probabilities"]
    first = whole.first(1)
    numbers = [*range(2 if bridge_type == 2 else 1), len(modes)]
    np.testing.assert_allclose(
        first.predict(images, verbose=0)["log_probabilities"], answers[:, numbers], atol=1e-6
    )
    built = BridgeEnsemble(modes[0], bridges[:1], modes[1:2], ends=ends[:1])
    assert (count_params(first), count_flops(first)) == (count_params(built), count_flops(built))


def test_temperatures_calibrate_the_mean_and_leave_the_members(build, images, tmp_path):
    base = build("batch")
    raw = BridgeEnsemble(base, [build_bridge(base, "stage2_block1", 0.5)])
    expected = raw.predict(images, verbose=0)
    raw.calibrated(2.5, 0.7).save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    assert (loaded.temperature, loaded.base_temperature) == (2.5, 0.7)
    outputs = loaded.predict(images, verbose=0)
    for key in ("log_probabilities", "mutual_information"):
        np.testing.assert_allclose(outputs[key], expected[key], atol=1e-6)
    wanted = softmax(np.log(expected["probabilities"].astype("float64")) / 2.5, axis=1)
    np.testing.assert_allclose(outputs["probabilities"], wanted, atol=1e-6)
    np.testing.assert_allclose(outputs["entropy"], entropy(wanted, axis=1), atol=1e-5)
    # Those of the first bridges aren't those of all.
    assert (loaded.first(1).temperature, raw.temperature, raw.base_temperature) == (1, 1, 1)
    for value in (0, -1, np.nan, np.inf):
        with pytest.raises(ValueError, match=f"temperature must be positive.*={value}"):
            BridgeEnsemble(base, [], temperature=value)


def test_sure_predictions_give_no_nan(build, images):
    base = build()
    logits = base.get_layer("logits")
    logits.kernel.assign(logits.kernel * 1e4)
    outputs = BridgeEnsemble(base, []).predict(images, verbose=0)
    assert all(np.isfinite(outputs[key]).all() for key in ("entropy", "mutual_information"))
    np.testing.assert_allclose(outputs["mutual_information"], 0, atol=1e-6)


@pytest.mark.integration
def test_save_and_load_with_bridges_of_one_name(build, images, tmp_path):
    base = build("batch")
    bridges = [build_bridge(base, "stage2_block1", 0.5) for _ in range(3)]
    ensemble = BridgeEnsemble(base, bridges)
    ensemble.save(tmp_path / "ensemble.keras")
    loaded = keras.models.load_model(tmp_path / "ensemble.keras", safe_mode=True)
    outputs, again = (model.predict(images, verbose=0) for model in (ensemble, loaded))
    for key, value in outputs.items():
        np.testing.assert_array_equal(value, again[key])


def test_what_is_passed_in_stays_as_it_is(build, images):
    base = build()
    bridge = build_bridge(base, "stage2_block1", name="mine")
    before = base.predict(images, verbose=0)
    ensemble = BridgeEnsemble(base, [bridge])
    ensemble.base.trainable_variables[0].assign_add(
        np.ones(ensemble.base.trainable_variables[0].shape)
    )
    assert bridge.name == "mine"
    np.testing.assert_array_equal(base.predict(images, verbose=0), before)


def test_missing_modes_are_named(build):
    base = build()
    bridge = build_bridge(base, "stage2_block1", bridge_type=2)
    with pytest.raises(ValueError, match="other_modes"):
        BridgeEnsemble(base, [bridge])
    with pytest.raises(ValueError, match="one pair for each"):
        BridgeEnsemble(base, [bridge], [base], ends=[(0, 1), (0, 1)])
