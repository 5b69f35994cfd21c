import json

import pytest

from tests.commands import done, refused


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    """Two small modes and a curve between them."""
    folder = tmp_path_factory.mktemp("study") / "work"
    flags = ["--smoke", "--jit_compile=false", "--width=0.25", "--stages=modes,curves"]
    done("train", *flags, f"--workdir={folder}")
    return folder


def rows(*flags) -> list[dict]:
    return [json.loads(line) for line in done("study", *flags).stdout.splitlines()]


@pytest.mark.slow
def test_pairs_of_bridges(workdir):
    found = rows(f"--workdir={workdir}", "--study=warm_start")
    assert [row["warm_start"] for row in found] == 3 * [False, True]
    assert {row["study"] for row in found} == {"warm_start"}


@pytest.mark.slow
def test_a_row_for_each_bridge_and_nothing_is_written(workdir):
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*")}
    found = rows(
        f"--workdir={workdir}",
        "--study=taps,warm_start,conditioned,alignment",
        "--budgets=0.11",
        "--shared_until=stage3_block1",
    )
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*")} == before
    studies = {
        name: [row for row in found if row["study"] == name]
        for name in ("taps", "warm_start", "conditioned", "alignment")
    }
    assert sum(map(len, studies.values())) == len(found)
    assert [row["auto"] for row in studies["taps"]].count(True) == 1
    assert all(row["relative_flops"] <= 0.11 for row in studies["taps"])
    assert [row["warm_start"] for row in studies["warm_start"]] == 3 * [False, True]
    kinds = [(row["bridge"], row["shared_until"]) for row in studies["conditioned"]]
    assert kinds == (
        3 * [("one", None)] + 6 * [("conditioned", None)] + 6 * [("conditioned", "stage3_block1")]
    )
    assert [row["r"] for row in studies["conditioned"]] == 5 * [0.25, 0.5, 0.75]
    for row in studies["taps"] + studies["warm_start"] + studies["conditioned"]:
        assert row["kl"] >= 0 and row["kl_base"] > 0 and 0 <= row["agreement"] <= 1
    assert [row["align"] for row in studies["alignment"]] == ["none", "weights", "activations"]
    for row in studies["alignment"]:
        # The ends are the modes, matched or not.
        assert row["line"][0] == row["trained"][0] == studies["alignment"][0]["line"][0]
        assert row["line"][-1] == pytest.approx(studies["alignment"][0]["line"][-1], abs=2e-4)


@pytest.mark.integration
def test_bad_input_is_named(workdir, tmp_path):
    line = refused("study", f"--workdir={workdir}", "--study=widths")
    assert "--study=widths" in line and "taps, warm_start" in line
    assert "--budgets=a" in refused("study", f"--workdir={workdir}", "--budgets=a")
    assert "--workdir" in refused("study", f"--workdir={tmp_path}")
    assert "'absent'" in refused(
        "study", f"--workdir={workdir}", "--study=conditioned", "--shared_until=absent"
    )
