"""report.html as a person meets it: opened from the disk in a browser."""

import json
import time

import pytest

from bridge_tf.report.figures import draw_figures
from bridge_tf.report.html import render_html
from tests.axe import VIEWS as VIEWS_OF_AXE
from tests.axe import violations
from tests.browser import browser  # noqa: F401  (a fixture)
from tests.conftest import REPOSITORY
from tests.report.examples import CONFIG, make
from tests.report.test_html import PLANE

VIEWS = {
    "desktop": {},
    "desktop, dark": {"dark": True},
    "phone": {"width": 390, "height": 844, "phone": True},
    "phone, dark": {"width": 390, "height": 844, "phone": True, "dark": True},
}


@pytest.fixture(scope="module")
def run(smoke_run):
    return smoke_run(REPOSITORY / "configs" / "digits.flags")


@pytest.mark.integration
@pytest.mark.parametrize("view", VIEWS)
def test_the_page_of_a_run(browser, run, view):  # noqa: F811
    browser.view(**VIEWS[view])
    browser.open((run.work / "report.html").as_uri())
    browser.check_quiet()
    # Nothing but itself, and the pictures in its text.
    assert [url for url in browser.requested if not url.startswith("data:")] == [browser.url]
    # Tables scroll in their own boxes; the page never does sideways.
    assert browser.js("return document.documentElement.scrollWidth <= innerWidth")
    figures = json.loads((run.work / "manifest.json").read_text())["files"]["report.html"][
        "figures"
    ]
    drawn = browser.js(
        "return [...document.querySelectorAll('figure svg')]"
        ".map(svg => svg.getBoundingClientRect().width)"
    )
    assert len(drawn) == len(figures) and min(drawn) > 250
    ink, paper = browser.js(
        "const s = getComputedStyle(document.body);"
        "const text = document.querySelector('figure svg text');"
        "return [getComputedStyle(text).fill, s.backgroundColor]"
    )
    assert ink == ("rgb(230, 230, 230)" if "dark" in view else "rgb(27, 27, 27)")
    assert paper == ("rgb(20, 23, 26)" if "dark" in view else "rgb(255, 255, 255)")


@pytest.mark.integration
def test_the_page_says_what_the_report_says(browser, run):  # noqa: F811
    browser.view()
    browser.open((run.work / "report.html").as_uri())
    rows = browser.js(
        "return [...document.querySelector('#comparison tbody').rows]"
        ".map(tr => [...tr.cells].map(td => td.textContent))"
    )
    headings = browser.js(
        "return [...document.querySelectorAll('#comparison thead th')].map(th => th.textContent)"
    )
    place = headings.index("NLL")
    report = json.loads((run.work / "report.json").read_text())
    assert [(row[0], row[place]) for row in rows] == [
        (row["name"], f"{row['nll']:.4f}") for row in report["ensembles"]
    ]
    pictures = browser.js(
        "return [...document.querySelectorAll('.pictures img')]"
        ".map(img => [img.complete, img.naturalWidth])"
    )
    assert pictures and all(picture == [True, 8] for picture in pictures)


@pytest.fixture
def made_up(tmp_path):
    """The address of a page with all its parts, of made-up predictions."""
    report, details, _ = make(tmp_path, classes=10)
    page = render_html(report, details, CONFIG, draw_figures(report, details, [PLANE]))
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    return path.as_uri()


@pytest.mark.integration
def test_axe_finds_nothing(browser, made_up):  # noqa: F811
    browser.open(made_up)
    assert {view: violations(browser, *view) for view in VIEWS_OF_AXE} == {
        view: [] for view in VIEWS_OF_AXE
    }


@pytest.mark.integration
def test_on_paper_nothing_is_cut_off_or_closed(browser, made_up):  # noqa: F811
    browser.view(width=1046)  # A4 turned, less its margins
    media = {"media": "print", "features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    browser.open(made_up)
    closed = "return [...document.querySelectorAll('details li, details td')].map(%s)"
    closed %= "node => node.checkVisibility({contentVisibilityAuto: true})"
    assert not any(browser.js(closed))
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    wide = "return [...document.querySelectorAll('.scroll, .scroll > table')]"
    widths = browser.js(f"{wide}.map(box => [box.scrollWidth, getComputedStyle(box).overflowX])")
    assert widths and all(width <= 1046 and shown == "visible" for width, shown in widths)
    opened = browser.js(closed)
    assert opened and all(opened)
    assert browser.js("return getComputedStyle(document.body).color") == "rgb(27, 27, 27)"


@pytest.mark.integration
def test_on_a_phone_accuracy_and_nll_come_first(browser, made_up):  # noqa: F811
    order = (
        "return [...document.querySelectorAll('.compared thead th')].sort((a, b) => "
        "a.getBoundingClientRect().left - b.getBoundingClientRect().left).map(th => th.textContent)"
    )
    browser.view()
    browser.open(made_up)
    assert browser.js(order)[:3] == ["ensemble", "members", "FLOPs ×"]
    browser.view(**VIEWS["phone"])
    assert browser.js(order)[:5] == ["ensemble", "accuracy %", "NLL", "cal. NLL", "members"]
    # Cells stand below their headings.
    places = (
        "return ['thead', 'tbody'].map(part => [...document.querySelector(`.compared ${part} tr`)"
        ".cells].map(cell => cell.getBoundingClientRect().left))"
    )
    heads, cells = browser.js(places)
    assert heads == cells


@pytest.mark.integration
def test_on_a_phone_texts_can_be_read_and_tables_show_that_they_go_on(browser, made_up):  # noqa: F811
    browser.view(**VIEWS["phone"])
    browser.open(made_up)
    sizes = browser.js(
        "return [...document.querySelectorAll('figure svg')].flatMap(svg => "
        "[...svg.querySelectorAll('text')].map(text => parseFloat(getComputedStyle(text).fontSize)"
        " * svg.getBoundingClientRect().width / svg.viewBox.baseVal.width))"
    )
    assert min(sizes) > 8.5  # pixels
    table, shown, images, attached = browser.js(
        "const box = document.querySelector('#comparison .scroll'), s = getComputedStyle(box);"
        "return [box.scrollWidth, box.clientWidth, s.backgroundImage, s.backgroundAttachment]"
    )
    assert table > shown
    # Shadows that stay, under covers that scroll away.
    assert images.count("linear-gradient") == 4
    assert attached == "local, local, scroll, scroll"


@pytest.mark.slow
def test_ten_thousand_images_of_a_hundred_classes(browser, tmp_path):  # noqa: F811
    start = time.perf_counter()
    report, details, _ = make(tmp_path, images=10_000, classes=100, size=64)
    for paths in (report["curves"], details["lines"]):
        paths[:] = [{**paths[0], "curve": [0, k]} for k in range(1, 11)]
    history = {"loss": [(k, 1 / k) for k in range(1, 201)]}
    details["histories"] = {f"modes/{k}": history for k in range(11)}
    page = render_html(report, details, CONFIG, draw_figures(report, details))
    made = time.perf_counter()
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    browser.view()
    browser.open(path.as_uri())
    browser.check_quiet()
    opened = browser.js("return performance.getEntriesByType('navigation')[0].loadEventEnd")
    size = path.stat().st_size
    print(f"{size / 1e6:.2f} MB, made in {made - start:.1f} s, opened in {opened:.0f} ms")
    assert size < 5e6
