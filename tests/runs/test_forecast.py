"""bridge-tf evaluate --forecast, of a run that has two modes and nothing else."""

import types

import pytest

from bridge_tf import build_network
from bridge_tf.config import Config
from bridge_tf.evaluation.forecast import forecast
from bridge_tf.evaluation.scores import log_prob_predictor
from bridge_tf.networks.saving import write_model
from bridge_tf.report.forecast import render_forecast
from bridge_tf.runs.context import Run
from bridge_tf.runs.forecast import forecast_of
from bridge_tf.utils.errors import InputError
from tests.commands import done, refused


@pytest.fixture
def run(tmp_path):
    """A run of digits with two modes, which have learned nothing."""
    run = Run(Config(max_images=80, width=0.25), tmp_path / "work")
    run.files.claim(run.config)
    run.files.bind(run.inputs)
    for k in range(2):
        network = build_network("resnet8", (8, 8, 1), 10, width=0.25)
        with run.files.writing(run.files.mode(k)) as partial:
            write_model(network, partial)
    return run


def contents(run) -> dict:
    return {path: path.read_bytes() for path in run.files.path.rglob("*") if path.is_file()}


@pytest.mark.integration
def test_two_modes_suffice_and_nothing_is_written(run):
    before = contents(run)
    result = done("evaluate", f"--workdir={run.files.path}", "--forecast", "--average_cost=1.5")
    assert contents(run) == before
    split = run.data.validation
    predicted = [log_prob_predictor(run.load_mode(k))(split.images) for k in range(2)]
    expected = forecast(predicted, split.labels, 1.5)
    assert result.stdout == render_forecast(expected) + "\n"


@pytest.mark.integration
def test_no_test_image_is_used(run):
    expected, data = forecast_of(run), run.data
    run.data = types.SimpleNamespace(
        validation=data.validation, image_shape=data.image_shape, num_classes=data.num_classes
    )
    assert forecast_of(run) == expected


@pytest.mark.integration
def test_what_is_refused(run):
    flags = [f"--workdir={run.files.path}", "--forecast"]
    for flag in ("--loss_plane", "--budget_flops=2", "--ood_dataset=npz:a.npz", "--wait"):
        line = refused("evaluate", *flags, flag)
        assert f"{flag.partition('=')[0]}: not with --forecast" in line
    assert "--output: needs --workdirs" in refused("evaluate", *flags, "--output=a")
    line = refused("evaluate", "--workdirs=a,b", "--output=c", "--forecast")
    assert "--forecast: not with --workdirs" in line
    run.files.manifest.set("inputs", {"dataset": "other"})
    assert "--dataset: isn't what it was" in refused("evaluate", *flags)
    path = run.files.mode(1)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert "isn't as it was written" in refused("evaluate", *flags)
    path.unlink()
    line = refused("evaluate", *flags)
    assert "--forecast: " in line and "1.keras is missing" in line and "--stages=modes" in line


@pytest.mark.integration
def test_one_validation_image_is_too_few(run):
    run.data = types.SimpleNamespace(
        validation=run.data.validation.limited(1), image_shape=(8, 8, 1), num_classes=10
    )
    with pytest.raises(InputError, match="2 validation images or more, there is 1"):
        forecast_of(run)
