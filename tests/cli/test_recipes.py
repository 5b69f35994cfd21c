"""Every recipe in smoke mode, and what it states."""

import json

import pytest

from tests.conftest import REPOSITORY

RECIPES = sorted((REPOSITORY / "configs").rglob("*.flags"))


def data_dir(recipe) -> str | None:
    flags = [line for line in recipe.read_text().splitlines() if line.startswith("--data_dir=")]
    return flags[0].partition("=")[2] if flags else None


# Those of the paper: test_paper_recipes.py. Others take minutes and differ in their flags alone.
@pytest.mark.parametrize(
    "recipe",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=pytest.mark.integration if path.stem == "digits" else pytest.mark.slow,
        )
        for path in RECIPES
        if path.parent.name != "paper"
    ],
)
def test_recipe_runs(recipe, smoke_run):
    folder = data_dir(recipe)
    if folder is not None and not (REPOSITORY / folder).is_dir():
        pytest.skip(f"its data set isn't here: {folder}")
    run = smoke_run(recipe)
    report = json.loads((run.work / "report.json").read_text())
    rows = [row["name"] for row in report["ensembles"]]
    assert [name for name in rows if "cascade" not in name] == [
        "single",
        "deep_ensemble_2",
        "curve_1",
        "bridge_1",
    ]
    assert "cascade_2" in rows
    assert (run.exports / recipe.stem / "1" / "saved_model.pb").exists()
    assert (run.exports / f"{recipe.stem}.tflite").exists()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_states_its_command_time_and_result(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    text = "\n".join(head)
    assert f"bin/train --flagfile={recipe.relative_to(REPOSITORY)}" in text
    for word in ("Wall time:", "Result", "seed"):
        assert word in text
