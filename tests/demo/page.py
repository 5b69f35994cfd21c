"""What tests do with the demo's page, and its answers against Python's LiteRT."""

import io

import numpy as np
from PIL import Image
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

TOLERANCE = 1e-4


def opened(running, url):
    running.view()
    running.open(url)
    running.js("return demo.ready")
    assert not shown(running, "error") and not shown(running, "status")
    yield running
    running.check_quiet()


def element(page, name):
    return page.driver.find_element(By.ID, name)


def shown(page, name) -> bool:
    return element(page, name).is_displayed()


def keys(page, *pressed) -> None:
    ActionChains(page.driver, duration=0).send_keys(*pressed).perform()


def set_range(page, name, value) -> None:
    page.js(
        "const [name, value] = arguments, range = document.getElementById(name);"
        "range.value = value; range.dispatchEvent(new Event('input', {bubbles: true}))",
        name,
        str(value),
    )


def pixels(page) -> np.ndarray:
    return np.array(page.js("return [...demo.pixels()]"), "float32")


def answers(page) -> dict:
    return page.js("return demo.idle().then(() => demo.results)")


def check(page, lite, path, image, r=0.5) -> None:
    """The page's answers are those of Python's LiteRT for the image."""
    np.testing.assert_array_equal(pixels(page), image.ravel())
    image = image.astype("float32")[np.newaxis]
    found = answers(page)
    taps = lite(path, "taps", image=image)
    feature, r = taps["feature_0"], np.full((1, 1), r, "float32")
    bridges = [
        lite(path, "bridge_0", feature_0=feature)["probabilities"][0],
        lite(path, "bridge_1", feature_0=feature, r=r)["probabilities"][0],
    ]
    base = lite(path, "base", image=image)["probabilities"][0]
    close(found["base"]["probabilities"], base)
    close(found["modes"], taps["probabilities"][0])
    assert len(found["bridges"]) == 2
    for bridge, wanted in zip(found["bridges"], bridges, strict=True):
        close(bridge["probabilities"], wanted)
    whole = lite(path, "serving_default", image=image)
    for name in ("probabilities", "entropy", "disagreement"):
        close(found["ensemble"][name], np.squeeze(whole[name]))
    members = np.array([base, *bridges])
    mean = members.mean(axis=0)
    entropy = -np.sum(mean * np.log(mean))
    close(found["at"]["probabilities"], mean)
    close(found["at"]["entropy"], entropy)
    own = -np.sum(members * np.log(members), axis=1).mean()
    close(found["at"]["disagreement"], entropy - own)


def close(found, wanted) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=TOLERANCE)


def drop(page, content: bytes, name: str) -> None:
    page.js(
        "const [bytes, name] = arguments, data = new DataTransfer();"
        "data.items.add(new File([Uint8Array.from(bytes)], name));"
        "const event = {bubbles: true, cancelable: true, dataTransfer: data};"
        "document.getElementById('pad').dispatchEvent(new DragEvent('drop', event))",
        list(content),
        name,
    )


def png(array: np.ndarray) -> bytes:
    written = io.BytesIO()
    Image.fromarray(array).save(written, "PNG")
    return written.getvalue()
