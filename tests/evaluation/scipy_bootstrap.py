"""SciPy's bootstrap, in all versions."""

import inspect

import numpy as np
import scipy.stats

_PARAMETERS = inspect.signature(scipy.stats.bootstrap).parameters
_SEED = "rng" if "rng" in _PARAMETERS else "random_state"  # before SciPy 1.15


def bootstrap(samples, statistic, **options):
    """`scipy.stats.bootstrap` by percentiles, 20,000 resamples, from one seed."""
    options |= {_SEED: np.random.default_rng(0)}
    return scipy.stats.bootstrap(
        samples, statistic, method="percentile", n_resamples=20_000, **options
    )
