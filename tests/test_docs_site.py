"""The docs site's API pages have every public name, and links in other folders lead to files.

`mkdocs build --strict` in .ci/run checks links and anchors of the site itself.
"""

import importlib
import re

import pytest

import bridge_tf
from bridge_tf import evaluation
from bridge_tf.ensembles import baselines
from tests.conftest import REPOSITORY


def documented(page: str) -> list:
    """What the names behind ::: on a page are."""
    text = (REPOSITORY / "docs" / page).read_text(encoding="utf-8")
    names = [name.rpartition(".") for name in re.findall(r"^::: (\S+)$", text, re.MULTILINE)]
    return [getattr(importlib.import_module(module), name) for module, _, name in names]


@pytest.mark.parametrize(
    ("package", "pages"),
    [
        (bridge_tf, ["api.md"]),
        (evaluation, ["api_evaluation.md", "api.md"]),
        (baselines, ["api_baselines.md"]),
    ],
)
def test_api_pages_have_every_public_name(package, pages):
    there = [id(thing) for page in pages for thing in documented(page)]
    missing = [name for name in package.__all__ if id(getattr(package, name)) not in there]
    assert missing == []


def test_headings_are_the_public_names():
    text = (REPOSITORY / "docs" / "api.md").read_text(encoding="utf-8")
    pairs = re.findall(r"^::: \S+\.(\w+)\n    options:\n      heading: (.*)$", text, re.MULTILINE)
    wanted = {name: f"bridge_tf.{name}" for name in bridge_tf.__all__}
    assert dict(pairs) == wanted | {"fit": "Options of all trainings"}


@pytest.mark.parametrize("folder", ["benchmarks", "saved_models", "saved_models/pretrained"])
def test_links_outside_the_site_lead_to_files(folder):
    links = re.findall(r"\]\(([^)#:]+)\)", (REPOSITORY / folder / "README.md").read_text("utf-8"))
    assert links
    assert [link for link in links if not (REPOSITORY / folder / link).exists()] == []
