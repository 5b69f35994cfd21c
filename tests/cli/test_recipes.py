"""Every recipe that ships runs, in smoke mode."""

import json

import pytest

from tests.commands import done
from tests.conftest import REPOSITORY

RECIPES = sorted((REPOSITORY / "configs").rglob("*.flags"))


def data_dir(recipe) -> str | None:
    flags = [line for line in recipe.read_text().splitlines() if line.startswith("--data_dir=")]
    return flags[0].partition("=")[2] if flags else None


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_runs(recipe, tmp_path):
    folder = data_dir(recipe)
    if folder is not None and not (REPOSITORY / folder).is_dir():
        pytest.skip(f"its data set isn't here: {folder}")
    flags = [f"--workdir={tmp_path / 'work'}", f"--export_dir={tmp_path / 'exports'}"]
    done("train", f"--flagfile={recipe}", "--smoke", *flags)
    report = json.loads((tmp_path / "work" / "report.json").read_text())
    assert [row["name"] for row in report["ensembles"]] == [
        "single",
        "deep_ensemble_2",
        "curve_1",
        "bridge_1",
    ]
    name = next(path for path in (tmp_path / "exports").iterdir() if path.is_dir()).name
    assert (tmp_path / "exports" / name / "1" / "saved_model.pb").exists()
    assert (tmp_path / "exports" / f"{name}.tflite").exists()


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_recipe_states_its_command_time_and_result(recipe):
    head = [line for line in recipe.read_text().splitlines() if line.startswith("#")]
    text = "\n".join(head)
    assert f"bin/train --flagfile={recipe.relative_to(REPOSITORY)}" in text
    for word in ("Wall time:", "Result", "seed"):
        assert word in text
