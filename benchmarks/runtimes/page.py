"""The table and the lines of docs/runtimes.md, from what was measured."""

import pathlib
import re

from benchmarks.runtimes.harness import renamed
from benchmarks.runtimes.table import RUNTIMES, Runtime

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "runtimes.md"
_HEAD = """\
| runtime | file | version | largest difference | same class | time × | base, ms |
| --- | --- | --- | ---: | ---: | ---: | ---: |
"""


def write_page(results: dict) -> None:
    """Puts table and lines between their marks in docs/runtimes.md."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), results), encoding="utf-8")


def written(text: str, results: dict) -> str:
    """The page's text with the table and lines of these results."""
    for name, made in (("table", table(results)), ("lines", lines())):
        marks = f"(<!-- {name}: made by benchmarks/runtimes -->\n).*?(<!-- end of {name} -->)"
        found = re.search(marks, text, re.DOTALL)
        assert found, name
        text = text.replace(found[0], f"{found[1]}\n{made}\n{found[2]}")
    return text


def table(results: dict) -> str:
    """A row a runtime, and what it was measured on."""
    rows = "".join(_row(runtime, results["runtimes"].get(runtime.name, {})) for runtime in RUNTIMES)
    flops = f"{results['relative_flops']:.2f}"
    return f"{_HEAD}{rows}\nOn {results['machine']}. The ensemble has {flops} × the base's FLOPs.\n"


def _row(runtime: Runtime, result: dict) -> str:
    if not runtime.is_run:
        why = f"not run: {runtime.why_not}. {runtime.note}"
        return f"| {runtime.name} | `{runtime.file}` | {why} | | | | |\n"
    versions = ", ".join(f"{name} {number}" for name, number in result["versions"].items())
    return (
        f"| [{runtime.name}](#{_anchor(runtime)}) | `{runtime.file}` | {versions} | "
        f"{result['max_difference']:.1e} | {100 * result['agreement']:.1f} % | "
        f"{result['ratio']:.2f} | {result['base_ms']:.2f} |\n"
    )


def lines() -> str:
    """The lines that were run, a section a runtime."""
    return "\n".join(map(_section, filter(lambda runtime: runtime.is_run, RUNTIMES)))


def _section(runtime: Runtime) -> str:
    load, call = (renamed(x, "NAME") for x in (runtime.load, runtime.call))
    language = "js" if runtime.browser else "python"
    tool = "npm" if runtime.browser else "pip"
    names = [f"'{x}'" if "<" in x else x for x in runtime.packages]
    install = f"`{tool} install {' '.join(names)}`\n\n" if names else ""
    note = f"\n{runtime.note}\n" if runtime.note else ""
    return f"### {runtime.name}\n\n{install}```{language}\n{load}\n{call}```\n{note}"


def _anchor(runtime: Runtime) -> str:
    """As GitHub and the site make them of headings."""
    return re.sub(r"[^\w\- ]", "", runtime.name.lower()).replace(" ", "-")
