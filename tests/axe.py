"""axe, Deque's checker of accessibility, on pages in the `browser` of tests/browser.py.

npm fetches it once, to the cache; tests skip, or fail if CI is set, where it can't be had.
"""

import os
import pathlib
import subprocess

import pytest
from filelock import FileLock

VERSION = "4.14.1"
# Widths in CSS pixels, and whether the user prefers dark.
VIEWS = [(width, dark) for width in (320, 390, 1280) for dark in (False, True)]


def violations(browser, width: int, dark: bool) -> list[str]:
    """What axe finds on the page that is open, at a width: rule, element and why."""
    browser.view(width=width, height=844, phone=width < 1000, dark=dark)
    browser.js(_script())
    found = browser.js("return axe.run().then(({violations}) => violations)")
    return [
        f"{rule['id']}: {node['html'][:200]}: {node['failureSummary']}"
        for rule in found
        for node in rule["nodes"]
    ]


def _script() -> str:
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "bridge_tf" / f"axe-core-{VERSION}"
    script = folder / "node_modules/axe-core/axe.min.js"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        if not script.exists():
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
            try:
                subprocess.run([*command, f"axe-core@{VERSION}"], cwd=folder, check=True)
            except (OSError, subprocess.CalledProcessError) as error:
                why = f"axe can't be fetched: {error}"
                pytest.fail(why) if os.environ.get("CI") else pytest.skip(why)
    return script.read_text(encoding="utf-8")
