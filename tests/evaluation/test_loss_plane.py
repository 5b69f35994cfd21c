import json
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.special import log_softmax

from bridge_tf import Curve, InputError
from bridge_tf.config import Config
from bridge_tf.data import Split
from bridge_tf.evaluation import loss_plane, metrics
from bridge_tf.evaluation.loss_plane import measure_plane
from bridge_tf.evaluation.plane import Plane
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.runs.stages.evaluate.loss_plane import write_loss_plane
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.npz_cache import KeptPredictions

# Of sums over a network in float32, whose order differs between graphs.
CLOSE = {"abs": 1e-4}


def linear(seed: int, scale: float = 1.0) -> keras.Model:
    """A softmax over a linear map of 4 pixels to 3 classes."""
    inputs = keras.Input((2, 2, 1))
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(inputs))
    model = keras.Model(inputs, outputs)
    generator = np.random.default_rng(seed)
    for variable in model.variables:
        variable.assign(scale * generator.normal(size=variable.shape))
    return model


def flat(values) -> np.ndarray:
    arrays = [keras.ops.convert_to_numpy(value).astype("float64") for value in values]
    return np.concatenate([array.ravel() for array in arrays])


def bend(curve, seed: int = 7, scale: float = 0.3) -> Curve:
    """Moves the inner control points off the line."""
    generator = np.random.default_rng(seed)
    for points in curve.control_points[1:-1]:
        for point in points:
            point.assign_add(scale * generator.normal(size=point.shape).astype("float32"))
    return curve


def to_height(curve, height: float) -> None:
    """Moves the control point to above the middle of the line, in units of its length."""
    start, control, end = map(flat, curve.control_points)
    line = end - start
    side = np.random.default_rng(0).normal(size=len(line))
    side -= (side @ line) / (line @ line) * line
    side *= np.linalg.norm(line) / np.linalg.norm(side)
    control = start + line / 2 + height * side
    for point in curve.control_points[1]:
        point.assign(control[: (size := int(np.prod(point.shape)))].reshape(point.shape))
        control = control[size:]


@pytest.fixture
def small():
    """27 images of 2×2 pixels, three classes."""
    generator = np.random.default_rng(3)
    return Split(
        generator.normal(size=(27, 2, 2, 1)).astype("float32"), generator.integers(0, 3, 27)
    )


def test_a_linear_softmax_against_numpy(small, monkeypatch):
    monkeypatch.setattr(loss_plane, "_BATCH", 10)
    curve = bend(Curve.between(linear(0), linear(1)))
    plane = measure_plane(curve, small, points=6, pair=(0, 2))
    start, control, end = map(flat, curve.control_points)
    along = (end - start) / np.linalg.norm(end - start)
    across = (control - start) - (control - start) @ along * along
    across /= np.linalg.norm(across)
    assert plane["distance"] == pytest.approx(np.linalg.norm(end - start))
    for k, x in enumerate(plane["x"]):
        for j, y in enumerate(plane["y"]):
            weights = start + x * along + y * across
            logits = small.images.reshape(27, 4) @ weights[:12].reshape(4, 3) + weights[12:]
            log_probs = log_softmax(logits, axis=1)
            assert plane["nll"][j][k] == pytest.approx(metrics.nll(log_probs, small.labels), 1e-5)
            assert plane["accuracy"][j][k] == metrics.accuracy(log_probs, small.labels)
    assert plane["curve"] == [0, 2] and plane["images"] == 27
    assert plane["points"]["control"] == pytest.approx(
        [(control - start) @ along, (control - start) @ across]
    )
    for at in plane["path"]:
        offset = flat(curve.weights_at(at["r"])) - start
        assert [at["x"], at["y"]] == pytest.approx([offset @ along, offset @ across], abs=1e-6)
    assert [at["r"] for at in plane["path"][::20]] == [0, 0.5, 1]


