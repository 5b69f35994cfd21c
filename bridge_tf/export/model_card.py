"""The model card of an export (Mitchell et al., Model Cards for Model Reporting, FAT* 2019)."""

import importlib.metadata
import json
import pathlib
import re
from collections.abc import Sequence

from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.cascade import CascadeEnsemble
from bridge_tf.utils.errors import without_controls

_LIMITS = """\
- The figures hold for images like those of the test split; none was measured on others.
- {calibration}
- Latency is that of the machine that uses the file; `bridge-tf benchmark` measures it.
- Licence and permitted use are those of the images and weights that it was made from."""


_CALIBRATED = """\
`probabilities` and `entropy` are calibrated by the file's temperature, on images like those of the
  validation split. `disagreement`, the signature `taps` and single bridges are not."""
_CALIBRATED_STAGES = """\
`probabilities` and `entropy` are calibrated by the temperature of the stage that predicts an image,
  on images like those of the validation split. `disagreement` and `members` are not.
- The share of images that go on, and so the mean cost, is that of images like those of the
  validation split. Harder images cost more."""
_CALIBRATED_MEMBERS = """\
`probabilities` and `entropy` are calibrated by the file's temperature, on images like those of the
  validation split. `disagreement` is not."""
_UNCALIBRATED = """\
`probabilities` are as the members give them, without the temperature; divide their logarithms by
  the file's temperature, and normalize, to have the calibrated ones."""
_TAGS = ["bridge_tf", "ensemble", "uncertainty-estimation", "calibration", "tflite"]
_METRICS = {
    "accuracy": "accuracy",
    "nll": "NLL",
    "calibrated_nll": "calibrated NLL",
    "calibrated_ece": "calibrated ECE",
}


def model_card(config, dataset, ensemble, rows: Sequence[dict], name: str) -> str:
    """A page of Markdown about a run's ensemble, exported as `name`.

    It begins with what the Hugging Face Hub reads of a README.md. `rows` are "artifacts" of
    report.json.
    """
    height_and_on = " × ".join(map(str, dataset.image_shape))
    counts = (len(split) for split in (dataset.train, dataset.validation, dataset.test))
    train, validation, test = (f"{count:,}" for count in counts)
    # Only the file's name: paths on the exporting machine are private.
    network = "a network of the user's own"
    if not config.modes:
        network = _escaped(pathlib.Path(config.model).name)
    is_cascade = isinstance(ensemble, CascadeEnsemble)
    calibration = _CALIBRATED_STAGES if is_cascade else _CALIBRATED
    if isinstance(ensemble, MembersEnsemble):
        calibration = _CALIBRATED_MEMBERS
    first = "; that of the first stage is shown" if is_cascade else ""
    goes_on = ", `goes_on`: 1 for images of the second stage" if is_cascade else ""
    version = importlib.metadata.version("bridge_tf")
    named = ", ".join(map(_escaped, dataset.class_names))
    table = "\n".join(_row(row) for row in rows)
    return f"""\
{_front_matter(dataset, rows[0], name)}
# {_escaped(name)}

An image classifier of {dataset.num_classes} classes: {_parts(ensemble)}. Made by bridge_tf \
{version}.

## Model

- Network: {network}{_weights(ensemble)}
- Input: images of {height_and_on}, raw pixels from 0 to 255; the model scales them itself.
- Output: `probabilities` of the classes, `entropy` of these and `disagreement` of the members, \
both in nats{goes_on}.
- Classes: {named or "numbered from 0"}.

## Data

{_code(dataset.name)}: {train} images to train on, {validation} to validate and {test} to test on.

## Figures

On the {test} test images, every one counted once. The temperature, by which logits are divided \
for the calibrated figures, was fitted on the validation images{first}.

| file | accuracy | NLL | temperature | calibrated NLL | calibrated ECE |
| --- | ---: | ---: | ---: | ---: | ---: |
{table}

## Limits

{_LIMITS.format(calibration=calibration if config.calibrate else _UNCALIBRATED)}
"""


def _front_matter(dataset, row: dict, name: str) -> str:
    """YAML for the Hub, with the figures of `row`; JSON is YAML, whatever is in a name."""
    shown = without_controls(dataset.name).encode(errors="backslashreplace").decode()
    # Four decimals: without a point, as 1e-05, YAML reads text.
    figures = [
        {"type": key, "name": text, "value": round(float(row[key]), 4)}
        for key, text in _METRICS.items()
    ]
    result = {
        "task": {"type": "image-classification"},
        "dataset": {"name": shown, "type": shown, "split": "test"},
        "metrics": figures,
    }
    fields = {
        "library_name": "keras",
        "pipeline_tag": "image-classification",
        "tags": _TAGS,
        "metrics": [*_METRICS],
        "model-index": [{"name": name, "results": [result]}],
    }
    lines = [f"{key}: {json.dumps(value)}" for key, value in fields.items()]
    license = "# license: (yours to say, such as apache-2.0; it depends on images and weights)"
    return "\n".join(["---", license, *lines, "---", ""])


def _parts(ensemble) -> str:
    """What an ensemble is made of."""
    if isinstance(ensemble, MembersEnsemble):
        members = ensemble.output["log_probabilities"].shape[1]
        return (
            f"{_count(members, 'member')} that share the weights of one network. None of them runs "
            "alone, so that there is no signature `base`"
        )
    if isinstance(ensemble, CascadeEnsemble):
        return (
            f"a cascade (Wang et al., ICLR 2022). Its first stage, {_parts(ensemble.first)}, "
            f"predicts the images whose top probability is at least {ensemble.threshold:.4g}; the "
            f"mean of {_count(ensemble.num_modes, 'network')} predicts the others"
        )
    parts = _count(1 + len(ensemble.other_modes), "network")
    if bridges := len(ensemble.bridges):
        parts += (
            f" and {_count(bridges, 'bridge')}, which answer for networks on low-loss curves "
            "between separately trained ones (Yun et al., ICML 2023)"
        )
    return parts


def _weights(ensemble) -> str:
    whole = f"{ensemble.count_params():,}"
    if isinstance(ensemble, MembersEnsemble):
        return f" with the weights of its members, {whole} in all."
    return f", {ensemble.base.count_params():,} weights; in all {whole}."


def _escaped(text: str) -> str:
    """A name as Markdown that shows it as it is, in one line."""
    return re.sub(r"([\\`*_{}\[\]<>()#+!|~&$])", r"\\\1", without_controls(text))


def _code(text: str) -> str:
    """A name as a code span, which may hold backticks."""
    text = without_controls(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def _count(number: int, what: str) -> str:
    return f"one {what}" if number == 1 else f"{number} {what}s"


def _row(row: dict) -> str:
    figures = ("accuracy", "nll", "temperature", "calibrated_nll", "calibrated_ece")
    return f"| {_escaped(row['file'])} | " + " | ".join(f"{row[key]:.4f}" for key in figures) + " |"
