"""What the files hold that a report is made of, as pydantic checks it.

An object has the keys that are said, and perhaps others. Those of report.json that may be left out
are not in its contract.
"""

from typing import Annotated, Literal, NotRequired

from pydantic import AfterValidator, BeforeValidator, Field, TypeAdapter, ValidationInfo
from typing_extensions import TypedDict

from bridge_tf.config.names import SCHEMA
from bridge_tf.utils.json_files import Count, Number, Pair, Text


def _all(kind, names: str) -> dict:
    return dict.fromkeys(names.split(), kind)


def _object(**keys):
    return TypedDict("_object", keys)


def _some(kind, low: int = 1):
    """A list of so many at least."""
    return Annotated[list[kind], Field(min_length=low)]


def _tuple(*kinds):
    """A list of so many items, each of its own kind."""
    to_tuple = BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value)
    return Annotated[tuple[kinds], to_tuple]


def _below_classes(value: int, info: ValidationInfo) -> int:
    if value >= info.context["classes"]:
        raise ValueError(f"must be below {info.context['classes']}")
    return value


_MAYBE = Number | None
_CLASS = Annotated[Count, AfterValidator(_below_classes)]

_SCORE = _all(
    Number, "accuracy nll brier ece temperature calibrated_nll calibrated_brier calibrated_ece"
)
_MORE = "adaptive_ece calibrated_adaptive_ece aurc"
_EQUIVALENT = {"relative_flops": Number, "dee": _MAYBE, "dee_extrapolated": bool}
_INTERVAL = _tuple(Number, Number) | None
_INTERVALS = _all(_INTERVAL, "accuracy calibrated_nll dee")
_ROW = _object(
    **_all(Text, "name method"),
    size=Count,
    relative_params=Number,
    **_SCORE,
    **_EQUIVALENT,
    **_all(NotRequired[Number], f"{_MORE} training_cost temperature_ml worst_relative_flops"),
    # Of cascades.
    **_all(NotRequired[Number], "average_flops_validation threshold share_going_on"),
    disagreement=NotRequired[_MAYBE],
    **_all(NotRequired[_object(**_INTERVALS)], "intervals versus_single"),
    versus_cheapest=NotRequired[_object(name=Text, **_INTERVALS)],
)
_YARDSTICK = _object(size=Count, subsets=Count, calibrated_nll=Number, interval=_INTERVAL)
_BUDGET = _all(NotRequired[Number], "flops worst_flops params bytes")
_RECOMMENDED = _object(
    **_all(Text, "name best"),
    budget=_object(**_BUDGET),
    is_bridge_ensemble=bool,
    **_all(Number, "validation_nll average_flops relative_flops relative_params"),
    **_all(Number, "accuracy calibrated_nll"),
    bytes=Count,
    dee=_MAYBE,
    difference=_INTERVAL,
    intervals=_object(**_INTERVALS),
)
_NONE_FITS = _object(name=None, budget=_object(**_BUDGET))
_ON_SHIFTED = _object(images=Text, num_images=Count, share=Number, relative_flops=Number)
_EARLY_EXIT = _object(
    **_all(Number, f"budget threshold share {_MORE}"),
    **_SCORE,
    **_EQUIVALENT,
    shifted=NotRequired[list[_ON_SHIFTED]],
)
_SETS = _object(
    **_all(Number, "coverage quantile test_coverage standard_error mean_size share_of_one")
)
_ARTIFACT = _object(
    file=Text,
    **_all(Count, "bytes gzip_bytes"),
    latency_ratio=_MAYBE,
    early_exit_latency_ratios=NotRequired[_tuple(Number, Number)],
    prediction_sets=NotRequired[_SETS],
    **_SCORE,
    **_all(Number, _MORE),
)
_OF_CASCADE = NotRequired[Number]
_OOD = _object(
    **_all(Text, "dataset fingerprint"),
    num_images=Count,
    rows=list[_object(name=Text, **_all(Number, "auroc fpr95"), relative_flops=_OF_CASCADE)],
)
_SHIFTED = _all(Number, "accuracy nll calibrated_nll ece") | {"relative_flops": _OF_CASCADE}
_CORRUPTIONS = _object(
    images=Count,
    kinds=list[Text],
    rows=list[
        _object(
            name=Text,
            clean=_object(**_SHIFTED),
            corrupted=list[_object(corruption=Text, severity=Count, **_SHIFTED)],
        )
    ],
)
_BRIDGE = _object(
    curve=Pair,
    type=Count,
    taps=list[Text],
    residual=NotRequired[bool],
    **_all(Number, "r width relative_flops relative_params kl kl_base agreement"),
)
_CASCADE = _object(
    name=Text,
    points=_some(
        _object(**_all(Number, "threshold share_going_on average_flops accuracy calibrated_nll"))
    ),
)
REPORT = TypeAdapter(
    _object(
        schema=Literal[SCHEMA],
        warnings=NotRequired[list[Text]],
        dataset=_object(name=Text, **_all(Count, "num_train num_validation num_test num_classes")),
        base=_object(**_all(Count, "params flops")),
        early_exit=NotRequired[_EARLY_EXIT],
        average_cost=NotRequired[Number],
        recommendation=NotRequired[_RECOMMENDED | _NONE_FITS],
        ensembles=_some(_ROW),
        yardstick=NotRequired[_some(_YARDSTICK)],
        cascades=NotRequired[list[_CASCADE]],
        prediction_sets=NotRequired[_object(name=Text, rows=list[_SETS])],
        artifacts=NotRequired[list[_ARTIFACT]],
        ood=NotRequired[_OOD],
        corruptions=NotRequired[_CORRUPTIONS],
        curves=list[_object(curve=Pair, points=list[_object(**_all(Number, "r accuracy nll"))])],
        bridges=list[_BRIDGE],
    )
)

