"""Reports of made-up predictions."""

import numpy as np

from bridge_tf.data import Dataset, Split
from bridge_tf.evaluation import disagreement, ensemble_log_probs, score
from bridge_tf.runs.stages.evaluate.details import Details

CONFIG = {
    "flags": {"seed": 3, "taps": ["stage2_block1"], "dataset": "npz:a<b>.npz", "r": 0.5},
    "versions": {"bridge_tf": "0.1.0", "keras": "3", "tensorflow": "2"},
}
# (method, size, relative FLOPs) of the rows.
ROWS = (
    *(("single", 1, 1.0), ("deep_ensemble", 2, 2.0), ("deep_ensemble", 3, 3.0)),
    *(("curve", 2, 2.0), ("bridge", 2, 1.1), ("bridge", 3, 1.2)),
)


def log_probs_of(labels, classes: int, seed: int, lead: float = 2.5) -> np.ndarray:
    """Random predictions that name the label most often."""
    logits = np.random.default_rng(seed).normal(0, 1, (len(labels), classes))
    logits[np.arange(len(labels)), labels] += lead
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def make(logs, images: int = 60, classes: int = 5, size: int = 8, names=None):
    """(report, details) of made-up predictions, and the data set."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (images, size, size, 3)).astype("uint8")
    labels = np.arange(images) % classes
    names = tuple(names or (f"class {k}" for k in range(classes)))
    split = Split(pixels, labels)
    dataset = Dataset("made up & <b>bold</b>", names, split, split, split)
    members = [log_probs_of(labels, classes, seed) for seed in range(3)]
    details, rows = Details(dataset), []
    for method, number, flops in ROWS:
        name = method if method == "single" else f"{method}_{number - (method != 'deep_ensemble')}"
        log_probs = ensemble_log_probs(members[:number])
        figures = score(log_probs, labels, log_probs, labels)
        details.add(name, method, log_probs, figures)
        row = {"name": name, "method": method, "size": number, "relative_flops": flops}
        row["disagreement"] = disagreement(members[:number])
        row |= {"relative_params": flops, **figures, "dee": float(number)}
        nll = figures["calibrated_nll"]
        ends = {"accuracy": [0.5, 0.75], "calibrated_nll": [nll - 0.25, nll + 0.75], "dee": None}
        row["intervals"] = ends | ({"dee": [1.5, 2.25]} if method == "bridge" else {})
        row["versus_single"] = {"accuracy": [0, 0], "calibrated_nll": [-0.5, 0.25], "dee": None}
        row["versus_cheapest"] = {"name": "single", **row["versus_single"]}
        rows.append({**row, "dee_extrapolated": number == 3})
    points = [{"r": r, "accuracy": 0.9 - r / 10, "nll": 0.4 + r} for r in (0.0, 0.5, 1.0)]
    higher = [{**point, "nll": point["nll"] + 1} for point in points]
    pairs = ([0, 1], [0, 2])
    bridge = {"r": 0.5, "type": 1, "taps": ["stage2_block1"], "width": 0.5, "kl": 0.1}
    bridge |= {"relative_flops": 0.1, "relative_params": 0.2, "kl_base": 0.3, "agreement": 0.95}
    counts = dict.fromkeys(("num_train", "num_validation", "num_test"), images)
    report = {
        "schema": 1,
        "warnings": ["test images <script>alert(1)</script> are few; set `max_images=0`"],
        "dataset": {"name": dataset.name, **counts, "num_classes": classes},
        "base": {"params": 1000, "flops": 2000000},
        "ensembles": rows,
        "curves": [{"curve": pair, "points": points} for pair in pairs],
        "bridges": [{"curve": pair, **bridge} for pair in pairs],
    }
    last = {k: v for k, v in rows[-1].items() if k in figures}
    report["early_exit"] = {
        **{"budget": 1.05, "threshold": 0.875, "share": 0.25, "relative_flops": 1.05},
        **{**last, "dee": 2.5, "dee_extrapolated": False},
        "shifted": [
            {"images": "inverted pixels", "num_images": 50, "share": 0.75, "relative_flops": 1.15}
        ],
    }
    covered = {"quantile": 0.25, "test_coverage": 0.875, "standard_error": 0.03125}
    report["prediction_sets"] = {
        **{"name": "bridge_2", "k_reg": 5, "penalty": 0.01},
        "rows": [
            {"coverage": wanted, **covered, "mean_size": 1.375, "share_of_one": 0.6875}
            for wanted in (0.9, 0.95)
        ],
    }
    size = {"bytes": 4_000_000, "gzip_bytes": 3_000_000}
    report["artifacts"] = [
        {"file": "ensemble.keras", **size, **last, "latency_ratio": None},
        {
            "file": "a<b>.int8.tflite",
            **size,
            "bytes": 1_234_567,
            **last,
            "latency_ratio": 1.25,
            "early_exit_latency_ratios": [1.125, 1.5],
        },
    ]
    report["ood"] = {
        **{"dataset": "other <i>data</i>", "fingerprint": "0", "num_images": 1234},
        "rows": [{"name": row["name"], "auroc": 0.875, "fpr95": 0.5} for row in rows],
    }
    figures = {"accuracy": 0.75, "nll": 0.5, "calibrated_nll": 0.25, "ece": 0.125}
    report["corruptions"] = {
        **{"images": images, "kinds": ["noise", "jpeg"]},
        "rows": [
            {
                **{"name": row["name"], "clean": figures},
                "corrupted": [
                    {**figures, "corruption": kind, "severity": k, "accuracy": 0.5 - 0.01 * k}
                    for kind in ("noise", "jpeg")
                    for k in range(1, 6)
                ],
            }
            for row in rows
        ],
    }
    lines = [{"curve": pair, "points": higher} for pair in pairs]
    return report, details.to_json(lines, logs), dataset
