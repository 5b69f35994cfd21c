"""Reading what an evaluation wrote, and refusing what isn't that."""

import json
import os
import pathlib
from collections.abc import Callable

from bridge_tf.config.names import SCHEMA
from bridge_tf.report.checks import (
    PAIR,
    all_of,
    an_object,
    count,
    each,
    flag,
    number,
    or_none,
    text,
    with_keys,
)
from bridge_tf.utils.errors import InputError, reason


def read_report(path: str | os.PathLike) -> dict:
    """The content of a report.json that holds all that the contract says; it may hold more.

    Raises:
        InputError: it can't be read or isn't such a report.
    """
    path = pathlib.Path(path)
    return read_checked(path, "a report", _REPORT, "evaluate the run again")


def read_checked(path: pathlib.Path, what: str, check: Callable, remedy: str) -> dict:
    """The content of a JSON file that passes a check.

    Args:
        what: it should be, for the message.
        check: of `bridge_tf.report.checks`.
        remedy: what to do about a wrong one, for the message.

    Raises:
        InputError: it can't be read, or doesn't pass.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        an_object(content, "")
        if "schema" in content and content["schema"] != SCHEMA:
            raise ValueError(f"its schema is {content['schema']!r:.50}, not {SCHEMA}")
        check(content, "")
    # RecursionError: nested a thousand times.
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} can't be read as {what} ({reason(error)}); {remedy}") from error
    return content


_SCORE = all_of(
    number, "accuracy nll brier ece temperature calibrated_nll calibrated_brier calibrated_ece"
)
# What reports of earlier versions lack.
_LATER = all_of(number, "adaptive_ece calibrated_adaptive_ece aurc")
_FIGURES = {
    **_SCORE,
    **_LATER,
    "relative_flops": number,
    "dee": or_none(number),
    "dee_extrapolated": flag,
}
_CORRUPTED = all_of(number, "accuracy nll calibrated_nll ece")
_REPORT = with_keys(
    optional=("warnings", "early_exit", "artifacts", "ood", "corruptions"),
    schema=count,
    warnings=each(text),
    dataset=with_keys(
        name=text,
        **all_of(count, "num_train num_validation num_test num_classes"),
    ),
    base=with_keys(**all_of(count, "params flops")),
    ensembles=each(
        with_keys(
            optional=(*_LATER, "disagreement", "training_cost"),
            **all_of(text, "name method"),
            training_cost=number,
            size=count,
            relative_params=number,
            disagreement=or_none(number),
            **_FIGURES,
        ),
        low=1,
    ),
    artifacts=each(
        with_keys(
            optional=("gzip_bytes", *_LATER),
            file=text,
            **all_of(count, "bytes gzip_bytes"),
            latency_ratio=or_none(number),
            **_SCORE,
            **_LATER,
        )
    ),
    early_exit=with_keys(
        optional=tuple(_LATER), **all_of(number, "budget threshold share"), **_FIGURES
    ),
    ood=with_keys(
        **all_of(text, "dataset fingerprint"),
        num_images=count,
        rows=each(with_keys(name=text, **all_of(number, "auroc fpr95"))),
    ),
    corruptions=with_keys(
        images=count,
        kinds=each(text),
        rows=each(
            with_keys(
                name=text,
                clean=with_keys(**_CORRUPTED),
                corrupted=each(with_keys(corruption=text, severity=count, **_CORRUPTED)),
            )
        ),
    ),
    curves=each(with_keys(curve=PAIR, points=each(with_keys(**all_of(number, "r accuracy nll"))))),
    bridges=each(
        with_keys(
            optional=("residual",),
            curve=PAIR,
            type=count,
            taps=each(text),
            residual=flag,
            **all_of(number, "r width relative_flops relative_params kl kl_base agreement"),
        )
    ),
)
