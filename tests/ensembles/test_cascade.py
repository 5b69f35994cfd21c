"""Cascades as Keras models, compared with a plain loop over images."""

import keras
import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp, softmax
from scipy.stats import entropy

import bridge_tf
from bridge_tf import BridgeEnsemble, CascadeEnsemble, InputError, build_bridge


def members_of(cascade, images) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Log-probabilities of the members of both stages, each network run by itself."""
    first = cascade.first
    modes = [first.base, *first.other_modes]
    of_modes = [log_softmax(mode.predict(images, verbose=0), axis=1) for mode in modes]
    further = [log_softmax(mode.predict(images, verbose=0), axis=1) for mode in cascade.modes]
    bridges = first.predict(images, verbose=0)["log_probabilities"][:, len(modes) :]
    return [*of_modes, *np.moveaxis(bridges, 1, 0)], [*of_modes[: cascade.reused], *further]


def by_loop(cascade, images) -> dict[str, np.ndarray]:
    """What a cascade predicts: both stages run on everything, and one is chosen for each image."""
    found: dict[str, list] = {}
    stages = members_of(cascade, images)
    temperatures = cascade.first.temperature, cascade.temperature
    for k in range(len(images)):
        outputs = []
        for stage, temperature in zip(stages, temperatures, strict=True):
            members = np.array([member[k] for member in stage], "float64")
            mean = logsumexp(members, axis=0) - np.log(len(members))
            probabilities = softmax(mean / temperature)
            between = entropy(np.exp(mean)) - np.mean([entropy(np.exp(m)) for m in members])
            outputs.append((probabilities, entropy(probabilities), between))
        goes_on = np.float32(outputs[0][0].max()) < np.float32(cascade.threshold)
        values = (*outputs[int(goes_on)], goes_on)
        names = ("probabilities", "entropy", "mutual_information", "goes_on")
        for name, value in zip(names, values, strict=True):
            found.setdefault(name, []).append(value)
    return {name: np.array(values) for name, values in found.items()}


def cascade_of(tiny, images, kind: str, share: float = 0.5) -> CascadeEnsemble:
    """A cascade of which about this share of the images go on."""
    modes = [tiny() for _ in range(4)]
    first, used = BridgeEnsemble(modes[0], []), 1
    if kind == "bridges":
        first = BridgeEnsemble(modes[0], [build_bridge(modes[0], "relu0", 1) for _ in range(2)])
    if kind == "type_2":
        bridge = build_bridge(modes[0], "relu0", 1, bridge_type=2)
        first, used = BridgeEnsemble(modes[0], [bridge], modes[1:2]), 2
    if kind == "student":  # which isn't one of the modes
        first, used = BridgeEnsemble(tiny(), []), 0
    first = first.calibrated(1.7, 0.6)
    tops = np.sort(first.predict(images, verbose=0)["probabilities"].max(axis=1))
    number = round(share * len(tops))
    # Between two images, so that rounding decides for none.
    threshold = float(tops[number - 1 : number + 1].mean())
    return CascadeEnsemble(first, modes[used:], threshold, 0.8, used)


KINDS = {"single": 1, "bridges": 1, "type_2": 2, "student": 0}


@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_those_of_a_loop_over_images(tiny, images, kind):
    cascade = cascade_of(tiny, images, kind)
    found, wanted = cascade.predict(images, verbose=0), by_loop(cascade, images)
    assert found["goes_on"].tolist() == wanted["goes_on"].tolist()
    assert 0 < wanted["goes_on"].sum() < len(images)
    for name in ("probabilities", "entropy", "mutual_information"):
        np.testing.assert_allclose(found[name], wanted[name], atol=1e-6)
    if kind == "single":
        stops = ~wanted["goes_on"]
        np.testing.assert_allclose(found["mutual_information"][stops], 0, atol=5e-7)
    assert cascade.num_modes == 4 and cascade.reused == KINDS[kind]


def test_an_image_at_the_threshold_stops(tiny, images):
    first = BridgeEnsemble(tiny(), [])
    tops = first.predict(images, verbose=0)["probabilities"].max(axis=1)
    cascade = CascadeEnsemble(first, [tiny()], float(tops[3]))
    goes_on = cascade.predict(images, verbose=0)["goes_on"]
    assert goes_on.tolist() == (tops < tops[3]).tolist() and not goes_on[3]


@pytest.mark.integration
def test_a_saved_cascade_predicts_the_same(tiny, images, tmp_path):
    cascade = cascade_of(tiny, images, "bridges")
    cascade.save(tmp_path / "cascade.keras")
    loaded = keras.models.load_model(tmp_path / "cascade.keras")
    assert isinstance(loaded, CascadeEnsemble)
    found = loaded.predict(images, verbose=0)
    for name, value in cascade.predict(images, verbose=0).items():
        np.testing.assert_array_equal(found[name], value)
    assert loaded.base_temperature == 0.6 and loaded.first.temperature == 1.7


def test_what_does_not_fit_is_refused(tiny, images):
    first = BridgeEnsemble(tiny(), [])
    with pytest.raises(
        ValueError, match=r"modes must be one network or more. Received: modes=\[\]"
    ):
        CascadeEnsemble(first, [], 0.9)
    with pytest.raises(ValueError, match=r"reused must lie in 0 … 1. Received: reused=2"):
        CascadeEnsemble(first, [tiny()], 0.9, reused=2)
    with pytest.raises(ValueError, match=r"threshold must be positive.*threshold=0"):
        CascadeEnsemble(first, [tiny()], 0)
    with pytest.raises(ValueError, match=r"temperature must be positive.*temperature=nan"):
        CascadeEnsemble(first, [tiny()], 0.9, float("nan"))
    with pytest.raises(InputError, match="cascade has no members that predict every image"):
        labels = np.zeros(len(images), "int32")
        bridge_tf.evaluate(
            CascadeEnsemble(first, [tiny()], 0.9), (images, labels), (images, labels)
        )
