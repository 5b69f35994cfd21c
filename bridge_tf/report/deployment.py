"""A report's table of exported files, and its sentence about early exit."""


def early_exit(report: dict) -> str:
    """The figures of early exit in a sentence; empty if they weren't measured."""
    found, whole = report.get("early_exit"), report["ensembles"][-1]
    if not found:
        return ""
    return (
        f"Early exit: with the base's prediction where its confidence is at least "
        f"{found['threshold']:.4f}, and {whole['name']}'s for the other "
        f"{100 * found['share']:.1f} % of the test images, the calibrated NLL is "
        f"{found['calibrated_nll']:.4f} and the accuracy {100 * found['accuracy']:.2f} %, at "
        f"{found['relative_flops']:.3f} × the FLOPs of one network on average "
        f"({found['budget']:g} was wanted, and the threshold chosen on validation images)."
    )


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
    "of one image on one thread of this machine, over that of the base alone in the float32 file; "
    "median of rounds in turn.",
)
