"""Runs an exported ensemble in every runtime that pip or npm can install, and writes the table.

    python -m benchmarks.runtimes.measure                          # all, about 20 minutes
    python -m benchmarks.runtimes.measure --only=OpenVINO --keep=~/runtimes

in the environment of bridge_tf with its extras `onnx` and `test`; browsers need chromium,
chromium-driver and npm. Each runtime gets a virtual environment, or a folder of npm's, of its own.
Writes docs/results/runtimes.json and, from it, the table and lines of docs/runtimes.md.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import venv
from collections.abc import Sequence

from benchmarks.runtimes.make import make
from benchmarks.runtimes.page import write_page
from benchmarks.runtimes.table import RUNTIMES, Runtime

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
RESULTS = REPOSITORY / "docs" / "results" / "runtimes.json"
_HARNESS = pathlib.Path(__file__).with_name("harness.py")


def measure(runtime: Runtime, folder: pathlib.Path, environments: pathlib.Path) -> dict:
    """Installs a runtime, unless it is there, and runs its lines.

    Args:
        folder: that `make` wrote.
        environments: holds what is installed, by the runtime's name.

    Returns:
        "versions", "max_difference" of a probability from Keras's, "agreement" of top classes,
        "images", "ms" and "base_ms" of one image, their "ratio", "rounds".
    """
    if runtime.browser:
        from benchmarks.runtimes.browser import run_in_browser

        return run_in_browser(runtime, _node_modules(runtime, environments), folder)
    python = sys.executable
    if runtime.packages:
        python = environment(runtime.key, ("numpy", *runtime.packages), environments)
    lines, result = (folder / f"{runtime.key}.{x}.json" for x in ("lines", "result"))
    given = {"load": runtime.load, "call": runtime.call, "versions": runtime.of_versions}
    lines.write_text(json.dumps(given))
    command = [python, _HARNESS, lines, folder, result]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    if done.returncode or not result.exists():
        raise RuntimeError(f"{runtime.name}: {done.stderr[-3000:]}")
    return json.loads(result.read_text())


def environment(name: str, packages: Sequence[str], environments: pathlib.Path) -> str:
    """The Python of a virtual environment with these packages, made unless it is there."""
    folder = environments / name
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists():
        venv.create(folder, with_pip=True, clear=True)
        install = [python, "-m", "pip", "install", "-q", *packages]
        subprocess.run([*map(str, install)], check=True)
        ready.touch()
    return str(python)


def _node_modules(runtime: Runtime, environments: pathlib.Path) -> pathlib.Path:
    folder = environments / runtime.key
    if not (folder / "ready").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = "npm install --ignore-scripts --no-audit --no-fund".split()
        subprocess.run([*install, *runtime.packages], check=True, cwd=folder)
        (folder / "ready").touch()
    return folder / "node_modules"


def machine() -> str:
    """The processor and the number of cores."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return f"{len(names)} cores of {names[0]}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="names of runtimes, comma-separated")
    parser.add_argument("--keep", default="", help="folder for environments, to use again")
    given = parser.parse_args()
    only = [name for name in given.only.split(",") if name]
    results = json.loads(RESULTS.read_text()) if only and RESULTS.exists() else {"runtimes": {}}
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary) / "files"
        kept = pathlib.Path(given.keep).expanduser() if given.keep else folder.parent / "kept"
        folder.mkdir()
        make(folder)
        for runtime in RUNTIMES:
            if runtime.is_run and (not only or runtime.name in only):
                print(runtime.name, flush=True)
                results["runtimes"][runtime.name] = measure(runtime, folder, kept)
                print(f"    {results['runtimes'][runtime.name]}", flush=True)
        results["relative_flops"] = json.loads((folder / "relative_flops.json").read_text())
    results["machine"] = machine()
    RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    write_page(results)


if __name__ == "__main__":
    main()
