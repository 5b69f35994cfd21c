import json

import pytest

from tests.commands import done, refused


@pytest.mark.integration
def test_every_measure_prints_its_ratio():
    flags = ["--batch_size=8", "--width=0.25", "--steps=1", "--rounds=2", "--jit_compile=false"]
    lines = done("benchmark", *flags).stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["what"] for row in rows] == [
        "curve step / plain step",
        "bridge step / sum of its parts",
        "throughput from the pipeline / from memory",
    ]
    for row in rows:
        assert 0 < row["lowest"] <= row["ratio"] <= row["highest"]
        assert (row["rounds"], row["steps"], row["batch_size"]) == (2, 1, 8)
        assert len(row["ms_per_step"]) == 2 and min(row["ms_per_step"]) > 0


@pytest.mark.slow
def test_memory_of_a_curve_step():
    flags = ["--measure=curve_memory", "--batch_size=8", "--steps=1", "--jit_compile=false"]
    row = json.loads(done("benchmark", *flags).stdout)
    assert row["what"] == "(peak memory of curve steps - of plain steps) / weights"
    more, plain = row["mib"]
    assert plain > row["weights_mib"] > 0.2
    assert row["ratio"] == pytest.approx((more - plain) / row["weights_mib"], abs=0.5)
    # Control points alone are three copies of the weights, one of which the network is as well.
    assert row["ratio"] > 1


def test_an_unknown_measure_is_named():
    line = refused("benchmark", "--measure=curve_step,speed")
    assert "--measure=curve_step,speed: must be one or more of curve_step, curve_memory" in line
    assert "--norm=layer" in refused("benchmark", "--norm=layer")
