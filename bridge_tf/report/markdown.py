"""report.md, and the table that commands print."""

_NONE = "–"
_EXTRAPOLATED = "*"

# Heading, key, format, and whether more (1) or less (-1) is better; 0: not compared.
_COLUMNS = (
    ("ensemble", "name", "{}", 0),
    ("members", "size", "{}", 0),
    ("FLOPs ×", "relative_flops", "{:.2f}", 0),
    ("params ×", "relative_params", "{:.2f}", 0),
    ("accuracy %", "accuracy", "{:.2f}", 1),
    ("NLL", "nll", "{:.4f}", -1),
    ("cal. NLL", "calibrated_nll", "{:.4f}", -1),
    ("Brier", "brier", "{:.4f}", -1),
    ("ECE %", "ece", "{:.2f}", -1),
    ("cal. ECE %", "calibrated_ece", "{:.2f}", -1),
    ("DEE", "dee", "{:.2f}", 1),
)
_PER_CENT = ("accuracy", "ece", "calibrated_ece", "agreement")

_LEGEND = """\
- **members**: probability vectors that are averaged. **FLOPs ×** and **params ×**: what one image's
  inference executes, relative to one network.
- **NLL** (nats), **Brier** (summed over classes) and **ECE** (15 bins): lower is better. **cal.**:
  after temperature scaling, with one temperature fitted on the validation split (maximum a
  posteriori, with the weak prior log T ~ N(0, 0.5²), which matters on small splits only).
- **DEE**, deep-ensemble equivalent: the size of the plain deep ensemble of this run with the same
  calibrated NLL. `*`: outside the sizes measured, on the nearest segment's slope.
- **KL** (nats) from the curve member's prediction to the bridge's, and to the base's; the smaller
  their ratio, the more of the member the bridge has learned. **agreement**: equal top classes.
"""


def render_table(report: dict, mark_best: bool = False) -> str:
    """The comparison of a report as a Markdown table, padded for the terminal.

    Args:
        report: the content of report.json.
        mark_best: set the best figures of each column in bold.
    """
    rows = report["ensembles"]
    best = {}
    for _, key, _, sign in _COLUMNS if mark_best else ():
        values = [sign * row[key] for row in rows if sign and row[key] is not None]
        best[key] = max(values, default=None) if sign else None
    cells = []
    for row in rows:
        line = []
        for _, key, form, sign in _COLUMNS:
            text = _figure(row[key], key, form)
            if key == "dee" and row["dee_extrapolated"]:
                text += _EXTRAPOLATED
            if sign and row[key] is not None and sign * row[key] == best.get(key):
                text = f"**{text}**"
            line.append(text)
        cells.append(line)
    return _table([column[0] for column in _COLUMNS], cells)


def render_markdown(report: dict) -> str:
    """A report as a page of Markdown.

    Args:
        report: the content of report.json.
    """
    dataset = report["dataset"]
    return "\n".join(
        [
            f"# Bridge ensembles on {dataset['name']}",
            "",
            *(f"> **Warning:** {warning}.\n" for warning in report.get("warnings", ())),
            f"{dataset['num_train']:,} training, {dataset['num_validation']:,} validation and "
            f"{dataset['num_test']:,} test images of {dataset['num_classes']} classes. One network "
            f"has {report['base']['params']:,} parameters and takes "
            f"{report['base']['flops'] / 1e6:,.2f} million FLOPs an image.",
            "",
            _summary(report["ensembles"]),
            "",
            render_table(report, mark_best=True),
            "",
            "## Bridges",
            "",
            _bridges(report["bridges"]),
            "",
            "## Along the curves",
            "",
            _curves(report["curves"]),
            "",
            "## How to read this",
            "",
            _LEGEND,
        ]
    )


def _summary(rows: list[dict]) -> str:
    single = rows[0]
    bridges = [row for row in rows if row["method"] == "bridge"]
    if not bridges:
        return "No bridges were trained."
    best = min(bridges, key=lambda row: row["calibrated_nll"])
    text = (
        f"**{best['name']}** has a calibrated NLL of {best['calibrated_nll']:.4f} and "
        f"{100 * best['accuracy']:.2f} % accuracy at {best['relative_flops']:.2f} × the FLOPs of "
        f"one network, which has {single['calibrated_nll']:.4f} and "
        f"{100 * single['accuracy']:.2f} %."
    )
    if best["dee"] is not None:
        text += (
            f" A plain deep ensemble needs {best['dee']:.2f} networks for that calibrated NLL"
            f"{' (extrapolated)' if best['dee_extrapolated'] else ''}."
        )
    return text


def _bridges(rows: list[dict]) -> str:
    headings = ["curve", "r", "type", "taps", "width", "FLOPs ×", "params ×"]
    headings += ["KL", "KL of the base", "ratio", "agreement %"]
    return _table(
        headings,
        [
            [
                _pair(row["curve"]),
                _figure(row["r"], "r", "{:g}"),
                str(row["type"]),
                ", ".join(row["taps"]),
                _figure(row["width"], "width", "{:g}"),
                _figure(row["relative_flops"], "relative_flops", "{:.3f}"),
                _figure(row["relative_params"], "relative_params", "{:.3f}"),
                _figure(row["kl"], "kl", "{:.4f}"),
                _figure(row["kl_base"], "kl_base", "{:.4f}"),
                _figure(_ratio(row["kl"], row["kl_base"]), "ratio", "{:.2f}"),
                _figure(row["agreement"], "agreement", "{:.2f}"),
            ]
            for row in rows
        ],
    )


def _curves(curves: list[dict]) -> str:
    return _table(
        ["curve", "r", "accuracy %", "NLL"],
        [
            [
                _pair(curve["curve"]),
                f"{point['r']:.2f}",
                _figure(point["accuracy"], "accuracy", "{:.2f}"),
                _figure(point["nll"], "nll", "{:.4f}"),
            ]
            for curve in curves
            for point in curve["points"]
        ],
    )


def _pair(curve: list[int]) -> str:
    return f"{curve[0]}–{curve[1]}"


def _ratio(kl: float | None, kl_base: float | None) -> float | None:
    return None if kl is None or not kl_base else kl / kl_base


def _figure(value, key: str, form: str) -> str:
    if value is None:
        return _NONE
    return form.format(100 * value if key in _PER_CENT else value)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[k]) for row in [headings, *rows]) for k in range(len(headings))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    lines = [headings, rule, *rows]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        + " |"
        for line in lines
    )
