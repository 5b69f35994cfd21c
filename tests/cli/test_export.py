"""`bridge-tf export` of a small run of digits, in every format."""

import json
import shutil

import pytest
from PIL import Image

from tests.cli.test_runs import files_below, finished  # noqa: F401
from tests.commands import done
from tests.extras import needs_onnx

pytestmark = [needs_onnx, pytest.mark.integration]


def test_files_of_other_kinds_are_measured_and_reported(finished, tmp_path):  # noqa: F811
    work = shutil.copytree(finished.work, tmp_path / "work")
    flags = [f"--workdir={work}", f"--export_dir={tmp_path}/out", "--tflite=float16,int8"]
    flags += ["--formats=tflite,onnx", "--single", "--max_accuracy_drop=1"]
    printed = done("export", *flags).stdout.splitlines()
    kinds = ("", ".float16", ".int8")
    files = [f"digits{kind}.tflite" for kind in kinds]
    single = [f"digits.single{kind}.tflite" for kind in kinds]
    assert printed[1:] == [f"{tmp_path}/out/{x}" for x in (*files, *single, "digits.onnx")]
    rows = json.loads((work / "report.json").read_text())["artifacts"]
    assert [row["file"] for row in rows] == ["ensemble.keras", *files, "digits.onnx"]
    *rows, onnx = rows
    same = {**rows[1], "file": onnx["file"], "latency_ratio": None}
    same |= {key: onnx[key] for key in ("bytes", "gzip_bytes")}
    del same["early_exit_latency_ratios"]
    assert onnx == pytest.approx(same, abs=1e-4)
    assert "| digits.onnx |" in (tmp_path / "out" / "digits.md").read_text()
    assert rows[1]["calibrated_nll"] == pytest.approx(rows[0]["calibrated_nll"], abs=1e-4)
    for row, name in zip(rows[1:], files, strict=True):
        assert row["bytes"] == (tmp_path / "out" / name).stat().st_size
        assert row["latency_ratio"] > 0
        assert len(row["early_exit_latency_ratios"]) == 2
        assert min(row["early_exit_latency_ratios"]) > 0
        assert row["file"] in (work / "report.md").read_text()
    assert (tmp_path / "out" / "digits.early_exit.json").exists()
    Image.new("L", (8, 8), 99).save(tmp_path / "grey.png")
    answers = [
        json.loads(done("predict", f"--model={path}", tmp_path / "grey.png").stdout)
        for path in (f"{tmp_path}/out/{x}" for x in (files[0], single[0], "digits.onnx"))
    ]
    for answer in answers[1:]:
        assert answer.keys() == answers[0].keys() and answer["label"] == answers[0]["label"]
        for key in ("probabilities", "entropy", "disagreement"):
            assert answer[key] == pytest.approx(answers[0][key], abs=1e-5)
    # Nothing is made anew, with these files or fewer.
    before = files_below(tmp_path / "out")
    done("export", *flags)
    done("export", *flags[:2])
    assert files_below(tmp_path / "out") == before
