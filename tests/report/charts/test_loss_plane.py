import re

import numpy as np
import pytest
from matplotlib.contour import ContourSet

from bridge_tf.report.charts import loss_plane, style


@pytest.fixture
def plane():
    """Two valleys with a ridge between them; the network overflows in one corner."""
    x, y = np.linspace(-4, 14, 21), np.linspace(-4, 8, 21)
    ridge = np.exp(-(((x - 5) / 2) ** 2)) * np.exp(-y[:, None] / 4)
    nll = (0.05 + ridge + 0.01 * np.exp(np.abs(y[:, None]))).tolist()
    nll[-1][-1] = None
    path = [{"r": r, "x": 10 * r, "y": 16 * r * (1 - r)} for r in np.linspace(0, 1, 41).tolist()]
    return {
        "curve": [0, 2],
        "x": x.tolist(),
        "y": y.tolist(),
        "nll": nll,
        "points": {"start": [0.0, 0.0], "end": [10.0, 0.0], "control": [5.0, 8.0]},
        "path": path,
        "images": 1234,
        "distance": 10.0,
        "out_of_plane": 0.0,
    }


def test_the_valley_shows_and_what_lies_above_is_clipped(plane):
    chart, title = loss_plane.draw(plane)
    axes = chart.axes[0]
    (filled,) = (item for item in axes.get_children() if isinstance(item, ContourSet))
    nll = np.array(plane["nll"], "float64")
    assert filled.levels[0] == pytest.approx(np.nanmin(nll))
    assert filled.levels[-1] == pytest.approx(np.percentile(nll[np.isfinite(nll)], 90))
    steps = np.diff(np.log(filled.levels[1:] - filled.levels[0]))
    np.testing.assert_allclose(steps, steps[0])
    assert filled.extend == "max" and filled.get_cmap().name == style.SEQUENTIAL
    assert title == "Loss over the plane of the curve 0-2"
    assert axes.get_aspect() == 1


def test_curve_line_and_points_are_where_they_are(plane):
    chart, _ = loss_plane.draw(plane)
    lines = chart.axes[0].get_lines()
    curve, straight, start, end, control = (line.get_xydata() for line in lines)
    np.testing.assert_allclose(curve, [(at["x"], at["y"]) for at in plane["path"]])
    np.testing.assert_allclose(straight, [(0, 0), (10, 0)])
    found = np.concatenate([start, end, control])
    np.testing.assert_allclose(found, [(0, 0), (10, 0), (5, 8)])


@pytest.mark.parametrize(("out", "name"), [(0.05, "curve"), (2.0, "curve, projected")])
def test_the_file_is_small_and_says_what_is_what(plane, out, name):
    chart, title = loss_plane.draw({**plane, "out_of_plane": out})
    svg = style.to_svg(chart, title)
    assert len(svg) < 150_000 and "<image" not in svg
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", svg)
    for text in ("mode 0", "mode 2", "control point", name, "straight line"):
        assert texts.count(text) == 1, texts
    assert texts.count("distance in weight space, on both axes") == 1
    assert "NLL of 1,234 test images (nats)" in texts
    # All that doesn't stand on the map follows the page.
    colours = set(re.findall(r"<text[^>]*fill: (#\w+)", svg))
    assert colours == {style.INK, loss_plane._DARK}
    assert {line.get_color() for line in chart.legends[0].get_lines()} == {style.INK}


@pytest.mark.parametrize("finite", [0, 1, 2])
def test_a_plane_of_few_or_no_finite_losses(plane, finite):
    plane["nll"] = [[None] * 21 for _ in range(21)]
    plane["nll"][3][:finite] = [0.5, 0.7][:finite]
    chart, title = loss_plane.draw(plane)
    svg = style.to_svg(chart, title)
    assert ("no point of the plane has a finite loss" in svg) == (not finite)
    assert title.endswith("finite nowhere") == (not finite)
    assert len(chart.axes) == (2 if finite else 1)
    assert chart.axes[0].get_xlim() == (-4, 14)


@pytest.mark.parametrize(
    ("low", "span"), [(0.0, 3.0), (0.5, 1e-3), (0.5, 0), (2.3012, 1e-5), (140, 900), (1e9, 0)]
)
def test_labels_of_the_colours_differ_and_fit(low, span):
    levels = loss_plane._levels(low + span * np.linspace(0, 1, 50))
    labels = list(loss_plane._ticks(levels).values())
    assert len(set(labels)) == len(labels) >= 2
    assert sum(map(len, labels)) < loss_plane._LETTERS
    for value, label in loss_plane._ticks(levels).items():
        assert float(label) == pytest.approx(value, rel=0.1)
    assert not [label for label in labels if "e" in label and 1 <= low < 1e5]
