"""The demo's page in a browser, against Python's LiteRT."""

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bridge_tf.data.image_io import read_image
from tests.axe import VIEWS, violations
from tests.browser import browser  # noqa: F401
from tests.demo.page import (
    answers,
    check,
    close,
    drop,
    element,
    keys,
    opened,
    pixels,
    png,
    set_range,
    shown,
)

pytestmark = pytest.mark.integration

# The third picture of the digits' test split that is a 3.
CLASS, NTH = 3, 2


def test_a_digit_drawn_by_keyboard_is_answered_as_in_python(page, exported, digits, lite):
    images, labels = digits
    image = images[labels == CLASS][NTH]
    element(page, "pad").send_keys(Keys.HOME)
    for ink in np.unique(image[image > 0]):
        set_range(page, "ink", ink)
        pressed = []
        for y, row in enumerate(image[..., 0] == ink):
            for x in np.flatnonzero(row):
                pressed += [Keys.HOME, *[Keys.ARROW_RIGHT] * x, Keys.SPACE]
            pressed += [Keys.ARROW_DOWN] * (y < 7)
        keys(page, *pressed, *[Keys.ARROW_UP] * 7)
    check(page, lite, exported.parts, image)
    assert element(page, "cell").text.startswith("row 1, column ")
    assert len({round(p, 3) for p in answers(page)["at"]["probabilities"]}) > 3


def test_axe_finds_nothing(page):
    empty = {view: violations(page, *view) for view in VIEWS}
    page.driver.find_element(By.CSS_SELECTOR, "#examples button").click()
    page.wait("demo.results.base")
    assert answers(page)["base"]
    answered = {view: violations(page, *view) for view in VIEWS}
    page.view()
    assert empty == answered == {view: [] for view in VIEWS}


def test_one_bridge_has_another_name_than_the_reports_ensemble(page):
    page.driver.find_element(By.CSS_SELECTOR, "#examples button").click()
    page.wait("demo.results.base")
    heads = page.js("return [...document.querySelectorAll('thead th')].map(th => th.textContent)")
    assert heads[1:4] == ["base", "1st bridge", "2nd bridge"]
    assert "(bridge_2 in the report)" in element(page, "members").text


def test_a_pointer_draws_and_undo_takes_back(page):
    box = element(page, "pad").rect
    cell = box["width"] / 8
    set_range(page, "ink", 200)
    set_range(page, "pen", 12)
    stroke = ActionChains(page.driver, duration=50)
    stroke.move_to_element_with_offset(element(page, "pad"), -3 * cell, 0.5 * cell).click_and_hold()
    stroke.move_by_offset(5 * cell, 0).release().perform()
    drawn = pixels(page).reshape(8, 8)
    # Along the middle of a row, as wide as a cell, with round ends.
    assert (drawn[4, 1:6] > 180).all() and (drawn[4] <= 200).all()
    assert drawn[:3].sum() == drawn[6:].sum() == 0
    element(page, "pad").click()
    assert pixels(page).sum() > drawn.sum()
    element(page, "undo").click()
    np.testing.assert_array_equal(pixels(page), drawn.ravel())
    element(page, "clear").click()
    assert pixels(page).sum() == 0
    element(page, "pad").send_keys(Keys.CONTROL, "z")
    np.testing.assert_array_equal(pixels(page), drawn.ravel())


def test_an_example_is_shown_with_its_true_class(page, exported, digits, lite):
    images, labels = digits
    buttons = page.driver.find_elements(By.CSS_SELECTOR, "#examples button")
    assert len(buttons) == 40
    buttons[4 * CLASS + NTH].click()
    page.wait("document.querySelector('.truth')")
    check(page, lite, exported.parts, images[labels == CLASS][NTH])
    picture = buttons[4 * CLASS + NTH].find_element(By.TAG_NAME, "img")
    assert picture.get_attribute("alt") == "Example 15, class digit 3"
    assert page.driver.find_element(By.CSS_SELECTOR, ".truth th").text == "digit 3 true"
    table = element(page, "table").text
    top = answers(page)["base"]["probabilities"]
    assert f"{100 * max(top):.1f} %" in table and f"digit {np.argmax(top)}" in table
    element(page, "pad").send_keys(Keys.DELETE)
    page.wait("!document.querySelector('.truth')")


def test_pictures_become_the_models_pixels(page, tmp_path):
    generator = np.random.default_rng(0)
    path = tmp_path / "colours.png"
    path.write_bytes(png(generator.integers(0, 256, (8, 8, 3)).astype("uint8")))
    element(page, "file").send_keys(str(path))
    page.wait("demo.pixels().some((value) => value > 0)")
    np.testing.assert_array_equal(pixels(page), read_image(path, channels=1).ravel())

    large = generator.integers(0, 256, (24, 40)).astype("uint8")
    before = pixels(page)
    drop(page, png(large), "large.png")
    page.wait(lambda page: not np.array_equal(pixels(page), before))
    averages = large.reshape(8, 3, 8, 5).mean(axis=(1, 3))
    # Rounding may go either way where a sum in float32 is a hair off a half.
    np.testing.assert_allclose(pixels(page), averages.ravel(), rtol=0, atol=0.5 + 1e-3)

    before = pixels(page)
    drop(page, b"no picture", "notes.txt")
    page.wait("!document.getElementById('error').hidden")
    assert element(page, "error").text == (
        "This can't be read as a picture; take a PNG, JPEG, GIF, BMP or WEBP file."
    )
    np.testing.assert_array_equal(pixels(page), before)
    drop(page, path.read_bytes(), "again.png")
    page.wait("document.getElementById('error').hidden")


