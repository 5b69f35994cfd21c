"""The texts and tables of a report, for Markdown and HTML."""

from bridge_tf.config.names import pair_name

_EXTRAPOLATED = "*"

# Heading, key, format, and whether higher (1) or lower (-1) is better; 0: not compared.
_COLUMNS = (
    ("ensemble", "name", "{}", 0),
    ("members", "size", "{}", 0),
    ("FLOPs ×", "relative_flops", "{:.2f}", 0),
    ("time ×", "relative_time", "{:.2f}", 0),
    ("worst ×", "worst_relative_flops", "{:.2f}", 0),
    ("params ×", "relative_params", "{:.2f}", 0),
    ("training ×", "training_cost", "{:.2f}", 0),
    ("accuracy %", "accuracy", "{:.2f}", 1),
    ("NLL", "nll", "{:.4f}", -1),
    ("cal. NLL", "calibrated_nll", "{:.4f}", -1),
    ("±", "half_width", "{:.4f}", 0),
    ("Brier", "brier", "{:.4f}", -1),
    ("ECE %", "ece", "{:.2f}", -1),
    ("ad. ECE %", "adaptive_ece", "{:.2f}", -1),
    ("cal. ECE %", "calibrated_ece", "{:.2f}", -1),
    ("DEE", "dee", "{:.2f}", 1),
)
_PER_CENT = ("accuracy", "ece", "adaptive_ece", "calibrated_ece")

# What the first sentences of a report need.
OPENING = (
    "bridge_k is one network, the base, with k bridges: small networks that predict from the "
    "base's features what networks on its curves predict. NLL is the mean negative log-likelihood "
    "of the true class, in nats; lower is better; calibrated: after temperature scaling. FLOPs are "
    "the floating-point operations of one image's inference."
)
# Terms of the comparison and of the table of bridges, and their explanations.
COMPARED = (
    (
        "single, deep_ensemble_k, curve_k and bridge_k",
        "the base alone; k networks of different seeds; the base and k networks on curves; the "
        "base and k bridges.",
    ),
    ("members", "probability vectors that are averaged."),
    (
        "FLOPs × and params ×",
        "what one image's inference executes, relative to one network; of a cascade, the mean over "
        "the test images, and all its networks.",
    ),
    ("worst ×", "FLOPs of the image that costs most: one that goes through a whole cascade."),
    (
        "cascade_k, student_cascade_k and bridge_cascade_k",
        "one network, the student, or bridge_k predicts the images that it is sure of; the first k "
        "modes, after bridge_k all modes, predict the others. Which those are is decided by a "
        "threshold on the first stage's calibrated top probability, chosen on the validation split "
        "for an average cost.",
    ),
    (
        "training ×",
        "gradient steps times the FLOPs of a step, of all trainings that it needs, relative to one "
        "network's.",
    ),
    ("NLL (nats), Brier (summed over classes) and ECE (15 bins)", "lower is better."),
    (
        "cal.",
        "after temperature scaling, with one temperature fitted on the validation split (maximum a "
        "posteriori, with the weak prior log T ~ N(0, 0.5²), which matters on small splits only; "
        "below 2,000 validation images the maximum-likelihood temperature is given beside it). "
        "Models are exported with it.",
    ),
    (
        "DEE",
        "deep-ensemble equivalent: the size of the plain deep ensemble with the same calibrated "
        "NLL, which is the mean over subsets of this run's modes. "
        f"{_EXTRAPOLATED}: outside the sizes measured, on the nearest segment's slope, and best "
        "only if no measured one is there.",
    ),
)
OF_BRIDGES = (
    (
        "KL",
        "in nats, from the prediction of a bridge's target, mostly a network on a curve, to the "
        "bridge's, and to the base's; the smaller their ratio, the more of it the bridge has "
        "learned.",
    ),
    ("agreement", "share of images with equal top classes."),
)
LEGEND = (*COMPARED, *OF_BRIDGES)


def comparison(report: dict, timed: bool = False) -> tuple[list[str], list[list[tuple[str, bool]]]]:
    """Headings and rows of the comparison; a cell is its text and whether it is the best.

    `timed`: with the times of what was exported, if there are any. What is printed has none, so
    that a run prints the same when it is run again.
    """
    times = _times(report) if timed else {}
    rows = [row | _half_width(row) for row in report["ensembles"]]
    rows = [row | times.get(row["name"], {}) for row in rows]
    # The contract has fewer than a run measures.
    columns = [column for column in _COLUMNS if any(column[1] in row for row in rows)]
    best = {key: best_rows(rows, key, sign) for _, key, _, sign in columns}
    return [column[0] for column in columns], [
        [(_cell(row, key, form), row in best[key]) for _, key, form, _ in columns] for row in rows
    ]


