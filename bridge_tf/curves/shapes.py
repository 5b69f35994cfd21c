"""Kinds of curves: the coefficients of the control points at r."""

import math

from keras import ops


def bezier(degree: int, r) -> list:
    """Bernstein polynomials: the coefficient of point k is C(n, k) (1 - r)^(n - k) r^k."""
    return [math.comb(degree, k) * (1 - r) ** (degree - k) * r**k for k in range(degree + 1)]


def chain(degree: int, r) -> list:
    """The polygonal chain through `degree + 1` points at r = k / degree (Garipov et al., eq. 3)."""
    return [ops.maximum(0.0, 1 - ops.abs(degree * r - k)) for k in range(degree + 1)]


KINDS = {"bezier": bezier, "chain": chain}


def coefficients(kind: str, degree: int, r) -> list:
    """The coefficients of the `degree + 1` control points at `r` in [0, 1]; they sum to 1."""
    return KINDS[kind](degree, r)
