"""LiteRT's web runtime: its folder, and fetching it once."""

import os
import pathlib
import re
import shutil
import subprocess

from bridge_tf.utils.errors import InputError
from bridge_tf.utils.locks import locked
from bridge_tf.utils.terminal import logger

VERSION = "2.5.3"
# In a folder of the runtime.
_CORE, _UTILS = "node_modules/@litertjs/core", "node_modules/@litertjs/wasm-utils"
_NEEDED = (f"{_CORE}/dist/index.js", f"{_UTILS}/dist/index.js")
_NEEDED += tuple(f"{_CORE}/wasm/litert_wasm_internal.{ending}" for ending in ("js", "wasm"))

_PACKAGES = pathlib.Path(__file__).parent / "runtime"
_NPM = "ci --ignore-scripts --no-audit --no-fund --prefer-offline --fetch-retries=1".split()
_MINUTES = 10
_BY_HAND = f"run `npm install @litertjs/core@{VERSION}` in a folder and name it by `runtime=FOLDER`"


def runtime_folder(given: str = "") -> pathlib.Path:
    """A folder with the runtime in node_modules; npm fetches it if it isn't in the cache yet.

    Args:
        given: a folder that has it already. Default: one in the user's cache.

    Raises:
        InputError: it isn't in the folder, or can't be fetched.
    """
    if given:
        folder = pathlib.Path(given)
        if missing := _missing(folder):
            raise InputError(f"`runtime`: {folder} has no {missing[0]}; {_BY_HAND}")
        return folder
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "bridge_tf" / f"litert-web-{VERSION}"
    if _missing(folder):
        _fetch(folder)
    return folder


def runtime_files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """The files for the browser, by their paths below the runtime's address."""
    files = {"core.js": folder / _NEEDED[0], "wasm-utils.js": folder / _NEEDED[1]}
    wasm = [path for path in (folder / _CORE / "wasm").iterdir() if path.suffix in (".js", ".wasm")]
    return files | {f"wasm/{path.name}": path for path in wasm}


def _missing(folder: pathlib.Path) -> list[str]:
    return [name for name in _NEEDED if not (folder / name).is_file()]


def _fetch(folder: pathlib.Path) -> None:
    """Fetches the runtime in one process at a time; others wait for it."""
    npm = shutil.which("npm")
    if npm is None:
        raise InputError(
            "the demo needs LiteRT's web runtime, and npm to fetch it: install Node.js with npm, "
            f"or elsewhere {_BY_HAND}"
        )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"XDG_CACHE_HOME: can't write in {folder.parent} ({error.strerror}); set it to a "
            f"folder that can be written, or {_BY_HAND}"
        ) from error
    with locked(folder.parent, "XDG_CACHE_HOME", wait=True):
        if _missing(folder):
            logger.info(f"demo: fetching LiteRT's web runtime {VERSION} by npm, once, to {folder}")
            _install(npm, folder)


def _install(npm: str, folder: pathlib.Path) -> None:
    """Installs the runtime in a hidden folder beside its place, and renames it when it is whole."""
    hidden = folder.with_name(f".{folder.name}")
    try:
        for left in (hidden, folder):  # by a killed process, or damaged since
            shutil.rmtree(left, ignore_errors=True)
        hidden.mkdir()
        for path in _PACKAGES.glob("*.json"):
            shutil.copy(path, hidden)
        if why := _run_npm(npm, hidden) or ("it leaves files out" if _missing(hidden) else ""):
            raise InputError(
                f"npm can't fetch LiteRT's web runtime ({why}): connect to the network, or "
                f"{_BY_HAND}"
            )
        os.rename(hidden, folder)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)


def _run_npm(npm: str, folder: pathlib.Path) -> str:
    """Runs npm in a folder with its package.json; the error, empty if there is none."""
    # Messages go to a file: npm's children may hold a pipe open after npm is killed.
    with (folder / "npm.log").open("w+b") as log:
        try:
            result = subprocess.run(
                [npm, *_NPM],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                timeout=60 * _MINUTES,
            )
        except subprocess.TimeoutExpired:
            return f"it isn't done after {_MINUTES} minutes"
        log.seek(0)
        said = log.read().decode(errors="replace")
    os.unlink(log.name)
    return _first_error(said) or f"exit status {result.returncode}" if result.returncode else ""


def _first_error(said: str) -> str:
    """The first error among npm's messages, else the first line without notice or warning."""
    error = re.search(r"^npm (?:error|ERR!)[ \t]+(\S.*)", said, re.MULTILINE)
    other = re.search(r"^(?!npm (?:notice|warn|WARN))[ \t]*(\S.*)", said, re.MULTILINE)
    found = error or other
    return found[1].strip() if found else ""
