"""bin/evaluate on corrupted images and on other data."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from bridge_tf.config import Config
from bridge_tf.runs.stages.evaluate import stage
from bridge_tf.runs.work_dir import WorkDir
from bridge_tf.utils.errors import InputError
from tests.commands import done, refused
from tests.conftest import REPOSITORY
from tests.runs.small import executed


@pytest.fixture
def letters(tmp_path):
    """Other data: 30 coloured test images of 12×12 pixels."""
    images = np.random.default_rng(0).integers(0, 256, (30, 12, 12, 3)).astype("uint8")
    path, labels = tmp_path / "letters.npz", np.arange(30) % 2
    np.savez(path, x_train=images[:2], y_train=labels[:2], x_test=images, y_test=labels)
    return f"npz:{path}"


@pytest.mark.slow  # its parts: tests/runs/stages/evaluate/test_shifted.py
def test_a_run_is_measured_elsewhere(smoke_run, letters, tmp_path, monkeypatch):
    run = smoke_run(REPOSITORY / "configs" / "digits.flags")
    work = shutil.copytree(run.work, tmp_path / "work")
    before = json.loads((work / "report.json").read_text())
    flags = [f"--ood_dataset={letters}", "--corruptions=contrast,noise", "--corruption_images=40"]
    printed = done("evaluate", f"--workdir={work}", *flags)
    assert printed.stdout == run.first.stdout
    assert "evaluate: predictions on corrupted images" in printed.stderr
    report = json.loads((work / "report.json").read_text())
    found = {key: report.pop(key) for key in ("ood", "corruptions")}
    assert report == before  # and not a digit else
    names = [row["name"] for row in report["ensembles"]]
    assert (found["ood"]["dataset"], found["ood"]["num_images"]) == ("letters", 30)
    assert [row["name"] for row in found["ood"]["rows"]] == names
    assert all(0 <= row[key] <= 1 for row in found["ood"]["rows"] for key in ("auroc", "fpr95"))
    corruptions = found["corruptions"]
    assert (corruptions["images"], corruptions["kinds"]) == (40, ["contrast", "noise"])
    assert [row["name"] for row in corruptions["rows"]] == names
    assert all(len(row["corrupted"]) == 10 for row in corruptions["rows"])
    for page in ("report.md", "report.html"):
        text = (work / page).read_text()
        assert "FPR95" in text and "Corrupted images" in text
        assert str(tmp_path) not in text
    assert not (work / "checkpoints").exists()

    # What was measured is known to be what is wanted, or not.
    measured = []
    monkeypatch.setattr(stage, "remeasure", lambda run: measured.append(run.config))
    own = WorkDir(work).read_config()
    wanted = {"ood_dataset": letters, "corruptions": ["noise", "contrast"]}
    same = dataclasses.replace(own, corruption_images=40, **wanted)
    executed(same, work, ["evaluate"])
    assert not measured
    others = [{"corruption_images": 30}, {"average_cost": 1.5}]
    for other in (own, *(dataclasses.replace(same, **changes) for changes in others)):
        executed(other, work, ["evaluate"])
        assert measured.pop() == dataclasses.replace(other, jobs="1")


def test_other_data_that_cannot_be_used_is_refused_before_anything_is_done(tmp_path, letters):
    bad = ["npz:absent.npz", "folder:absent", "letters"]
    for spec in bad:
        with pytest.raises(InputError, match=f"^`ood_dataset={spec}`: "):
            executed(Config(ood_dataset=spec), tmp_path / "work")
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--corruptions=fog"], "--corruptions=fog: must be one or more of noise, blur, "),
        (["--corruptions=jpeg,jpeg"], "name each corruption once"),
        (
            ["--corruptions=jpeg", "--corruption_images=0"],
            "--corruption_images=0: must be at least",
        ),
        (["--ood_dataset=digits"], "--ood_dataset=digits: is --dataset; name other data"),
        (["--corruption_images=9"], "tells how --corruptions is measured; give that too"),
    ],
)
def test_bad_values(tmp_path, flags, words):
    WorkDir(tmp_path).claim(Config())
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert words in refused("evaluate", f"--workdir={tmp_path}", *flags)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
