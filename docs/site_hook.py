"""What the site has besides docs/: README, changelog, notebooks, and files that pages link to.

Pages are written for GitHub, with links relative to their place in the repository. In the site
these become links to pages, or to copies of the files. A link to nothing is left as it is;
`mkdocs build --strict` then fails.
"""

import json
import pathlib
import posixpath
import re

import griffe
from mkdocs.structure.files import File, InclusionLevel

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
# Place in the repository: place in the site.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}
PAGES |= {
    f"notebooks/{path.name}": f"notebooks/{path.stem}.md"
    for path in sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
}
SOURCES = {place: path for path, place in PAGES.items()}

_LINK = re.compile(r"(?<=\]\()[^)\s#:]+(?=[)\s#])")
_FIT = "bridge_tf.training.fit.fit"
_EXAMPLE = re.compile(r"^Example::\n\n((?:    .*\n?|\n)+)", re.MULTILINE)


def on_files(files, config):
    for path, place in PAGES.items():
        files.append(File.generated(config, place, content=page_of(REPOSITORY / path)))
        if path.endswith(".ipynb"):
            files.append(File.generated(config, path, abs_src_path=str(REPOSITORY / path)))
    for page in [file for file in files if file.is_documentation_page()]:
        for link in _LINK.findall(page.content_string):
            path = linked(link, page.src_uri)
            if path and not files.get_file_from_path(place_of(path)):
                source = {"abs_src_path": str(REPOSITORY / path)}
                inclusion = InclusionLevel.NOT_IN_NAV
                files.append(File.generated(config, place_of(path), inclusion=inclusion, **source))
    return files


def on_page_markdown(markdown, page, config, files):
    if page.file.src_uri == "index.md":
        page.meta["hide"] = ["navigation"]  # leaves its width to the table

    def in_site(link: re.Match) -> str:
        path = linked(link[0], page.file.src_uri)
        start = posixpath.dirname(page.file.src_uri) or "."
        return posixpath.relpath(place_of(path), start) if path else link[0]

    markdown = _LINK.sub(in_site, markdown)
    source = posixpath.basename(SOURCES.get(page.file.src_uri, ""))
    return f"{markdown}\n\n[{source}]({source})" if source.endswith(".ipynb") else markdown


def page_of(path: pathlib.Path) -> str:
    """A page of the repository as Markdown; a notebook's code as blocks."""
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".ipynb":
        return text
    cells = [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(text)["cells"]]
    return "\n\n".join(
        f"```python\n{source}\n```" if kind == "code" else source for kind, source in cells
    )


def linked(link: str, place: str) -> str:
    """The file in the repository that the page at `place` in the site links to, or ""."""
    page = SOURCES.get(place, f"docs/{place}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(page), link))
    return path if (REPOSITORY / path).is_file() and not path.startswith("../") else ""


def place_of(path: str) -> str:
    """The place in the site of a file in the repository."""
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    return PAGES.get(path, f"files/{path}")


class Docstrings(griffe.Extension):
    """Docstrings in the forms that mkdocstrings knows."""

    def on_object(self, *, obj, **kwargs):
        if obj.docstring:
            text = _EXAMPLE.sub(_as_admonition, obj.docstring.value)
            text = re.sub("::$", ":", text, flags=re.MULTILINE)
            obj.docstring.value = text.replace("as in `fit`", f"as in [`fit`][{_FIT}]")


def _as_admonition(example: re.Match) -> str:
    return f"Example:\n    ```python\n{example[1].rstrip()}\n    ```\n"