@pytest.mark.parametrize("points", [3, 4, 21])
def test_the_grid_covers_the_points_and_holds_the_ends(points):
    across, beyond, distance = 4.0, 1.5, 10.0
    xs = loss_plane._axis(-beyond, distance + beyond, points, distance)
    ys = loss_plane._axis(-beyond, across + beyond, points)
    for values, top in ((xs, distance), (ys, across)):
        assert len(values) == points
        np.testing.assert_allclose(np.diff(values), values[1] - values[0])
        assert values[0] <= -beyond + 1e-9 and values[-1] >= top + beyond - 1e-9
        assert 0.0 in values
    if points > 3:  # else a step is longer
        assert any(x == pytest.approx(distance, abs=1e-9) for x in xs)


@pytest.mark.integration
@pytest.mark.parametrize("norm", ["frn", "batch"])
def test_the_networks_on_the_curve_and_one_trace(build, images, labels, norm, monkeypatch):
    monkeypatch.setattr(loss_plane, "_BATCH", 7)  # 6, 6, 6 and 5 images
    split = Split(images[:23], labels[:23])
    curve = Curve.between(build(norm), build(norm))
    to_height(curve, 0.5)
    data = tf.data.Dataset.from_tensor_slices(images).batch(8)
    traced = []
    untouched = keras.Model.stateless_call

    def counted(self, *arguments, **options):
        traced.append(options["training"])
        return untouched(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "stateless_call", counted)
        # With this margin the grid has points at half the distance and half the height.
        plane = measure_plane(curve, split, data, points=7, margin=0.375)
    assert sorted(traced) == ([False] if norm == "frn" else [False, True])
    distance = plane["distance"]
    assert plane["points"]["control"] == pytest.approx([distance / 2, distance / 2], rel=1e-5)
    for r, x, y in ((0, 0, 0), (0.5, distance / 2, distance / 4), (1, distance, 0)):
        k, j = (int(np.abs(np.array(plane[a]) - v).argmin()) for a, v in (("x", x), ("y", y)))
        assert [plane["x"][k], plane["y"][j]] == pytest.approx([x, y], abs=1e-5)
        log_probs = log_prob_predictor(curve.model_at(r, data))(split.images)
        assert plane["nll"][j][k] == pytest.approx(metrics.nll(log_probs, split.labels), **CLOSE)
        assert plane["accuracy"][j][k] == metrics.accuracy(log_probs, split.labels)
    if norm == "batch":
        with pytest.raises(ValueError, match="needs data"):
            measure_plane(curve, split, points=3)


@pytest.mark.parametrize(("kind", "degree"), [("bezier", 2), ("bezier", 3), ("chain", 2)])
def test_coordinates_are_distances_of_all_weights_that_move(kind, degree):
    def frozen(seed):
        model = linear(seed)
        inner = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
        inner.layers[0].kernel.assign(np.random.default_rng(seed).normal(size=(3, 2)))
        inner.trainable = False
        return keras.Model(model.input, inner(model.output))

    curve = bend(Curve.between(frozen(0), frozen(1), degree=degree, kind=kind))
    plane = Plane(curve)
    points = np.random.default_rng(0).normal(0, 3, (4, 2))
    weights = [flat(plane.weights_at(*point) + plane.state_at(*point)) for point in points.tolist()]
    for a, found in zip(points, weights, strict=True):
        for b, other in zip(points, weights, strict=True):
            distance = np.linalg.norm(a - b)
            assert np.linalg.norm(found - other) == pytest.approx(distance, abs=1e-5)
    basis = np.stack([weights[1] - weights[0], weights[2] - weights[0]], axis=1)
    for r in np.linspace(0, 1, 7).tolist():
        x, y, out = plane.position(r)
        there = flat(curve.weights_at(r) + curve.state_at(r))
        nearest = flat(plane.weights_at(x, y) + plane.state_at(x, y))
        shares, *_ = np.linalg.lstsq(basis, there - weights[0], rcond=None)
        np.testing.assert_allclose(weights[0] + basis @ shares, nearest, atol=1e-5)
        assert np.linalg.norm(there - nearest) == pytest.approx(out, abs=1e-5)
        assert degree == 3 or out < 1e-5
    assert degree == 2 or plane.position(0.7)[2] > 0.05


