"""Names and version numbers in the files of a run."""

from collections.abc import Iterable

# "schema" in report.json and figures/data.json.
SCHEMA = 1


def pair_name(pair: Iterable[int]) -> str:
    """The name of a curve, from the modes at its ends: 0-1. Its files have this name."""
    return "-".join(map(str, pair))
