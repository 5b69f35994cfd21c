"""The taps and the width of a run's bridges, given or chosen."""

import dataclasses
import json

from bridge_tf.bridges.bridge import build_bridge
from bridge_tf.bridges.tap_choice import WIDTHS, Choice, choose_bridge
from bridge_tf.config import AUTO, Config
from bridge_tf.runs.context import Run
from bridge_tf.utils.errors import InputError, reason
from bridge_tf.utils.paths import read_text
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
            choice = json.loads(read_text(files.choice))
            return [choice["tap"]], choice["width"]
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{files.choice} can't be read ({reason(error)}); remove it and train again"
            ) from error
    choice = choose_tap(config, base or run.load_mode(0))
    if base is None:
        logger.info(
            f"bridges: `taps=auto` chose '{choice.tap}' at width {choice.width:g}, "
            f"{choice.relative_flops:.3f} of the base's FLOPs: {choice.why}"
        )
        files.write_json(files.choice, dataclasses.asdict(choice))
    return [choice.tap], choice.width


def starts_warm(run: Run) -> bool:
    """Whether bridges begin with the weights of what they predict."""
    config = run.config
    return config.warm_start and config.bridge_target != "ensemble" and bridge_settings(run)[1] == 1


def new_bridge(run: Run, base, *, choose_for=None, **options):
    """An untrained bridge of the run on `base`, its taps chosen for `choose_for`.

    `options` are those of `build_bridge`.
    """
    taps, width = bridge_settings(run, choose_for)
    return configured_bridge(run.config, base, taps, width, **options)


def choose_tap(config: Config, base) -> Choice:
    """The tap and the width for `base` with taps `auto`."""
    widths = (config.bridge_width,) if config.bridge_width else WIDTHS
    name = "bridge_budget"
    return choose_bridge(base, config.bridge_budget, widths=widths, argument=name, **_kind(config))


def configured_bridge(config: Config, base, taps: list[str], width: float, **options):
    """An untrained bridge of the configuration's kind; `options` are those of `build_bridge`."""
    until = config.shared_until or None
    return build_bridge(base, taps, width, shared_until=until, **_kind(config), **options)


def _kind(config: Config) -> dict:
    return {name: getattr(config, name) for name in ("bridge_type", "residual", "conditioned")}