def test_the_slider_moves_bridges_along_the_curve(page, exported, digits, lite):
    image = digits[0][7]
    drop(page, png(image[..., 0]), "digit.png")
    page.wait("demo.pixels().some((value) => value > 0)")
    seen = []
    for r in (0.0, 0.5, 1.0):
        set_range(page, "r", r)
        check(page, lite, exported.parts, image, r)
        assert element(page, "r-value").text == f"{r:.2f}"
        seen.append(answers(page)["bridges"])
    fixed, moving = (np.array([s[k]["probabilities"] for s in seen]) for k in (0, 1))
    assert np.ptp(fixed, axis=0).max() == 0
    assert np.ptp(moving, axis=0).max() > 0.01
    heads = [head.text for head in page.driver.find_elements(By.CSS_SELECTOR, "thead tr th")]
    assert "ensemble at r" in " ".join(heads)


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_shows_it_without_scrolling_sideways(browser, url, dark):  # noqa: F811
    for page in opened(browser, url):
        page.view(390, 844, phone=True, dark=dark)
        assert page.js("return document.documentElement.scrollWidth") <= 390
        assert element(page, "pad").rect["width"] > 150
        ground = page.js("return getComputedStyle(document.body).backgroundColor")
        assert ground == ("rgb(17, 21, 27)" if dark else "rgb(244, 246, 248)")


def test_everything_is_reached_and_works_by_keyboard(page):
    reached = []
    while name := page.js("return document.activeElement.id || document.activeElement.tagName"):
        if name != "BODY":
            reached.append(name)
            outline = "const s = getComputedStyle(document.activeElement.closest('.button') || "
            outline += "document.activeElement); return s.outlineStyle"
            assert page.js(outline) != "none", name
        if name == "BUTTON":
            break
        keys(page, Keys.TAB)
    assert reached == "pad ink pen undo clear file SUMMARY r table-box BUTTON".split()
    keys(page, Keys.ENTER)  # the first example
    page.wait("document.querySelector('.truth')")
    before = answers(page)["at"]["r"]
    element(page, "r").send_keys(Keys.ARROW_RIGHT)
    assert answers(page)["at"]["r"] == pytest.approx(before + 0.01)
    page.wait("document.getElementById('spoken').textContent.startsWith('base')")
    spoken = page.js("return document.getElementById('spoken').textContent")
    assert spoken.startswith("base: digit ") and "ensemble at r: digit " in spoken


def test_a_file_without_parts_shows_base_and_ensemble(browser, exported, serving, lite):  # noqa: F811
    with serving(exported.whole) as url:
        for page in opened(browser, url):
            assert not shown(page, "position") and not shown(page, "gallery")
            assert not shown(page, "members")
            element(page, "pad").send_keys(Keys.SPACE)
            found = answers(page)
            image = np.zeros((1, 8, 8, 1), "float32")
            image[0, 0, 0] = 255
            for name, signature in (("base", "base"), ("ensemble", "serving_default")):
                wanted = lite(exported.whole, signature, image=image)["probabilities"][0]
                close(found[name]["probabilities"], wanted)
            assert found["bridges"] == found["modes"] == [] and found["at"] is None
            heads = page.driver.find_elements(By.CSS_SELECTOR, "thead tr:first-child th")
            assert [head.text.strip("■ ") for head in heads] == ["class", "base", "ensemble"]


def test_colours_and_more_classes_than_fit(browser, exported, serving, lite, tmp_path):  # noqa: F811
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype("uint8")
    with serving(exported.colour) as url:
        for page in opened(browser, url):
            drop(page, png(image), "image.png")
            page.wait("demo.pixels().some((value) => value > 0)")
            np.testing.assert_array_equal(pixels(page), image.ravel())
            set_range(page, "colour", "#0a64ff")
            element(page, "pad").send_keys(Keys.SPACE)
            image[0, 0] = (10, 100, 255)
            np.testing.assert_array_equal(pixels(page), image.ravel())
            whole = lite(exported.colour, "serving_default", image=image[None].astype("float32"))
            wanted = whole["probabilities"][0]
            close(answers(page)["ensemble"]["probabilities"], wanted)
            names = page.driver.find_elements(By.CSS_SELECTOR, "tbody th")
            assert [name.text for name in names] == [str(k) for k in np.argsort(-wanted)[:10]]


def test_a_runtime_that_fails_is_told_on_the_page(browser, exported, serving, no_runtime):  # noqa: F811
    with serving(exported.whole, runtime=no_runtime) as url:
        browser.open(url)
        browser.js("return demo.ready")
        assert element(browser, "error").text.startswith("The demo can't run in this browser: ")
        assert not shown(browser, "status")