def temperatures(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of temperatures."""
    return ["probabilities of", "T", "T, max. likelihood"], [
        [
            row["name"],
            *(figure(row.get(key), "{:.3f}") for key in ("temperature", "temperature_ml")),
        ]
        for row in rows
        if "threshold" not in row  # the stages of a cascade have rows of their own
    ]


def summary(rows: list[dict]) -> list[tuple[str, bool]]:
    """The result of the comparison, as pieces of text and whether they are bold."""
    single = rows[0]
    own = [row for row in rows if row["method"] == "bridge"]
    if not own:
        return [("No bridges were trained.", False)]
    best = min(own, key=lambda row: row["calibrated_nll"])
    text = (
        f" has a calibrated NLL of {best['calibrated_nll']:.4f} and "
        f"{100 * best['accuracy']:.2f} % accuracy at {best['relative_flops']:.2f} × the FLOPs of "
        f"one network, which has {single['calibrated_nll']:.4f} and "
        f"{100 * single['accuracy']:.2f} %."
    )
    return [(best["name"], True), (text + _equivalent(best, rows), False)]


def bridges(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of bridges."""
    headings = ["bridge", "curve", "r", "type", "taps", "width", "FLOPs ×", "params ×"]
    headings += ["KL", "KL of the base", "ratio", "agreement %"]
    return headings, [
        [
            _ordinal(number),
            pair_name(row["curve"]),
            _target(row),
            str(row["type"]),
            ", ".join([*row["taps"], *(["logits"] if row.get("residual") else [])]),
            figure(row["width"], "{:g}"),
            figure(row["relative_flops"], "{:.3f}"),
            figure(row["relative_params"], "{:.3f}"),
            figure(row["kl"], "{:.4f}"),
            figure(row["kl_base"], "{:.4f}"),
            figure(_ratio(row["kl"], row["kl_base"]), "{:.2f}"),
            figure(row["agreement"], "{:.2f}", 100),
        ]
        for number, row in enumerate(rows, 1)
    ]


def _target(row: dict) -> str:
    """The position that a bridge predicts, or what else it does."""
    if row.get("target") == "ensemble":
        return "all modes"
    if row.get("target") == "mode":
        return f"mode {row['curve'][1]}"
    return figure(row["r"], "{:g}")


def curves(rows: list[dict]) -> tuple[list[str], list[list[str]]]:
    """Headings and rows of the table of points on curves or straight lines."""
    return ["curve", "r", "accuracy %", "NLL"], [
        [
            pair_name(row["curve"]),
            f"{point['r']:.2f}",
            figure(point["accuracy"], "{:.2f}", 100),
            figure(point["nll"], "{:.4f}"),
        ]
        for row in rows
        for point in row["points"]
    ]


def timed_file(report: dict) -> dict:
    """The row of the exported float32 .tflite file, if it was timed."""
    rows = [row for row in report.get("artifacts", ()) if row["file"].endswith(".tflite")]
    return rows[0] if rows and rows[0]["latency_ratio"] is not None else {}


def _times(report: dict) -> dict[str, dict]:
    """By row, what was timed: the base, and the ensemble of all bridges, which is exported."""
    rows, timed = report["ensembles"], timed_file(report)
    exported = [row["name"] for row in rows if row["method"] == "bridge"][-1:]
    if not (exported and timed):
        return {}
    times = {rows[0]["name"]: 1.0, exported[0]: timed["latency_ratio"]}
    return {name: {"relative_time": time} for name, time in times.items()}


def _half_width(row: dict) -> dict:
    """That of the interval of the calibrated NLL, if the row has one."""
    ends = row.get("intervals", {}).get("calibrated_nll")
    return {"half_width": (ends[1] - ends[0]) / 2} if ends else {}


def says_little(row: dict) -> bool:
    """Whether the interval of the DEE is wider than 1; a report may have no intervals."""
    if "intervals" not in row:
        return False
    ends = row["intervals"]["dee"]
    return ends is None or ends[1] - ends[0] > 1


def best_rows(rows: list[dict], key: str, sign: int) -> list[dict]:
    """The rows with the best figure; an extrapolated DEE only if none was measured, and none of
    which the interval is too wide.
    """
    rows = [row for row in rows if sign and row.get(key) is not None]
    if key == "dee":
        rows = [row for row in rows if not says_little(row)]
        rows = [row for row in rows if not row["dee_extrapolated"]] or rows
    best = max((sign * row[key] for row in rows), default=None)
    return [row for row in rows if sign * row[key] == best]


def _equivalent(best: dict, rows: list[dict]) -> str:
    """How many plain networks reach the calibrated NLL of the `best` bridge ensemble."""
    if best["dee"] is None:
        return ""
    if not best["dee_extrapolated"]:
        return f" A plain deep ensemble needs {best['dee']:.2f} networks for that calibrated NLL."
    if best["dee"] < 1:
        return " One network alone has a lower calibrated NLL."
    sizes = [row["size"] for row in rows if row["method"] in ("single", "deep_ensemble")]
    return (
        f" No plain deep ensemble that was measured, of up to {max(sizes, default=1)} networks, "
        "has so low a calibrated NLL."
    )


def _cell(row: dict, key: str, form: str) -> str:
    text = figure(row.get(key), form, 100 if key in _PER_CENT else 1)
    if key != "dee":
        return text
    text += _EXTRAPOLATED if row["dee_extrapolated"] else ""
    return f"({text})" if row["dee"] is not None and says_little(row) else text


def span(ends: list[float] | None, form: str, factor: float = 1) -> str:
    """Both ends of an interval, as `figure` has them; a dash if there is none."""
    return "–" if ends is None else " … ".join(figure(end, form, factor) for end in ends)


def figure(value, form: str, factor: float = 1) -> str:
    """A formatted figure; a dash for None."""
    return "–" if value is None else form.format(factor * value)


def _ordinal(number: int) -> str:
    """1st, 2nd, 3rd…: one bridge, as in the demo; bridge_3 is the base with three."""
    endings = {1: "st", 2: "nd", 3: "rd"} if number // 10 % 10 != 1 else {}
    return f"{number}{endings.get(number % 10, 'th')}"


def _ratio(kl: float | None, kl_base: float | None) -> float | None:
    return None if kl is None or not kl_base else kl / kl_base
