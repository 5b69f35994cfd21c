"""Names and numbers that files of a run share."""

from collections.abc import Iterable

# The "schema" of report.json and figures/data.json.
SCHEMA = 1


def pair_name(pair: Iterable[int]) -> str:
    """The name of a curve by the modes at its ends, as in its files: 0-1."""
    return "-".join(map(str, pair))
