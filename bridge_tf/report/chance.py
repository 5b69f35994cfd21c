"""What of a report's figures may be chance: intervals over resamples of images."""

from bridge_tf.report.tables import span

Table = tuple[list[str], list[list[str]]]

EXPLANATION = (
    "95 % intervals over 1,000 resamples of the test images and, for temperatures, of the "
    "validation images. All rows see the same resamples. The last three columns are differences of "
    "calibrated NLL, in nats, to one network and to the cheapest other row that is at least as "
    "good, and that row's name. Below 0 is better; where an interval holds 0, the difference may "
    "be chance."
)
_LEGEND = (
    (
        "±",
        "half of the 95 % interval of the calibrated NLL, over resamples of test and validation "
        "images: what chance in the choice of images makes. The choice of seeds is not in it.",
    ),
    ("(DEE)", "in brackets: its 95 % interval is wider than 1, so that it says little."),
)


def chance(report: dict) -> Table | None:
    """Headings and rows of the table of intervals; None if the report has none."""
    rows = [row for row in report["ensembles"] if "intervals" in row]
    if not rows:
        return None
    headings = ["ensemble", "accuracy %", "cal. NLL", "DEE", "to single", "to the cheapest", "name"]
    return headings, [
        [
            row["name"],
            span(row["intervals"]["accuracy"], "{:.2f}", 100),
            span(row["intervals"]["calibrated_nll"], "{:.4f}"),
            span(row["intervals"]["dee"], "{:.2f}"),
            span(row.get("versus_single", {}).get("calibrated_nll"), "{:+.4f}"),
            span(row.get("versus_cheapest", {}).get("calibrated_nll"), "{:+.4f}"),
            row.get("versus_cheapest", {}).get("name", "–"),
        ]
        for row in rows
    ]


def legend(report: dict) -> list[tuple[str, str]]:
    """Terms of the comparison that only a report with intervals has, and their explanations."""
    return list(_LEGEND) if chance(report) else []
