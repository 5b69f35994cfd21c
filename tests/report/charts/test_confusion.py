import xml.etree.ElementTree as ET

import pytest

from bridge_tf.report.charts import confusion, style

CELLS = {"name": "single", "cells": [[0, 0, 4], [0, 1, 2], [1, 1, 1234], [2, 2, 3], [2, 0, 1]]}


def texts_of(names):
    svg = style.to_svg(*confusion.draw(CELLS, names, 0.5))
    found = ET.fromstring(style.for_file(svg).encode()).iter()
    return [element.text for element in found if element.tag.endswith("text")]


def test_names_of_no_text_are_escaped():
    texts = texts_of(["bell\x07", "broken \udce9", "two\nlines"])
    for name in (r"'bell\x07'", r"'broke…dce9'", r"'two\nlines'"):
        assert texts.count(name) == 2, texts  # once an axis


@pytest.mark.parametrize("number", [3, 12, 30])
def test_fonts_fit_cells_and_can_be_read(number):
    size = confusion._font_size(number, 1)
    assert 8 <= size <= 10
    assert confusion._font_size(number, 4) * 4 * 0.6 < 72 * confusion._SIDE / number


def test_long_names_keep_both_ends():
    texts = texts_of(["class number 11", "class number 12", "twelve chars"])
    for name in ("class …er 11", "class …er 12", "twelve chars"):
        assert texts.count(name) == 2, texts


def test_counts_are_all_there():
    texts = texts_of(["a", "b", "c"])
    for _, _, images in CELLS["cells"]:
        assert str(images) in texts
