"""A headless Chromium for tests of pages, driven by Selenium; nothing of it goes online.

    from tests.browser import browser  # noqa: F401  (a fixture, one Chromium a module)

    def test_page(browser, tmp_path):
        browser.view(width=390, height=844, phone=True, dark=True)
        browser.open((tmp_path / "report.html").as_uri())
        assert browser.js("return document.documentElement.scrollWidth") <= 390
        browser.check_quiet()

`browser.driver` is the Selenium driver, for `find_element`, `ActionChains` and the like. Debian's
packages are chromium and chromium-driver. Where they are missing the fixture skips the test, or
fails it if the environment variable CI is set.
"""

import base64
import contextlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator

import pytest
from selenium import webdriver
from selenium.webdriver.support.ui import WebDriverWait

# In this order: the browser, and the program that drives it.
_PROGRAMS = ("chromium", "chromedriver")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-proxy-server",
    "--force-color-profile=srgb",
)


class Browser:
    """A running Chromium with one page.

    Attributes:
        driver: the Selenium driver.
        url: what was opened last.
        messages: what the page has written to the console, as dicts of "level" (INFO, WARNING,
            SEVERE) and "message"; what it can't load is among them.
        requested: the addresses that the page has asked for, itself first.
    """

    def __init__(self, driver: webdriver.Chrome):
        self.driver = driver
        self.url = ""
        self._messages: list[dict] = []
        self._requested: list[str] = []

    def open(self, url: str) -> None:
        """Loads a page; `messages` and `requested` start anew."""
        self.js("window.stop()")
        self._read_logs()
        self._messages.clear()
        self._requested.clear()
        self.url = url
        self.driver.get(url)

    def view(
        self, width: int = 1280, height: int = 900, phone: bool = False, dark: bool = False
    ) -> None:
        """Sets the size of the view in CSS pixels, and which colours the user prefers.

        Args:
            phone: whether it is a touch screen of two device pixels to each of CSS.
        """
        screen = {"width": width, "height": height}
        screen |= {"deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.driver.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": phone})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})

    def js(self, script: str, *arguments):
        """What a script returns; a promise is waited for. `arguments` are its `arguments`."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, condition: str | Callable, seconds: float = 20):
        """Waits until a JavaScript expression, or a function of this object, gives what is true."""

        def met(driver):
            return self.js(f"return {condition}") if isinstance(condition, str) else condition(self)

        return WebDriverWait(self.driver, seconds, poll_frequency=0.05).until(met, condition)

    def screenshot(self, path: pathlib.Path, whole: bool = False) -> None:
        """Writes a PNG of the view, or of the whole page at the view's width."""
        options = {"format": "png", "captureBeyondViewport": whole}
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", options)
        path.write_bytes(base64.b64decode(shot["data"]))

    @property
    def messages(self) -> list[dict]:
        self._read_logs()
        return list(self._messages)

    @property
    def requested(self) -> list[str]:
        self._read_logs()
        return list(self._requested)

    def check_quiet(self) -> None:
        """Asserts that the page met no error and asked nobody but its own server, or no server.

        Warnings are in `messages`.
        A page of a file may ask for files and for data in its own text only.
        """
        assert [message for message in self.messages if message["level"] == "SEVERE"] == []
        scheme, _, rest = self.url.partition("://")
        own = "file:///" if scheme == "file" else f"{scheme}://{rest.partition('/')[0]}/"
        # blob: addresses name what the page itself has made.
        assert [u for u in self.requested if not u.startswith((own, "data:", "blob:"))] == []
        assert self.requested, "the log of requests is empty, so that it shows nothing"

    def _read_logs(self) -> None:
        self._messages += self.driver.get_log("browser")
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self._requested.append(event["params"]["request"]["url"])


@contextlib.contextmanager
def running_browser() -> Iterator[Browser]:
    """Starts a Chromium, and ends it. Skips the test, or under CI fails, where there is none."""
    found = [shutil.which(program) for program in _PROGRAMS]
    if None in found:
        missing = " and ".join(p for p, f in zip(_PROGRAMS, found, strict=True) if f is None)
        why = f"{missing} not found; install the packages chromium and chromium-driver"
        pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    options = webdriver.ChromeOptions()
    options.binary_location, driver = found
    for flag in _FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    # With the driver's path given, Selenium looks for none to download.
    driver = webdriver.Chrome(options, webdriver.ChromeService(executable_path=driver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for the tests of a module, at first 1280×900 and light."""
    with running_browser() as running:
        running.view()
        yield running
