"""The plane in weight space through a curve's ends and its control point."""

import numpy as np
from keras import ops

from bridge_tf.curves.batch_norm import batch_norms
from bridge_tf.curves.shapes import coefficients
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.keras_utils import is_float

# Minimum height relative to the distance between the ends; a smaller one may be rounding.
_SMALLEST_HEIGHT = 1e-6


def check_degree(degree: int) -> None:
    """Raises an InputError for a straight line, of degree 1, which spans no plane."""
    if degree < 2:
        raise InputError(
            f"`loss_plane`: a curve of degree {degree} is a straight line, which spans no plane; "
            "train a run with `curve_degree=2` in another `workdir`"
        )


class Plane:
    """The plane through θ_0 (the start), θ_1 (the end) and θ_c (the middle control point).

    Its axes are orthonormalized from θ_1 - θ_0 and θ_c - θ_0 by Gram-Schmidt over all
    floating-point weights (Garipov et al., NeurIPS 2018, section 4), without batch-norm statistics.
    So x and y are distances in weight space. The start is at (0, 0), the end at (distance, 0), and
    the control point has a positive y.

    Attributes:
        distance: |θ_1 - θ_0|.
        points: (x, y) of "start", "end" and "control".

    Raises:
        InputError: the curve is a straight line, or its ends are equal.
    """

    def __init__(self, curve):
        check_degree(curve.degree)
        self.curve = curve
        self.middle = curve.degree // 2
        self._gram = _gram(curve)
        end, middle = self._gram[-1], self._gram[self.middle]
        self.distance = float(np.sqrt(end[-1]))
        if not self.distance:
            raise InputError("`loss_plane`: the curve's ends are equal, so that they span no plane")
        # Coordinates of all control points.
        self._x = end / self.distance
        height = np.sqrt(max(0.0, middle[self.middle] - self._x[self.middle] ** 2))
        if height < _SMALLEST_HEIGHT * self.distance:
            raise InputError(
                "`loss_plane`: the curve's control point lies on the line between its ends, so "
                "that they span no plane; train a run with `curve_epochs` of at least 1"
            )
        self._y = (middle - self._x * self._x[self.middle]) / height
        self._y[-1] = 0.0
        self.points = {
            "start": (0.0, 0.0),
            "end": (self.distance, 0.0),
            "control": (float(self._x[self.middle]), float(height)),
        }

    def position(self, r: float) -> tuple[float, float, float]:
        """x and y of θ(r), projected to the plane, and its distance from the plane."""
        kind, degree = self.curve.kind, self.curve.degree
        shares = np.array([float(share) for share in coefficients(kind, degree, r)])
        x, y = float(shares @ self._x), float(shares @ self._y)
        rest = shares @ self._gram @ shares - x**2 - y**2
        return x, y, float(np.sqrt(max(0.0, rest)))

    def weights_at(self, x: float, y: float) -> list:
        """The trainable weights at a point of the plane, in the network's order."""
        to_end, to_control = self._shares(x, y)
        points = self.curve.control_points
        return [
            (1 - to_end - to_control) * ops.convert_to_tensor(a) + to_end * b + to_control * c
            for a, b, c in zip(points[0], points[-1], points[self.middle], strict=True)
        ]

    def state_at(self, x: float, y: float) -> list:
        """The non-trainable state at a point of the plane; on a curve it is linear in r."""
        to_end, to_control = self._shares(x, y)
        return self.curve.state_at(to_end + to_control * self.middle / self.curve.degree)

    def _shares(self, x: float, y: float) -> tuple[float, float]:
        """s and t of θ = θ_0 + s (θ_1 - θ_0) + t (θ_c - θ_0)."""
        across, height = self.points["control"]
        t = y / height
        return (x - t * across) / self.distance, t


def moving_places(network) -> list[tuple[int, int]]:
    """Indices of each batch normalization's mean and variance in the non-trainable variables."""
    places = {id(variable): k for k, variable in enumerate(network.non_trainable_variables)}
    return [
        (places[id(layer.moving_mean)], places[id(layer.moving_variance)])
        for layer in batch_norms(network)
    ]


def _gram(curve) -> np.ndarray:
    """Dot products of the control points minus the start, (degree + 1)×(degree + 1), float64.

    Floating-point state other than batch-norm statistics, such as weights of frozen layers, counts
    as weights with control points evenly spaced on a straight line.
    """
    points = list(zip(*curve.control_points, strict=True))
    statistics = {k for pair in moving_places(curve.network) for k in pair}
    states = [curve.state_at(k / curve.degree) for k in range(curve.degree + 1)]
    points += [
        tuple(state[k] for state in states)
        for k, variable in enumerate(curve.start_state)
        if is_float(variable) and k not in statistics
    ]
    total = np.zeros((curve.degree + 1, curve.degree + 1))
    for values in points:
        rows = np.stack([ops.convert_to_numpy(v).astype("float64").ravel() for v in values])
        rows = rows - rows[0]
        total += rows @ rows.T
    return total
