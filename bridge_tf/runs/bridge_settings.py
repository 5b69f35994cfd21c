"""The taps and the width of a run's bridges, given or chosen."""

import dataclasses
import json

from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.bridges.tap_choice import WIDTHS, choose_bridge
from bridge_tf.config import AUTO
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.terminal import logger


def bridge_settings(run: Run, base=None) -> tuple[list[str], float]:
    """The taps and the width of a run's bridges.

    Taps `auto` are chosen for `base`, of the run's architecture (default: mode 0), unless an
    earlier choice is on file.

    Raises:
        InputError: no bridge keeps to the budget, or the file can't be read.
    """
    config, files = run.config, run.files
    if config.taps != (AUTO,):
        return list(config.taps), config.bridge_width
    if files.current(files.choice, []) or files.choice.exists():
        try:
            choice = json.loads(files.choice.read_text(encoding="utf-8"))
            return [choice["tap"]], choice["width"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{files.choice} can't be read ({reason(error)}); remove it and train again"
            ) from error
    choice = choose_bridge(
        base or run.load_mode(0),
        config.bridge_budget,
        widths=(config.bridge_width,) if config.bridge_width else WIDTHS,
        bridge_type=config.bridge_type,
        residual=config.residual,
        conditioned=config.conditioned,
    )
    if base is None:
        logger.info(
            f"bridges: `taps=auto` chose '{choice.tap}' at width {choice.width:g}, "
            f"{choice.relative_flops:.3f} of the base's FLOPs: {choice.why}"
        )
        files.write_json(files.choice, dataclasses.asdict(choice))
    return [choice.tap], choice.width


def new_bridge(run: Run, base, *, choose_for=None, **options):
    """An untrained bridge of the run on `base`, its taps chosen for `choose_for`.

    `options` are those of `build_bridge`.
    """
    config = run.config
    taps, width = bridge_settings(run, choose_for)
    return build_bridge(
        base,
        taps,
        width,
        bridge_type=config.bridge_type,
        residual=config.residual,
        conditioned=config.conditioned,
        shared_until=config.shared_until or None,
        **options,
    )
