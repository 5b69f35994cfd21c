"""A report's table of prediction sets."""

from bridge_tf.report.tables import figure


def prediction_sets(report: dict) -> tuple[list[str], list[list[str]]] | None:
    """Headings and rows of the table; None if there are none."""
    rows = report.get("prediction_sets", {}).get("rows")
    if not rows:
        return None
    headings = ["wanted coverage %", "test coverage %", "± σ", "classes in a set"]
    headings += ["sets of one class %", "quantile"]
    return headings, [
        [
            f"{100 * row['coverage']:g}",
            figure(row["test_coverage"], "{:.2f}", 100),
            figure(row["standard_error"], "{:.2f}", 100),
            figure(row["mean_size"], "{:.3f}"),
            figure(row["share_of_one"], "{:.2f}", 100),
            figure(row["quantile"], "{:.6f}"),
        ]
        for row in rows
    ]


def explanation(report: dict) -> str:
    """What the table shows; empty if there is none."""
    if not prediction_sets(report):
        return ""
    return (
        f"Sets of classes of {report['prediction_sets']['name']}, by conformal prediction: for "
        "images like these, the true class is in its set with at least the wanted probability. σ "
        "is the standard error of the test coverage, by the choice of validation and test images. "
        "A model that is right more often than wanted has sets of one class."
    )