def test_what_spans_no_plane_is_refused(small):
    start, end = linear(0), linear(1)
    with pytest.raises(InputError, match=r"`loss_plane`: .*degree 1.*`curve_degree=2`"):
        measure_plane(Curve.between(start, end, degree=1), small)
    with pytest.raises(InputError, match=r"`loss_plane`: .*line between.*`curve_epochs`"):
        measure_plane(Curve.between(start, end), small)
    with pytest.raises(InputError, match=r"`loss_plane`: .*equal"):
        measure_plane(bend(Curve.between(start, start)), small)
    with pytest.raises(ValueError, match="points=2"):
        measure_plane(bend(Curve.between(start, end)), small, points=2)


def test_what_is_not_finite_is_none(small):
    curve = bend(Curve.between(linear(0), linear(1, scale=1e38)), scale=1e38)
    plane = measure_plane(curve, small, points=5, margin=3)
    values = [value for row in plane["nll"] for value in row]
    assert None in values and plane["nll"][0][0] is None and plane["accuracy"][0][0] is None
    row = plane["nll"][plane["y"].index(0)]
    assert np.isfinite(row[plane["x"].index(0)])
    json.dumps(plane, allow_nan=False)


def test_a_killed_measurement_goes_on(small, tmp_path, monkeypatch):
    curve = bend(Curve.between(linear(0), linear(1)))
    expected = measure_plane(curve, small, points=5)
    measurer, measured = loss_plane._measurer, []

    def counting(*arguments, stop):
        measure = measurer(*arguments)

        def counted(x, y):
            if len(measured) == stop:
                raise KeyboardInterrupt
            measured.append((x, y))
            return measure(x, y)

        return counted

    monkeypatch.setattr(loss_plane, "_measurer", lambda *a: counting(*a, stop=13))
    with pytest.raises(KeyboardInterrupt):
        measure_plane(curve, small, points=5, kept=KeptPredictions(tmp_path, "a"))
    monkeypatch.setattr(loss_plane, "_measurer", lambda *a: counting(*a, stop=None))
    kept = KeptPredictions(tmp_path, "a")
    assert measure_plane(curve, small, points=5, kept=kept) == expected
    assert len(measured) == 13 + 15  # two of five rows were kept


def test_a_run_keeps_its_plane_until_something_is_other(small, tmp_path):
    curve = bend(Curve.between(linear(0), linear(1)))
    files = WorkDir(tmp_path)
    files.curve((0, 1)).parent.mkdir()
    files.curve((0, 1)).write_bytes(b"a curve")
    run = types.SimpleNamespace(
        files=files,
        config=Config(),
        data=types.SimpleNamespace(test=small),
        inputs={"dataset": "a"},
        load_curve=lambda pair: curve,
        statistics_images=lambda: None,
    )
    target = files.loss_plane((0, 1))

    def written(points, images) -> bool:
        before = target.stat().st_mtime_ns if target.exists() else 0
        write_loss_plane(run, points, images)
        assert files.state(target, [files.curve((0, 1))]) == "current"
        assert not files.checkpoints(target).exists()
        return target.stat().st_mtime_ns != before

    assert written(4, 10)
    # Spread evenly over the split: floor(k 27 / 10).
    chosen = small.take(np.array([0, 2, 5, 8, 10, 13, 16, 18, 21, 24]))
    assert json.loads(target.read_text()) == measure_plane(curve, chosen, points=4)
    assert not written(4, 10)
    assert written(5, 10) and written(5, 11)
    assert written(5, 1000) and not written(5, 27)
    assert json.loads(target.read_text())["images"] == 27
    run.inputs = {"dataset": "b"}
    assert written(5, 27)
    files.curve((0, 1)).write_bytes(b"another curve")
    assert written(5, 27)
    whole = target.read_bytes()
    target.write_bytes(whole[:100])
    assert written(5, 27) and target.read_bytes() == whole
    assert target.with_name("loss_plane_0-1.json.damaged").read_bytes() == whole[:100]