_MAYBES = _all(_MAYBE, "accuracy calibrated_nll dee")
_OVER_RUNS = _all(list[_MAYBE], "accuracy calibrated_nll")
_DIFFERENCE = _object(
    **_INTERVALS,
    values=_object(**_OVER_RUNS),
    **_all(_object(**_all(_MAYBE, "accuracy calibrated_nll")), "mean standard_error"),
)
_CHEAPEST = _object(name=Text, **_INTERVALS)
# A mean over runs; intervals are over runs and images, those in "of_images" over images alone.
_POOLED_ROW = _object(
    **_all(Text, "name method"),
    size=Count,
    **_all(Number, "accuracy calibrated_nll relative_params worst_relative_flops training_cost"),
    **_EQUIVALENT,
    average_flops_validation=NotRequired[Number],
    standard_errors=_object(
        **_MAYBES,
        **_all(_MAYBE, "relative_flops worst_relative_flops relative_params training_cost"),
    ),
    values=_object(**_OVER_RUNS, dee=list[_MAYBE]),
    intervals=_object(**_INTERVALS),
    versus_single=NotRequired[_DIFFERENCE],
    versus_cheapest=NotRequired[_CHEAPEST],
    of_images=_object(
        intervals=_object(**_INTERVALS),
        versus_single=NotRequired[_object(**_INTERVALS)],
        versus_cheapest=NotRequired[_CHEAPEST],
    ),
)
# report.json of several runs: `bridge_tf.runs.pooling.pool_report`.
POOLED = TypeAdapter(
    _object(
        schema=Literal[SCHEMA],
        warnings=list[Text],
        dataset=_object(name=Text, **_all(Count, "num_train num_validation num_test num_classes")),
        base=_object(**_all(Count, "params flops")),
        runs=_some(_object(name=Text, seed=Count), 2),
        left_out=list[_object(name=Text, runs=list[Text])],
        average_cost=Number,
        recommendation=_RECOMMENDED | _NONE_FITS,
        ensembles=_some(_POOLED_ROW),
        yardstick=_some(
            _object(
                **_all(Count, "size subsets"),
                **_all(Number, "calibrated_nll standard_error"),
                interval=_INTERVAL,
            )
        ),
    )
)

_POINT = _object(r=Number, **_all(_MAYBE, "accuracy nll"))
_BINS = list[_object(**_all(Count, "bin images"), **_all(Number, "confidence accuracy"))]
_TOPS = list[_tuple(_CLASS, Number)]
_SHOWN = _object(index=Count, label=_CLASS, **_all(_TOPS, "base ensemble"), png=Text)
_DIFFERING = _object(number=Count, shown=list[_SHOWN])
# figures/data.json; the context is {"classes": their number}.
DETAILS = TypeAdapter(
    _object(
        schema=Literal[SCHEMA],
        class_names=list[str],  # as the data set has them, be they text or not
        lines=list[_object(curve=Pair, points=_some(_POINT))],
        reliability=list[_object(name=Text, before=_BINS, after=_BINS)],
        confusions=list[_object(name=Text, cells=list[_tuple(_CLASS, _CLASS, Count)])],
        disagreements=_object(
            **_all(Text, "base ensemble"), images=Count, **_all(_DIFFERING, "gained lost neither")
        )
        | None,
        histories=dict[str, dict[str, list[_tuple(Count, Number)]]],
        measured_on=_object(
            **_all(Text, "processor system python keras tensorflow"),
            cores=Count | None,
            accelerators=list[Text],
        ),
    )
)

# figures/loss_plane_I-J.json: what `measure_plane` returns.
PLANE = TypeAdapter(
    _object(
        curve=Pair,
        **_all(_some(Number, 3), "x y"),
        **_all(list[list[_MAYBE]], "nll accuracy"),
        points=_object(**_all(_tuple(Number, Number), "start end control")),
        path=_some(_object(**_all(Number, "r x y"))),
        images=Count,
        **_all(Number, "distance out_of_plane"),
    )
)
