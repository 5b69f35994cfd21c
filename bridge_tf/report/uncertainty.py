"""A report's tables of uncertainty, out-of-distribution detection and corrupted images."""

from bridge_tf.report.tables import figure

Table = tuple[list[str], list[list[str]]]

# Heading, key and factor.
_COLUMNS = (
    ("cal. ad. ECE %", "calibrated_adaptive_ece", 100),
    ("AURC × 1000", "aurc", 1000),
    ("disagreement %", "disagreement", 100),
    ("AUROC %", "auroc", 100),
    ("FPR95 %", "fpr95", 100),
)
# Tables of corrupted images: caption, key, format and factor.
_OF_CORRUPTED = (
    ("Accuracy %", "accuracy", "{:.2f}", 100),
    ("Calibrated NLL, temperature of the clean validation split", "calibrated_nll", "{:.4f}", 1),
    ("ECE %, before temperature scaling", "ece", "{:.2f}", 100),
)
_LEGEND = {
    "cal. ad. ECE %": (
        "ad. ECE",
        "adaptive ECE: in 15 bins of equally many images instead of equal width.",
    ),
    "AURC × 1000": (
        "AURC",
        "area under the risk-coverage curve: the share of errors among the images that a predictor "
        "is surest of, on average over how many these are. Lower is better.",
    ),
    "disagreement %": (
        "disagreement",
        "share of images on which two members name different classes, the mean over pairs.",
    ),
    "AUROC %": (
        "AUROC and FPR95",
        "how well confidence, the largest probability before temperature scaling, tells the test "
        "images from those of other data: the chance that one of the test images is surer (higher "
        "is better), and the share of the others that pass where 95 % of the test images do (lower "
        "is better).",
    ),
}


def uncertainty(report: dict) -> Table | None:
    """Headings and rows of the table; None if the report has none of its figures."""
    ood = {row["name"]: row for row in report.get("ood", {}).get("rows", ())}
    rows = [row | ood.get(row["name"], {}) for row in report["ensembles"]]
    shown = [column for column in _COLUMNS if any(column[1] in row for row in rows)]
    if not shown:
        return None
    return ["ensemble", *(heading for heading, *_ in shown)], [
        [row["name"], *(figure(row.get(key), "{:.2f}", factor) for _, key, factor in shown)]
        for row in rows
    ]


def other_data(report: dict) -> str:
    """A sentence about the images out of distribution; empty if there are none."""
    found = report.get("ood")
    if not found:
        return ""
    return (
        f"AUROC and FPR95: the test images were told from the {found['num_images']:,} test images "
        f"of {found['dataset']}."
    )


def corruptions(report: dict) -> list[tuple[str, Table]]:
    """Captions and tables of each ensemble's means over corruptions, and over severities."""
    found = report.get("corruptions")
    if not found:
        return []
    kinds = [*_OF_CORRUPTED]
    if any("relative_flops" in row["clean"] for row in found["rows"]):
        kinds.append(("Average FLOPs × of cascades", "relative_flops", "{:.2f}", 1))
    levels = sorted({item["severity"] for row in found["rows"] for item in row["corrupted"]})
    columns = [("severity", level) for level in levels]
    columns += [("corruption", kind) for kind in found["kinds"]]
    headings = ["ensemble", "clean", *(str(value) for _, value in columns)]
    tables = []
    for caption, key, form, factor in kinds:
        lines = []
        for row in found["rows"]:
            if key not in row["clean"]:
                continue
            means = (_mean(row["corrupted"], *column, key) for column in columns)
            figures = (figure(x, form, factor) for x in (row["clean"][key], *means))
            lines.append([row["name"], *figures])
        tables.append((caption, (headings, lines)))
    return tables


def corrupted(report: dict) -> str:
    """An explanation of the columns in the tables of corruptions."""
    found = report["corruptions"]
    return (
        f"On {found['images']:,} test images, clean and corrupted in {len(found['kinds'])} ways. "
        "Under 1 to 5: means over the corruptions at that severity; under a corruption: its mean "
        "over the severities."
    )


def legend(report: dict) -> list[tuple[str, str]]:
    """Terms that the table shows, and their explanations."""
    table = uncertainty(report)
    return [text for heading, text in _LEGEND.items() if table and heading in table[0]]


def _mean(items: list[dict], column: str, value, key: str) -> float | None:
    """The mean of `key` over items with a value in a column; None if there are none."""
    values = [item[key] for item in items if item[column] == value and key in item]
    return sum(values) / len(values) if values else None
