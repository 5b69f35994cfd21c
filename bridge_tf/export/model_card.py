"""The model card of an export (Mitchell et al., Model Cards for Model Reporting, FAT* 2019)."""

import importlib.metadata
import pathlib
import re
from collections.abc import Sequence

from bridge_tf.utils.errors import without_controls

_LIMITS = """\
- The figures hold for images like those of the test split; none was measured on others.
- {calibration}
- Latency is that of the machine that uses the file; `bridge-tf benchmark` measures it.
- Licence and permitted use are those of the images and weights that it was made from."""


_CALIBRATED = """\
`probabilities` and `entropy` are calibrated by the file's temperature, on images like those of the
  validation split. `disagreement`, the signature `taps` and single bridges are not."""
_UNCALIBRATED = """\
`probabilities` are as the members give them, without the temperature; divide their logarithms by
  the file's temperature, and normalize, to have the calibrated ones."""


def model_card(config, dataset, ensemble, rows: Sequence[dict], name: str) -> str:
    """A page of Markdown about a run's `BridgeEnsemble`, exported as `name`.

    `rows` are "artifacts" of report.json.
    """
    height_and_on = " × ".join(map(str, dataset.image_shape))
    counts = (len(split) for split in (dataset.train, dataset.validation, dataset.test))
    train, validation, test = (f"{count:,}" for count in counts)
    modes, bridges = 1 + len(ensemble.other_modes), len(ensemble.bridges)
    # Only the file's name: paths on the exporting machine are private.
    network = "a network of the user's own"
    if not config.modes:
        network = _escaped(pathlib.Path(config.model).name)
    parts = _count(modes, "network")
    if bridges:
        parts += (
            f" and {_count(bridges, 'bridge')}, which answer for networks on low-loss curves "
            "between separately trained ones (Yun et al., ICML 2023)"
        )
    version = importlib.metadata.version("bridge_tf")
    named = ", ".join(map(_escaped, dataset.class_names))
    table = "\n".join(_row(row) for row in rows)
    return f"""\
# {_escaped(name)}

An image classifier of {dataset.num_classes} classes: {parts}. Made by bridge_tf {version}.

## Model

- Network: {network}, {ensemble.base.count_params():,} weights; in all \
{ensemble.count_params():,}.
- Input: images of {height_and_on}, raw pixels from 0 to 255; the model scales them itself.
- Output: `probabilities` of the classes, `entropy` of these and `disagreement` of the members, \
both in nats.
- Classes: {named or "numbered from 0"}.

## Data

{_code(dataset.name)}: {train} images to train on, {validation} to validate and {test} to test on.

## Figures

On the {test} test images, every one counted once. The temperature, by which logits are divided \
for the calibrated figures, was fitted on the validation images.

| file | accuracy | NLL | temperature | calibrated NLL | calibrated ECE |
| --- | ---: | ---: | ---: | ---: | ---: |
{table}

## Limits

{_LIMITS.format(calibration=_CALIBRATED if config.calibrate else _UNCALIBRATED)}
"""


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
