"""Which input the demo's answers are of, when there is one."""

import io

import numpy as np
import pytest
from PIL import Image
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bridge_tf.data.image_io import read_image
from tests.browser import browser  # noqa: F401
from tests.demo.page import answers, check, drop, element, pixels, png, shown

pytestmark = pytest.mark.integration

# Lets the page go on to the engine's next image only when `release` is called.
GATE = """
const see = demo.engine.see.bind(demo.engine);
window.waiting = [];
demo.engine.see = async (pixels) => {
  await new Promise((release) => window.waiting.push(release));
  await see(pixels);
};
window.release = () => window.waiting.shift()();
"""
FAIL_ONCE = """
const see = demo.engine.see.bind(demo.engine);
demo.engine.see = async () => {
  demo.engine.see = see;
  throw new Error("out of memory");
};
"""
# Decodes the next picture only when `release` is called; `late` is a promise of it.
LATE_PICTURE = """
const decode = window.createImageBitmap;
window.createImageBitmap = (...given) => {
  window.createImageBitmap = decode;
  window.late = new Promise((release) => (window.release = release)).then(() => decode(...given));
  return window.late;
};
"""


def choose(page, k: int) -> None:
    page.driver.find_elements(By.CSS_SELECTOR, "#examples button")[k].click()


def true_classes(page) -> list[str]:
    return [row.text for row in page.driver.find_elements(By.CSS_SELECTOR, ".truth th")]


def is_empty(page) -> bool:
    text = element(page, "output").text
    return not shown(page, "table") and "%" not in text and "nats" not in text


def test_an_empty_pad_has_no_answers(page):
    hint = "Nothing is drawn yet. Draw on the pad, or choose a picture."
    assert is_empty(page) and element(page, "nothing").text == hint
    assert answers(page) == {}
    element(page, "r").send_keys(Keys.ARROW_RIGHT)
    assert answers(page) == {} and is_empty(page)

    element(page, "pad").send_keys(Keys.SPACE)
    assert answers(page)["base"] and not is_empty(page) and not shown(page, "nothing")
    element(page, "clear").click()
    assert answers(page) == {} and is_empty(page) and shown(page, "nothing")
    assert page.js("return document.getElementById('spoken').textContent") == hint

    element(page, "pad").send_keys(Keys.CONTROL, "z")
    assert answers(page)["base"] and not is_empty(page)
    element(page, "pad").send_keys(Keys.BACKSPACE)
    assert answers(page) == {} and is_empty(page)


def test_a_black_picture_is_answered(page, exported, lite):
    black = np.zeros((8, 8, 1), "uint8")
    drop(page, png(black[..., 0]), "black.png")
    page.wait("demo.results.base")
    check(page, lite, exported.parts, black)
    assert not is_empty(page) and not shown(page, "hint")


def test_answers_keep_the_true_class_of_their_input(page):
    page.js(GATE)
    choose(page, 0)
    page.wait("waiting.length")
    before = pixels(page)
    choose(page, 39)
    page.wait(lambda page: not np.array_equal(pixels(page), before))
    page.js("release()")
    page.wait("waiting.length")  # with the second, once the first is shown
    assert true_classes(page) == ["digit 0 true"]
    assert element(page, "output").get_attribute("aria-busy") == "true"
    page.js("release()")
    answers(page)
    assert true_classes(page) == ["digit 9 true"]
    assert element(page, "output").get_attribute("aria-busy") == "false"


def test_answers_that_come_after_clearing_are_not_shown(page):
    page.js(GATE)
    choose(page, 0)
    page.wait("waiting.length")
    element(page, "clear").click()
    page.js("release()")
    assert answers(page) == {} and is_empty(page)


def test_a_model_that_fails_leaves_no_answers_of_another_input(page, exported, digits, lite):
    choose(page, 0)
    page.wait("demo.results.base")
    page.js(FAIL_ONCE)
    choose(page, 4)
    page.wait("!document.getElementById('error').hidden")
    assert element(page, "error").text == "out of memory"
    assert is_empty(page) and element(page, "nothing").text == "No answer."
    element(page, "r").send_keys(Keys.ARROW_RIGHT)  # It is asked again.
    images, labels = digits
    check(page, lite, exported.parts, images[labels == 1][0], r=0.51)
    assert true_classes(page) == ["digit 1 true"]


def test_the_picture_that_was_chosen_last_is_shown(page, digits):
    page.js(LATE_PICTURE)
    choose(page, 0)
    page.wait("Boolean(window.release)")
    choose(page, 39)
    page.wait("document.querySelector('.truth')")
    wanted = pixels(page)
    page.js("release()")
    page.js("return late.then(() => new Promise((done) => setTimeout(done, 100)))")
    np.testing.assert_array_equal(pixels(page), wanted)
    assert true_classes(page) == ["digit 9 true"]


TURNED = [("JPEG", 6), ("PNG", 6), *(("WEBP", k) for k in range(1, 10))]


@pytest.mark.parametrize(("kind", "orientation"), TURNED)
def test_pictures_are_turned_upright_as_in_python(
    page, exported, digits, lite, tmp_path, kind, orientation
):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / "turned"
    # Twice as large as the model's, so that the sides differ: 16 × 8.
    digit = np.repeat(digits[0][5][..., 0], 2, axis=0)
    Image.fromarray(digit.astype("uint8")).save(path, kind, exif=exif, quality=95, lossless=True)
    drop(page, path.read_bytes(), "turned")
    page.wait("demo.results.base")
    upright = read_image(path, channels=1)
    rows, columns = (length // 8 for length in upright.shape[:2])
    assert (rows, columns) == ((1, 2) if 5 <= orientation <= 8 else (2, 1))
    found = upright.reshape(8, rows, 8, columns).mean(axis=(1, 3))
    np.testing.assert_allclose(pixels(page), found.ravel(), rtol=0, atol=0.5)

    written = io.BytesIO()
    Image.fromarray(digits[0][5][..., 0].astype("uint8")).save(
        written, kind, exif=exif, lossless=True
    )
    path.write_bytes(written.getvalue())
    page.js("demo.results = {}")
    drop(page, path.read_bytes(), "turned")
    page.wait("demo.results.base")
    check(page, lite, exported.parts, read_image(path, channels=1))


def test_members_are_told(browser, page, exported, serving):  # noqa: F811
    unknown = (
        "Ensemble, exported (bridge_2 in the report): the base and 2 bridges, at the r they were "
        "exported with."
    )
    assert element(page, "members").text == unknown
    with serving(exported.parts, positions=[0.2, 0.9]) as url:
        browser.open(url)
        browser.js("return demo.ready")
        assert element(browser, "members").text == (
            "Ensemble, exported (bridge_2 in the report): the base and 2 bridges, at r = 0.2, 0.9."
        )
    with serving(exported.colour) as url:
        browser.open(url)
        browser.js("return demo.ready")
        assert element(browser, "members").text == "Ensemble: the base."
