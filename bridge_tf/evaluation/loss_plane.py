"""Loss over the plane through two modes and the curve between them.

The picture of mode connectivity: Garipov et al., NeurIPS 2018, figure 1.
"""

from collections.abc import Callable

import numpy as np

from bridge_tf.curves.batch_norm import batch_norms, batch_statistics, pooled
from bridge_tf.data import Split
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.plane import Plane, moving_places
from bridge_tf.networks.classifier import logits_copy
from bridge_tf.utils.npz_cache import KeptPredictions
from bridge_tf.utils.terminal import track

_BATCH = 250  # maximum number of images
_PATH_POINTS = 41
MARGIN = 0.2


def measure_plane(
    curve,
    split: Split,
    data=None,
    points: int = 21,
    margin: float = MARGIN,
    pair: tuple[int, int] = (0, 1),
    kept: KeptPredictions | None = None,
) -> dict:
    """Loss and accuracy on a grid in the plane through a curve's ends and control point.

    With several inner control points, the middle one spans the plane.

    Args:
        curve: a trained `Curve` of degree 2 or more.
        split: the images to measure on; every image counts once.
        data: re-iterable batches of training images. With batch normalization, statistics are
            re-estimated on them at each point of the grid except the ends, as in
            `Curve.model_at`.
        points: number of points on a side of the grid, at least 3.
        margin: around ends and control point, as a share of the longer side of their box.
        pair: the modes at the ends.
        kept: stores finished rows of the grid until all are finished.

    Returns:
        JSON data. "curve": the pair; "x", "y": coordinates of the grid's columns and rows,
        distances in weight space; "nll" (nats) and "accuracy" (a fraction): a list for each row,
        with None if the network's output isn't finite; "points": [x, y] of "start", "end" and
        "control"; "path": "r", "x" and "y" of points along the curve; "images": their number;
        "distance": between the ends; "out_of_plane": the path's largest distance from the plane.

    Raises:
        InputError: the curve is a straight line.
        ValueError: `points` is below 3, or batch normalization has no data.
    """
    if points < 3:
        raise ValueError(f"points must be at least 3. Received: points={points}")
    plane = Plane(curve)
    corners = np.array(list(plane.points.values()))
    space = margin * (corners.max(axis=0) - corners.min(axis=0)).max()
    (left, bottom), (right, top) = corners.min(axis=0) - space, corners.max(axis=0) + space
    xs, ys = _axis(left, right, points, plane.distance), _axis(bottom, top, points)
    measure = _measurer(plane, split, data)
    rows = []
    for k in track(f"evaluate: loss plane of curve {pair[0]}-{pair[1]}", range(points)):

        def row(y=ys[k]):
            return np.array([measure(x, y) for x in xs]).T

        rows.append(kept.get(f"row-{k}", row) if kept else row())
    path = [(r, *plane.position(r)) for r in map(float, np.linspace(0, 1, _PATH_POINTS))]
    return {
        "curve": list(pair),
        "x": xs,
        "y": ys,
        "nll": [[_finite(value) for value in nll] for nll, _ in rows],
        "accuracy": [[_finite(value) for value in accuracy] for _, accuracy in rows],
        "points": {name: list(point) for name, point in plane.points.items()},
        "path": [{"r": r, "x": x, "y": y} for r, x, y, _ in path],
        "images": len(split),
        "distance": plane.distance,
        "out_of_plane": max(out for *_, out in path),
    }


def _axis(low: float, high: float, points: int, distance: float = np.inf) -> list[float]:
    """Evenly spaced numbers over `low`…`high`; one is 0, one `distance` unless below a step."""
    step = (high - low) / (points - 2)  # leaves one step for the shift
    if step <= distance < np.inf:
        step = distance / (distance // step)
    return (step * (np.floor(low / step) + np.arange(points))).tolist()


def _measurer(plane: Plane, split: Split, data) -> Callable[[float, float], tuple[float, float]]:
    """A function from a point of the plane to NLL and accuracy; it compiles once."""
    import tensorflow as tf
    from scipy.special import log_softmax

    network = logits_copy(plane.curve.network)
    layers, places = batch_norms(network), moving_places(network)
    if layers and data is None:
        raise ValueError("a curve with batch normalization needs data to re-estimate it on")
    # All batches have one shape; shorter ones are padded.
    batches = np.array_split(np.arange(len(split)), -(-len(split) // _BATCH))
    filled = [tf.constant(split.images[np.resize(b, len(batches[0]))]) for b in batches]

    @tf.function
    def logits(weights, state, images):
        return network.stateless_call(weights, state, images, training=False)[0]

    @tf.function
    def statistics(weights, state, images):
        return batch_statistics(network, layers, weights, state, images)

    def reestimated(weights, state) -> list:
        found = [
            [[v.numpy() for v in pair] for pair in statistics(weights, state, b)] for b in data
        ]
        state = list(state)
        for pair, seen in zip(places, zip(*found, strict=True), strict=True):
            for place, value in zip(pair, pooled(*zip(*seen, strict=True)), strict=True):
                state[place] = tf.constant(value)
        return state

    ends = [plane.points[name] for name in ("start", "end")]

    def measure(x: float, y: float) -> tuple[float, float]:
        weights, state = plane.weights_at(x, y), plane.state_at(x, y)
        if layers and not any(np.allclose((x, y), end, atol=1e-9) for end in ends):
            state = reestimated(weights, state)
        outputs = [
            logits(weights, state, images).numpy()[: len(batch)]
            for images, batch in zip(filled, batches, strict=True)
        ]
        with np.errstate(invalid="ignore", over="ignore"):  # far from the curve
            log_probs = log_softmax(np.concatenate(outputs).astype("float64"), axis=1)
        if np.isnan(log_probs).any():
            return np.nan, np.nan
        return metrics.nll(log_probs, split.labels), metrics.accuracy(log_probs, split.labels)

    return measure


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
