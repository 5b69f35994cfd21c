"""The comparison that a run reports: every way of ensembling, at its cost."""

from collections.abc import Iterator

from bridge_tf.bridges.bridge import bridge_taps, is_residual
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.evaluation import metrics
from bridge_tf.runs.stages.evaluate.baseline_rows import baseline_rows
from bridge_tf.networks.flops import count_flops, count_params
from bridge_tf.evaluation.dee import deep_ensemble_equivalent
from bridge_tf.runs.stages.evaluate.details import Details
from bridge_tf.evaluation.early_exit import going_on, measure_early_exit
from bridge_tf.runs.stages.evaluate.shifted import measure_elsewhere
from bridge_tf.runs.stages.evaluate.predictions import Predictions
from bridge_tf.evaluation.scores import score
from bridge_tf.runs.cost_model.training_cost import TrainingCosts
from bridge_tf.runs.stages.evaluate.warnings import find_warnings
from bridge_tf.config.names import SCHEMA


def compare(run) -> tuple[dict, dict]:
    """Measures a finished run on its test split.

    Args:
        run: a `bridge_tf.runs.context.Run` whose training stages are done.

    Returns:
        The content of report.json, and of figures/data.json (see `bridge_tf.runs.stages.evaluate.details`).
    """
    predictions = Predictions(run)
    base = predictions.models[0]
    flops, params = count_flops(base), count_params(base)
    yardstick = []
    ensembles, members_of = [], []
    details = Details(run.data)
    costs = TrainingCosts(run, predictions.ensemble, flops)
    for method, name, graph, members in _rows(run, predictions):
        test, validation = predictions.of_ensemble(members)
        figures = score(test, run.data.test.labels, validation, run.data.validation.labels)
        details.add(name, method, test, figures)
        if method in ("single", "deep_ensemble"):
            yardstick.append(figures["calibrated_nll"])
        relative_flops = 1.0 if graph is base else count_flops(graph) / flops
        ensembles.append(
            {
                "name": name,
                "method": method,
                "size": len(members),
                "relative_flops": relative_flops,
                "relative_params": count_params(graph) / params,
                "training_cost": costs.of(members, relative_flops),
                **figures,
                "disagreement": metrics.disagreement(
                    [predictions.log_probs[member][0] for member in members]
                ),
            }
        )
        members_of.append(members)
    # The last row is that of all bridges, which is exported.
    early_exit = measure_early_exit(
        predictions.log_probs["mode", 0],
        (test, validation),
        [split.labels for split in predictions.splits],
        run.config.early_exit_budget,
        going_on(run.config.bridge_type, ensembles[-1]["relative_flops"]),
        yardstick,
    )
    for row in ensembles:
        row["dee"], row["dee_extrapolated"] = deep_ensemble_equivalent(
            row["calibrated_nll"], yardstick
        )
    curves = [
        {"curve": list(pair), "points": points} for pair, (points, _) in predictions.walks.items()
    ]
    bridges = [
        _bridge_row(run, predictions, pair, r, flops, params)
        for pair, r in predictions.places(predictions.pairs)
    ]
    warnings = find_warnings(
        run.data,
        predictions.validation_errors(),
        curves,
        bridges,
        accuracies=predictions.accuracies(),
        retries=run.files.retries(),
        changed=run.files.changed(run.inputs),
    )
    faults = run.data.faults
    report = {
        "schema": SCHEMA,
        "warnings": warnings,
        "dataset": {
            "name": run.data.name,
            "num_train": len(run.data.train),
            "num_validation": len(run.data.validation),
            "num_test": len(run.data.test),
            "num_classes": run.data.num_classes,
        },
        "data": {
            "skipped": list(faults.skipped),
            "duplicates": faults.duplicates,
            "num_test_available": len(run.data.test) + faults.test_left_out,
        },
        "base": {"params": params, "flops": flops},
        "early_exit": early_exit,
        "ensembles": ensembles,
        "curves": curves,
        "bridges": bridges,
        **measure_elsewhere(run, predictions, list(zip(ensembles, members_of, strict=True))),
    }
    lines = [
        {"curve": list(pair), "points": points} for pair, (_, points) in predictions.walks.items()
    ]
    return report, details.to_json(lines, run.files.all_logs)


def _rows(run, predictions: Predictions) -> Iterator[tuple]:
    """(method, name, the graph that is executed, its members) of each row of the table.

    One by one, since a graph holds copies of all the networks in it.
    """
    modes, pairs = predictions.models, predictions.pairs
    yield "single", "single", modes[0], [("mode", 0)]
    for size in range(2, len(modes) + 1):
        members = [("mode", k) for k in range(size)]
        graph = BridgeEnsemble(modes[0], [], modes[1:size])
        yield "deep_ensemble", f"deep_ensemble_{size}", graph, members
    # Bridges of Type II need both ends of their curves, which are then members as well.
    type_2 = run.config.bridge_type == 2
    executed = [max(j for _, j in pairs[:k]) + 1 if type_2 else 1 for k in range(1, len(pairs) + 1)]
    for k, num_modes in enumerate(executed, start=1):
        members = [("mode", i) for i in range(num_modes)]
        members += [("member", *place) for place in predictions.places(pairs[:k])]
        # A curve member costs what a mode costs: any network of its architecture stands for it.
        graph = BridgeEnsemble(modes[0], [], [modes[0]] * (len(members) - 1))
        yield "curve", f"curve_{k}", graph, members
    yield from baseline_rows(run, modes)
    for k, num_modes in enumerate(executed, start=1):
        members = [("mode", i) for i in range(num_modes)]
        members += [("bridge", *place) for place in predictions.places(pairs[:k])]
        yield "bridge", f"bridge_{k}", predictions.ensemble.first(k), members


def _bridge_row(run, predictions, pair, r, flops, params) -> dict:
    index = predictions.pairs.index(pair)
    bridge = predictions.ensemble.bridges[index]
    member, answer = (predictions.log_probs[kind, pair, r][0] for kind in ("member", "bridge"))
    base = predictions.log_probs["mode", 0][0]
    taps, (_, width) = bridge_taps(bridge)[1], run.bridge_settings()
    return {
        "curve": list(pair),
        "r": r,
        "type": run.config.bridge_type,
        "taps": taps,
        "width": width,
        "residual": is_residual(bridge),
        "relative_flops": count_flops(bridge) / flops,
        "relative_params": count_params(bridge) / params,
        "kl": metrics.kl_divergence(member, answer),
        "kl_base": metrics.kl_divergence(member, base),
        "agreement": metrics.agreement(member, answer),
    }
