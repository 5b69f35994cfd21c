"""Runs the lines of a JavaScript runtime in headless Chromium, from a server on this machine."""

import functools
import http.server
import json
import pathlib
import shutil
import threading
import time

import numpy as np

from benchmarks.runtimes.harness import ROUNDS, of_base, ratio_of, scores
from benchmarks.runtimes.table import Runtime

_PAGE = pathlib.Path(__file__).with_name("page.html")
_SECONDS = 300
_SCRIPTS = {
    "@tensorflow/tfjs-core": "dist/tf-core.min.js",
    "@tensorflow/tfjs-backend-cpu": "dist/tf-backend-cpu.min.js",
    "@tensorflow/tfjs-tflite": "dist/tf-tflite.min.js",
}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def run_in_browser(runtime: Runtime, modules: pathlib.Path, folder: pathlib.Path) -> dict:
    """What harness.py tells of a runtime in Python; `modules` is its folder node_modules."""
    site = folder / f"site_{runtime.key}"
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir()
    (site / "node_modules").symlink_to(modules.resolve())
    for path in folder.glob("*.tflite"):
        shutil.copy(path, site)
    with np.load(folder / "images.npz") as given:
        images, wanted = given["images"], given["probabilities"]
    rows = images.reshape(len(images), -1).tolist()
    (site / "images.json").write_text(json.dumps({"images": rows}))
    (site / "index.html").write_text(_page(runtime))
    found = _opened(site)
    if "error" in found:
        raise RuntimeError(f"{runtime.name}: {found['error']}")
    versions = {
        name: json.loads((modules / name / "package.json").read_text())["version"]
        for name in runtime.of_versions
    }
    predicted = np.array(found["predicted"], "float32")
    return {**scores(predicted, wanted), **ratio_of(found["times"]), "versions": versions}


def _page(runtime: Runtime) -> str:
    lines = runtime.load.splitlines()
    imports = [line for line in lines if line.startswith("import ")]
    loading = [line for line in lines if '"model' in line]
    shared = [line for line in lines if line not in imports + loading]
    load = "\n".join(loading)
    scripts = [
        f'<script src="./node_modules/{name}/{_SCRIPTS[name]}"></script>'
        for name in _SCRIPTS
        if name in runtime.packages
    ]
    parts = {
        "SCRIPTS": "\n".join(scripts),
        "NUMBER_OF_ROUNDS": str(ROUNDS),
        "IMPORTS": "\n".join(imports),
        "SHARED": "\n".join(shared),
        "LOAD_OF_BASE": of_base(load),
        "LOAD": load,
        "CALL": runtime.call,
    }
    page = _PAGE.read_text(encoding="utf-8")
    for name, text in parts.items():
        page = page.replace(name, text)
    return page


def _opened(site: pathlib.Path) -> dict:
    from selenium import webdriver

    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium") or ""
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--no-proxy-server"):
        options.add_argument(flag)
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    driver = webdriver.Chrome(options, service)
    try:
        driver.get(f"http://127.0.0.1:{server.server_port}/index.html")
        end = time.monotonic() + _SECONDS
        while (found := driver.execute_script("return self.result")) is None:
            if time.monotonic() > end:
                raise RuntimeError(f"no answer after {_SECONDS} s; {driver.get_log('browser')}")
            time.sleep(0.2)
        return found
    finally:
        driver.quit()
        server.shutdown()
