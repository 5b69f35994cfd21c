"""The style of all charts, and their SVG, which follows the page's light or dark colours.

Series have the colours of Okabe and Ito (2008), which any common colour blindness leaves distinct,
and a marker each. Text, axes and grid are drawn in two placeholder colours, which become CSS
variables on a page and fixed colours in a file.
"""

import functools
import html
import io
import re
import warnings
from collections.abc import Callable

from bridge_tf.data.issues import printable

# Placeholders for text, and for lines in the background.
INK, FAINT = "#010203", "#040506"
# Of the series; each is visible on white and on near-black.
BLUE, ORANGE, GREEN = "#0072b2", "#e69f00", "#009e73"
PURPLE, VERMILION, SKY = "#cc79a7", "#d55e00", "#56b4e9"
SERIES = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, INK)
# Colour and marker of each way of ensembling.
METHODS = {
    "single": (INK, "*"),
    "deep_ensemble": (BLUE, "o"),
    "curve": (GREEN, "s"),
    "bridge": (VERMILION, "D"),
    # As what they go on from or to, with another marker.
    "cascade": (BLUE, "X"),
    "bridge_cascade": (VERMILION, "X"),
    "student_cascade": (PURPLE, "X"),
}
OTHERS = (
    *((PURPLE, "^"), (ORANGE, "v"), (SKY, "P"), (PURPLE, "<"), (ORANGE, ">"), (SKY, "p")),
    *((PURPLE, "h"), (ORANGE, "d"), (SKY, "8"), (PURPLE, "v"), (ORANGE, "^"), (SKY, "<")),
)
SEQUENTIAL = "cividis"

_TAG = re.compile(r"<[^>]*>")
_ATTRIBUTE = re.compile(r'(?<=\s)([\w:-]+)="([^"]*)"')
_SETTINGS = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text: small, searchable, in the page's font
    "svg.hashsalt": "bridge_tf",  # for reproducible files
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "grid.linewidth": 0.6,
    "grid.alpha": 0.5,
    "legend.frameon": False,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor"), INK),
    **dict.fromkeys(("xtick.color", "ytick.color", "axes.titlecolor"), INK),
    "grid.color": FAINT,
}


def styled(draw):
    """Lets a function draw in the house style."""

    @functools.wraps(draw)
    def in_style(*args, **kwargs):
        import matplotlib

        with matplotlib.rc_context(_SETTINGS):
            return draw(*args, **kwargs)

    return in_style


def figure(width: float = 6.4, height: float = 4.0, rows: int = 1, **options):
    """A figure in inches and its axes (an array if there are several), for `styled` functions."""
    from matplotlib.figure import Figure

    # pyplot would keep every figure and look for a display.
    chart = Figure(figsize=(width, height), layout="constrained")
    return chart, chart.subplots(rows, **options)


def plain(text: str) -> str:
    """A text of the data for charts: `printable`, without formulas between dollar signs."""
    return printable(text).replace("$", r"\$")


def loss_axis(axes, values) -> None:
    """Makes the y-axis of a loss logarithmic if its values span more than a factor of 20."""
    if min(values) > 0 and max(values) > 20 * min(values):
        axes.set_yscale("log")


@styled
def to_svg(chart, title: str) -> str:
    """A figure as an SVG element in placeholder colours, with a title for screen readers."""
    text = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with warnings.catch_warnings():
        # Letters that matplotlib's font lacks; the page's fonts have them.
        warnings.filterwarnings("ignore", "Glyph .* missing")
        chart.savefig(text, format="svg", transparent=True, metadata=metadata)
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    # The title in the elements' ids makes them unique on a page.
    name = re.sub(r"\W+", "-", title.lower()).strip("-")

    def renamed(attribute: str, value: str) -> str:
        if attribute == "id":
            return f"{name}-{value}"
        return re.sub(r"^#" if attribute.endswith("href") else r"(?<=url\()#", f"#{name}-", value)

    svg = _changed(svg, renamed)
    label = html.escape(printable(title), quote=True)
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)


def for_page(svg: str) -> str:
    """An SVG from `to_svg` for a page that sets --ink and --faint, in the page's width."""
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*" height="[^"]*"', r"\1", svg, count=1)
    return _painted(svg, {INK: "var(--ink)", FAINT: "var(--faint)"})


def for_file(svg: str) -> str:
    """An SVG from `to_svg` as a file of its own, on white."""
    view = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    paper = f'<rect width="{view[1]}" height="{view[2]}" fill="#ffffff"/>'
    end = svg.index(">") + 1
    header = '<?xml version="1.0" encoding="utf-8"?>\n'
    colours = {INK: "#1b1b1b", FAINT: "#b4b4b4"}
    return header + _painted(svg[:end] + paper + svg[end:], colours)


def _painted(svg: str, colours: dict[str, str]) -> str:
    def painted(attribute: str, value: str) -> str:
        if attribute in ("style", "fill", "stroke"):
            for placeholder, colour in colours.items():
                value = value.replace(placeholder, colour)
        return value

    return _changed(svg, painted)


def _changed(svg: str, change: Callable[[str, str], str]) -> str:
    """The SVG with `change(attribute, value)` for each attribute's value."""

    def attribute(found: re.Match) -> str:
        return f'{found[1]}="{change(found[1], found[2])}"'

    return _TAG.sub(lambda tag: _ATTRIBUTE.sub(attribute, tag[0]), svg)
