import xml.etree.ElementTree as ET

import pytest

from bridge_tf.report.charts import style


@style.styled
def draw(colour=style.BLUE):
    chart, axes = style.figure(3, 2)
    axes.plot([0, 1], [1, 2], color=colour, label="x < y & z")
    axes.legend()
    return chart


TITLE = 'loss of "a" & <b>'


def test_the_same_figure_gives_the_same_bytes():
    assert style.to_svg(draw(), TITLE) == style.to_svg(draw(), TITLE)
    assert style.to_svg(draw(), TITLE) != style.to_svg(draw(style.ORANGE), TITLE)


def test_a_page_sets_the_colours_of_text_and_a_file_has_its_own():
    svg = style.to_svg(draw(), TITLE)
    page, file = style.for_page(svg), style.for_file(svg)
    for text in (page, file):
        assert style.INK not in text and style.FAINT not in text
        assert style.BLUE in text
        assert ">x &lt; y &amp; z<" in text  # text, not shapes of letters
    assert "var(--ink)" in page and "var(--faint)" in page
    assert "var(" not in file and "#ffffff" in file
    # Nothing is black for being forgotten: legends are in ink too.
    assert "#000000" not in page


def test_both_are_well_formed_and_named():
    svg = style.to_svg(draw(), TITLE)
    for text in (style.for_page(svg), style.for_file(svg)):
        root = ET.fromstring(text)
        assert root.get("aria-label") == TITLE and root.get("role") == "img"
        assert root.get("viewBox") == "0 0 216 144"  # 3 by 2 inches in points
    assert ET.fromstring(style.for_page(svg)).get("width") is None
    assert ET.fromstring(style.for_file(svg)).get("width") == "216pt"


def test_figures_on_one_page_share_no_ids():
    first, second = (style.to_svg(draw(), title) for title in ("one", "two"))
    names = [
        {element.get("id") for element in ET.fromstring(svg).iter() if element.get("id")}
        for svg in (first, second)
    ]
    assert names[0] and not names[0] & names[1]
    # What is referred to is there.
    root = ET.fromstring(first)
    used = {e.get("{http://www.w3.org/1999/xlink}href") for e in root.iter()} - {None}
    assert used and used <= {f"#{name}" for name in names[0]}


@pytest.mark.parametrize(
    ("values", "scale"), [([0.1, 1], "linear"), ([0.01, 1], "log"), ([0, 9], "linear")]
)
def test_losses_of_several_decades_get_a_logarithmic_axis(values, scale):
    _, axes = style.styled(style.figure)(3, 2)
    style.loss_axis(axes, values)
    assert axes.get_yscale() == scale


@pytest.mark.parametrize("text", ["url(#x)", 'id="y"', 'href="#z"', style.INK, style.FAINT])
def test_texts_are_left_as_they_are(text):
    chart = draw()
    chart.axes[0].set_xlabel(f'{text} style="fill: {style.INK}"')
    svg = style.to_svg(chart, f"a {text}")
    for shown in (svg, style.for_page(svg), style.for_file(svg)):
        root = ET.fromstring(shown)
        texts = [element.text for element in root.iter() if element.tag.endswith("text")]
        assert f'{text} style="fill: {style.INK}"' in texts
        assert root.get("aria-label") == f"a {text}"


def test_titles_and_names_of_no_text_are_escaped():
    assert style.plain("a\x00$b$") == r"'a\x00\$b\$'"
    svg = style.for_file(style.to_svg(draw(), "a\x00"))
    assert ET.fromstring(svg.encode()).get("aria-label") == r"'a\x00'"


def test_a_page_takes_the_size_out_of_the_first_tag_only():
    svg = style.to_svg(draw(), "one")
    inner = svg.replace("</svg>", '<svg width="1" height="2"/></svg>')
    assert '<svg width="1" height="2"/>' in style.for_page(inner)
    assert style.for_page(style.for_page(svg)) == style.for_page(svg)
