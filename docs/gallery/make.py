#!/usr/bin/env python3
"""Makes the pictures of the documentation again, from real runs.

    bin/train --flagfile=configs/digits.flags
    bin/evaluate --workdir=runs/digits --loss_plane --loss_plane_points=41
    bin/train --flagfile=configs/digits.flags --conditioned --workdir=runs/digits_r \\
      --export_name=digits_r
    docs/gallery/make.py --workdir=runs/digits --conditioned=runs/digits_r

Figures are copied from the first run; its page, the demo of the second run, and TensorBoard of the
first are photographed in a headless Chromium (see tests/browser.py for what that needs).
"""

import argparse
import contextlib
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

from PIL import Image

FOLDER = pathlib.Path(__file__).resolve().parent
REPOSITORY = FOLDER.parent.parent
FIGURES = ("quality_calibrated_nll", "curve_0-1", "loss_plane_0-1")
PHONE = {"width": 390, "height": 844, "phone": True}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workdir", type=pathlib.Path, required=True)
    parser.add_argument("--conditioned", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    for name in FIGURES:
        shutil.copyfile(arguments.workdir / "figures" / f"{name}.svg", FOLDER / f"{name}.svg")
    sys.path.insert(0, str(REPOSITORY))
    from tests.browser import running_browser

    with running_browser() as browser:
        page = (arguments.workdir / "report.html").resolve().as_uri()
        photograph(browser, page, "report", width=1100, height=900)
        photograph(browser, page, "report_phone", dark=True, **PHONE)
        with demo(arguments.conditioned) as address:
            for name, view in (
                ("demo", {"width": 1100, "height": 820}),
                ("demo_phone", {"dark": True, **PHONE}),
            ):
                photograph(browser, address, name, prepare=show_example, **view)
        with tensorboard(arguments.workdir / "logs") as address:
            view = {"width": 1500, "height": 900}
            photograph(browser, address, "tensorboard", prepare=close_settings, **view)


def photograph(browser, url: str, name: str, prepare=None, **view) -> None:
    """Writes NAME.png, of 256 colours, which take a third of the bytes."""
    browser.view(**view)
    browser.open(url)
    if prepare:
        prepare(browser)
    path = FOLDER / f"{name}.png"
    browser.screenshot(path)
    Image.open(path).convert("RGB").quantize(256).save(path, optimize=True)
    print(path.relative_to(REPOSITORY), path.stat().st_size, "bytes")


def show_example(browser) -> None:
    """Shows the demo the example that its ensemble is least sure of."""
    browser.wait("window.demo?.engine && document.querySelector('#examples button')")
    number = browser.js("return document.querySelectorAll('#examples button').length")
    entropies = [entropy_of(browser, k) for k in range(number)]
    entropy_of(browser, entropies.index(max(entropies)))
    browser.js("document.activeElement.blur(); window.scrollTo(0, 0)")


def entropy_of(browser, k: int) -> float:
    """Chooses an example; the entropy of the ensemble's prediction, in nats."""
    browser.js("window.before = window.demo.results")
    browser.js(f"document.querySelectorAll('#examples button')[{k}].click()")
    browser.wait("window.demo.results !== window.before && window.demo.results.bridges?.length")
    return browser.js("return window.demo.results.ensemble.entropy")


def close_settings(browser) -> None:
    """Waits until TensorBoard shows its charts, and gives them the room of its settings."""
    browser.wait("document.querySelector('scalar-card canvas, scalar-card svg')", 60)
    browser.js("document.querySelector('.settings-button')?.click()")
    time.sleep(3)


@contextlib.contextmanager
def demo(workdir: pathlib.Path):
    """The address of a running bin/demo."""
    command = [sys.executable, REPOSITORY / "bin" / "demo", f"--workdir={workdir}", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process.stdout.readline().split()[-1]
        finally:
            process.terminate()


@contextlib.contextmanager
def tensorboard(logs: pathlib.Path):
    """The address of a running TensorBoard."""
    address = "http://127.0.0.1:6899/"
    command = [sys.executable, "-m", "tensorboard.main", f"--logdir={logs}", "--port=6899"]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(120):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(address).close()
                    break
                time.sleep(0.5)
            yield address
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
