"""What two modes let expect, as text for the terminal."""

from bridge_tf.report.markdown import padded_table
from bridge_tf.report.tables import figure, span

_ROWS = (
    ("one network (mean of both)", "one", None),
    ("two networks", "two", "two_over_one"),
    ("mode 0", "base", None),
    ("cascade: mode 0, then both", "cascade", "cascade_over_base"),
)


def render_forecast(found: dict) -> str:
    """What `bridge_tf.evaluation.forecast.forecast` found: a sentence, and a table."""
    rows = []
    for title, key, gains in _ROWS:
        row = [title, figure(found[key]["relative_flops"], "{:.2f}")]
        for kind, form, factor in (("accuracy", "{:.2f}", 100), ("calibrated_nll", "{:.4f}", 1)):
            row.append(figure(found[key][kind], form, factor))
            row.append(_gain(found[gains], kind, form.replace(":", ":+"), factor) if gains else "–")
        rows.append(row)
    table = padded_table(["", "FLOPs ×", "accuracy %", "gain", "cal. NLL", "gain (lower by)"], rows)
    return (
        f"{_sentence(found)}\n{table}\nOn {found['images']:,} validation images; temperatures and "
        "the cascade's threshold are fitted on the other half of them. In brackets: 95 % intervals "
        "over images, of these two seeds. The cascade may cost "
        f"{found['average_cost']:g} × on average."
    )


def _gain(gains: dict, kind: str, form: str, factor: float) -> str:
    ends = span(gains["interval"][kind], form, factor)
    return f"{figure(gains['gain'][kind], form, factor)} ({ends})"


def _sentence(found: dict) -> str:
    low, high = found["two_over_one"]["interval"]["calibrated_nll"] or (0, 0)
    on = f"on {found['images']:,} validation images"
    if low > 0:
        return (
            f"Two networks are measurably better than one {on}: going on is likely worth it, "
            "though bridges, which imitate an ensemble, may reach only a part of its gain."
        )
    if high < 0:
        return f"Two networks are measurably worse than one {on}: going on is likely not worth it."
    return (
        f"Two networks are not measurably better than one {on}; an ensemble, and bridges that "
        "imitate it, can't be expected to be: going on is likely not worth it."
    )
