"""What a report says of how well ensembles know what they don't know, and of corrupted images."""

Table = tuple[list[str], list[list[str]]]

_NONE = "–"  # for what is absent
# Heading, key and factor.
_OF_ENSEMBLES = (
    ("cal. ad. ECE %", "calibrated_adaptive_ece", 100),
    ("AURC × 1000", "aurc", 1000),
    ("disagreement %", "disagreement", 100),
)
_OF_OTHERS = (("AUROC %", "auroc", 100), ("FPR95 %", "fpr95", 100))
# What is shown of corrupted images: the caption, the key, its format and factor.
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
    """Headings and rows of the table; nothing where a report holds none of it."""
    rows = report["ensembles"]
    shown = [column for column in _OF_ENSEMBLES if any(column[1] in row for row in rows)]
    others = {row["name"]: row for row in report.get("ood", {}).get("rows", ())}
    beside = _OF_OTHERS if others else ()
    if not shown and not beside:
        return None
    return ["ensemble", *(heading for heading, *_ in (*shown, *beside))], [
        [
            row["name"],
            *(_figure(row.get(key), "{:.2f}", factor) for _, key, factor in shown),
            *(
                _figure(others.get(row["name"], {}).get(key), "{:.2f}", factor)
                for _, key, factor in beside
            ),
        ]
        for row in rows
    ]


def other_data(report: dict) -> str:
    """What the test images were told from, in a sentence; nothing where they weren't."""
    found = report.get("ood")
    if not found:
        return ""
    return (
        f"AUROC and FPR95: the test images were told from the {found['num_images']:,} test images "
        f"of {found['dataset']}."
    )


def corruptions(report: dict) -> list[tuple[str, Table]]:
    """Captions and tables: each ensemble's means over corruptions, and over severities."""
    found = report.get("corruptions")
    if not found:
        return []
    levels = sorted({item["severity"] for row in found["rows"] for item in row["corrupted"]})
    headings = ["ensemble", "clean", *map(str, levels), *found["kinds"]]
    tables = []
    for caption, key, form, factor in _OF_CORRUPTED:
        lines = []
        for row in found["rows"]:
            groups = [[item for item in row["corrupted"] if item["severity"] == k] for k in levels]
            groups += [
                [item for item in row["corrupted"] if item["corruption"] == kind]
                for kind in found["kinds"]
            ]
            figures = [row["clean"][key], *(_mean(group, key) for group in groups)]
            lines.append([row["name"], *(_figure(figure, form, factor) for figure in figures)])
        tables.append((caption, (headings, lines)))
    return tables


def corrupted(report: dict) -> str:
    """What the columns of the tables of corruptions are, in a sentence."""
    found = report["corruptions"]
    return (
        f"On {found['images']:,} test images, clean and corrupted in {len(found['kinds'])} ways. "
        "Under 1 to 5: means over the corruptions at that severity; under a corruption: its mean "
        "over the severities."
    )


def legend(report: dict) -> list[tuple[str, str]]:
    """What is explained, and how, of what is shown."""
    table = uncertainty(report)
    headings = table[0] if table else []
    return [text for heading, text in _LEGEND.items() if heading in headings]


def _mean(items: list[dict], key: str) -> float | None:
    return sum(item[key] for item in items) / len(items) if items else None


def _figure(value: float | None, form: str, factor: float) -> str:
    return _NONE if value is None else form.format(factor * value)
