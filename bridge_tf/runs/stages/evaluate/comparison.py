"""The comparison that a run reports: every way of ensembling, at its cost."""

from bridge_tf.bridges.bridge import bridge_taps, is_residual
from bridge_tf.config.names import SCHEMA
from bridge_tf.curves.batch_norm import unsettled
from bridge_tf.data import steps_per_epoch
from bridge_tf.evaluation import metrics
from bridge_tf.evaluation.calibration import calibration_harms
from bridge_tf.evaluation.dee import measure_yardstick
from bridge_tf.evaluation.early_exit import going_on, measure_early_exit
from bridge_tf.evaluation.pooling import Resampled
from bridge_tf.evaluation.table import Table
from bridge_tf.networks.flops import count_flops, count_params
from bridge_tf.runs.bridge_settings import bridge_settings, starts_warm
from bridge_tf.runs.context import Run
from bridge_tf.runs.prediction_sets import measure_run_sets
from bridge_tf.runs.rows import rows_of
from bridge_tf.runs.stages.evaluate.cascade_rows import add_cascades
from bridge_tf.runs.stages.evaluate.details import Details
from bridge_tf.runs.stages.evaluate.predictions import Predictions
from bridge_tf.runs.stages.evaluate.shifted import early_exit_shifted, measure_shifted
from bridge_tf.runs.stages.evaluate.warnings import find_warnings
from bridge_tf.runs.training_cost import TrainingCosts


def compare(run: Run) -> tuple[dict, dict, Resampled]:
    """Measures a finished run on its test split: content of report.json and figures/data.json.

    The third is what `write_resampled` takes.
    """
    predictions, dataset = Predictions(run), run.data
    labels = dataset.test.labels, dataset.validation.labels
    table, details = Table(predictions.models[0], *labels), Details(dataset)
    costs = TrainingCosts(run, predictions.ensemble, table.flops)
    members_of, harmed = [], []
    for method, name, graph, members in rows_of(run, predictions.ensemble):
        log_probs = [predictions.log_probs[member] for member in members]
        row, test, validation = table.add(name, method, graph, log_probs)
        row["training_cost"] = costs.of(members, row["relative_flops"])
        if calibration_harms(test, labels[0], row["temperature"]):
            harmed.append((name, row["nll"], row["calibrated_nll"]))
        details.add(name, method, test, row)
        members_of.append(members)
    cascades = add_cascades(run, predictions, table, members_of, costs)
    modes = [predictions.log_probs["mode", k] for k in range(len(predictions.models))]
    yardstick, resampled = measure_yardstick(modes, table.resamples)
    sizes = [size["calibrated_nll"] for size in yardstick]
    table.add_equivalents(sizes, resampled)
    # The last row above is that of all bridges, which is exported.
    more = going_on(run.config.bridge_type, row["relative_flops"])
    early_exit = measure_early_exit(
        predictions.log_probs[predictions.base],
        (test, validation),
        labels,
        run.config.early_exit_budget,
        more,
        sizes,
    )
    early_exit["shifted"] = early_exit_shifted(run, predictions, early_exit["threshold"], more)
    curves, lines = (
        [{"curve": list(pair), "points": walk[k]} for pair, walk in predictions.walks.items()]
        for k in range(2)
    )
    bridges = [
        _bridge_row(run, predictions, pair, r, table) for pair, r in run.places(predictions.pairs)
    ]
    warnings = find_warnings(
        dataset,
        predictions.validation_errors(),
        curves,
        bridges,
        accuracies=predictions.accuracies(),
        retries=run.files.retries(),
        changed=run.files.changed(run.inputs),
        seen=bool(run.config.modes) and dataset.validation_from == "train",
        harmed=harmed,
        unsettled=_unsettled(run, predictions),
        aligned=run.config.align == "activations",
    )
    report = {
        "schema": SCHEMA,
        "warnings": warnings,
        **_describe(dataset),
        "base": {"params": table.params, "flops": table.flops},
        "early_exit": early_exit,
        "average_cost": run.config.average_cost,
        "recommendation": table.recommend(run.config.budget),
        "ensembles": table.rows,
        "yardstick": yardstick,
        "cascades": cascades,
        "prediction_sets": measure_run_sets(run, row, test, validation),
        "curves": curves,
        "bridges": bridges,
        **measure_shifted(run, predictions, list(zip(table.rows, members_of, strict=True))),
    }
    resamples = Resampled(table.resampled, table.held_out, resampled, run.inputs["dataset"])
    return report, details.to_json(lines, run.files.all_logs), resamples


def _unsettled(run: Run, predictions: Predictions) -> dict[str, tuple[float, int]]:
    """What batch normalizations hold of their first values, of networks that began afresh."""
    config, found = run.config, {}
    steps = steps_per_epoch(run.data.train, config.batch_size)
    if len(config.modes) < config.num_modes and not config.weights:
        total = steps * config.mode_epochs
        found["modes"] = unsettled(predictions.models[-1], total), total
    if predictions.ensemble.bridges and not starts_warm(run):
        total = steps * config.bridge_epochs
        found["bridges"] = unsettled(predictions.ensemble.bridges[0], total), total
    return found


def _describe(dataset) -> dict:
    """What a report says of its images."""
    faults = dataset.faults
    return {
        "dataset": {
            "name": dataset.name,
            "num_train": len(dataset.train),
            "num_validation": len(dataset.validation),
            "num_test": len(dataset.test),
            "num_classes": dataset.num_classes,
        },
        "data": {
            "skipped": list(faults.skipped),
            "duplicates": faults.duplicates,
            "num_test_available": len(dataset.test) + faults.test_left_out,
        },
    }


def _bridge_row(run: Run, predictions: Predictions, pair, r: float, table: Table) -> dict:
    index = predictions.pairs.index(pair)
    bridge = predictions.ensemble.bridges[index]
    member, predicted = (predictions.log_probs[kind, pair, r][0] for kind in ("member", "bridge"))
    base = predictions.log_probs[predictions.base][0]
    taps, (_, width) = bridge_taps(bridge)[1], bridge_settings(run)
    target = run.config.bridge_target
    return {
        "curve": list(pair),
        **({} if target == "curve" else {"target": target}),
        "r": r,
        "type": run.config.bridge_type,
        "taps": taps,
        "width": width,
        "residual": is_residual(bridge),
        "relative_flops": count_flops(bridge) / table.flops,
        "relative_params": count_params(bridge) / table.params,
        "kl": metrics.kl_divergence(member, predicted),
        "kl_base": metrics.kl_divergence(member, base),
        "agreement": metrics.agreement(member, predicted),
    }
