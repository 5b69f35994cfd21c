"""The first sentence of a report: which row to choose."""

from bridge_tf.report.tables import figure, span

# What each limit of a budget is called.
_LIMITS = {
    "flops": "{:g} × the FLOPs of one network on average",
    "worst_flops": "{:g} × for the image that costs most",
    "params": "{:g} × the parameters",
    "bytes": "{:,} bytes of float32 weights",
}


def recommendation(report: dict) -> list[tuple[str, bool]]:
    """Pieces of text and whether they are bold; none for a report without a recommendation."""
    found = report.get("recommendation")
    if not found:
        return []
    budget = found["budget"]
    limits = ", ".join(text.format(budget[key]) for key, text in _LIMITS.items() if key in budget)
    if found["name"] is None:
        return [(f"No way of ensembling is within {limits}. ", False)]
    kind = "" if found["is_bridge_ensemble"] else ", which isn't a bridge ensemble"
    accuracy, nll = (found["intervals"][key] for key in ("accuracy", "calibrated_nll"))
    text = (
        f"{kind}: on the test images it has {figure(found['accuracy'], '{:.2f}', 100)} % accuracy"
        f"{_interval(accuracy, '{:.2f}', 100)} and a calibrated NLL of "
        f"{figure(found['calibrated_nll'], '{:.4f}')}{_interval(nll, '{:.4f}')}, at "
        f"{_cost(found['average_flops'], found['relative_flops'])}. "
    )
    pieces = [(f"Within {limits}, choose ", False), (found["name"], True), (text, False)]
    if found["best"] != found["name"]:
        text = f"On the validation images {found['best']} is better, but by no more than chance. "
        pieces.append((text, False))
    return pieces


def _cost(validation: float, test: float) -> str:
    """The average cost; that of a cascade is chosen on other images than it is measured on."""
    if f"{validation:.2f}" == f"{test:.2f}":
        return f"{test:.2f} × the FLOPs"
    return f"{test:.2f} × the FLOPs ({validation:.2f} × on the validation images)"


def _interval(ends: list[float] | None, form: str, factor: float = 1) -> str:
    return "" if ends is None else f" ({span(ends, form, factor)})"
