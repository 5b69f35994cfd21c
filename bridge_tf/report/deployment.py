"""A report's table of exported files, and what it says of early exit and cascades."""

from bridge_tf.report.tables import figure, timed_file


def early_exit(report: dict) -> str:
    """The figures of early exit in a sentence; empty if they weren't measured."""
    found = report.get("early_exit")
    if not found:
        return ""
    rows = report["ensembles"]
    whole = ([row for row in rows if row["method"] == "bridge"] or rows)[-1]
    return (
        f"Early exit: with the base's prediction where its confidence is at least "
        f"{found['threshold']:.4f}, and {whole['name']}'s for the other "
        f"{100 * found['share']:.1f} % of the test images, the calibrated NLL is "
        f"{found['calibrated_nll']:.4f} and the accuracy {100 * found['accuracy']:.2f} %, at "
        f"{found['relative_flops']:.3f} × the FLOPs of one network on average "
        f"({found['budget']:g} was wanted, and the threshold chosen on validation images)."
    )


def going_on(report: dict) -> tuple[list[str], list[list[str]]] | None:
    """Headings and rows of how many images go on, and what they cost; None without early exit.

    The time is the mean of that of an image that stops and of one that goes on, by the share.
    """
    found = report.get("early_exit")
    if not found:
        return None
    stops, goes_on = timed_file(report).get("early_exit_latency_ratios", (None, None))

    def time(share: float) -> float | None:
        return None if stops is None else stops + share * (goes_on - stops)

    test = {"images": "test images", "num_images": report["dataset"]["num_test"], **found}
    return ["images", "number", "going on %", "FLOPs ×", "time ×"], [
        [
            row["images"],
            f"{row['num_images']:,}",
            figure(row["share"], "{:.1f}", 100),
            figure(row["relative_flops"], "{:.3f}"),
            figure(time(row["share"]), "{:.3f}"),
        ]
        for row in (test, *found.get("shifted", ()))
    ]


def cascades(report: dict) -> tuple[list[str], list[list[str]]] | None:
    """Headings and rows of the table of cascades; None if there are none."""
    rows = [row for row in report["ensembles"] if "threshold" in row]
    if not rows:
        return None
    headings = ["cascade", "threshold", "going on %"]
    headings += ["FLOPs ×, validation", "FLOPs ×, test", "FLOPs ×, worst"]
    return headings, [
        [
            row["name"],
            # Above every confidence, all images go on.
            "all" if row["threshold"] > 1 else f"{row['threshold']:.4f}",
            figure(row.get("share_going_on"), "{:.1f}", 100),
            figure(row.get("average_flops_validation"), "{:.3f}"),
            figure(row["relative_flops"], "{:.3f}"),
            figure(row.get("worst_relative_flops"), "{:.3f}"),
        ]
        for row in rows
    ]


def artifacts(report: dict) -> tuple[list[str], list[list[str]]] | None:
    """Headings and rows of the table of exported files; None if there are none."""
    rows = report.get("artifacts")
    if not rows:
        return None
    headings = ["file", "MB", "MB gzip", "accuracy %", "NLL", "cal. NLL", "time ×"]
    return headings, [
        [
            row["file"],
            f"{row['bytes'] / 1e6:,.3f}",
            f"{row['gzip_bytes'] / 1e6:,.3f}",
            f"{100 * row['accuracy']:.2f}",
            f"{row['nll']:.4f}",
            f"{row['calibrated_nll']:.4f}",
            "–" if row["latency_ratio"] is None else f"{row['latency_ratio']:.2f}",
        ]
        for row in rows
    ]


LEGEND = (
    "time ×",
    "of one image a call on one thread of the machine that exported, over that of the base alone "
    "in the float32 file; median of rounds in turn; of early exit, the mean of an image that stops "
    "and of one that goes on. A dash: not measured.",
)
