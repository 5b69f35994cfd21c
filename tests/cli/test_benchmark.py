import json

from tests.commands import done, refused


def test_every_measure_prints_its_ratio():
    flags = ["--batch_size=8", "--width=0.25", "--steps=1", "--rounds=2", "--nojit_compile"]
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


def test_an_unknown_measure_is_named():
    line = refused("benchmark", "--measure=curve_step,speed")
    assert "--measure=curve_step,speed: name one or more of curve_step, bridge_step" in line
    assert "--norm=layer" in refused("benchmark", "--norm=layer")
