"""The setting `split_seed`, from a run's configuration to its validation images."""

from bridge_tf import load_dataset
from bridge_tf.config import Config
from bridge_tf.runs.context import Run


def digest(tmp_path, **settings) -> str:
    return Run(Config(**settings), tmp_path / "run").data.digest


def test_runs_of_several_seeds_have_one_validation_split(tmp_path):
    assert digest(tmp_path) == digest(tmp_path, seed=5) == load_dataset("digits").digest
    other = load_dataset("digits", seed=5).digest
    assert digest(tmp_path, split_seed=5) == digest(tmp_path, split_seed=5, seed=1) == other
    assert other != digest(tmp_path)


def test_it_decides_results():
    found = Config(split_seed=1).differences(Config())
    assert found == ["`split_seed=1` (there: 0)"]
