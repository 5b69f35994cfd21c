"""The tables of docs/scale.md.

python docs/results/scale/tables.py check      # rows.jsonl against the model
python docs/results/scale/tables.py recipes    # the paper's recipes, and 64 modes
"""

import dataclasses
import json
import pathlib
import shlex
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))

import measure

from bridge_tf.config import Config
from bridge_tf.runs.cost_model import Cost, CostModel, DataSizes

RECIPES = pathlib.Path(__file__).parents[3] / "configs" / "paper"
FLOPS_A_SECOND = 50e12  # an assumption
DIGITS = DataSizes(900, 100, 797, (8, 8, 1), 10)
MEASURED = {
    "digits": DIGITS,
    "digits_2": DIGITS,
    "digits_r": DIGITS,
    "cifar": DataSizes(2000, 2000, 2000, (32, 32, 3), 10),
    "cifar_wide": DataSizes(640, 640, 640, (32, 32, 3), 10),
}
PAPER = {
    "cifar10": DataSizes(45_000, 5_000, 10_000, (32, 32, 3), 10),
    "cifar100": DataSizes(45_000, 5_000, 10_000, (32, 32, 3), 100),
    "tiny_imagenet": DataSizes(90_000, 10_000, 10_000, (64, 64, 3), 200),
    "imagenet": DataSizes(1_255_543, 25_624, 50_000, (224, 224, 3), 1000),
}


def check() -> None:
    print("| run | task | steps | FLOPs |")
    print("| --- | --- | --- | --- |")
    models = {}
    for line in pathlib.Path(__file__).with_name("rows.jsonl").read_text().splitlines():
        row = json.loads(line)
        name = row["run"]
        if name not in models:
            models[name] = CostModel(measure.config_of(name, "runs", ""), MEASURED[name])
        model = models[name]
        found = model.of(model.graph.tasks[row["task"]])
        predicted, measured = found.flops, row["flops"]
        if row["task"] == "export":  # TensorFlow's and LiteRT's own passes are no HLO
            predicted = model.evaluation.keras_export_flops
        ratio = f" {predicted / measured:.2f}" if measured else ""
        flops = f"{_short(predicted)} / {_short(measured)}{ratio}"
        print(f"| {name} | {row['task']} | {found.steps} / {row['steps']} | {flops} |")


def recipes() -> None:
    runs = {name: (name, {}) for name in PAPER}
    for name in ("cifar10", "imagenet"):
        for kind in (1, 2):
            runs[f"{name}, 64 modes, Type {kind}"] = (
                name,
                {"num_modes": 64, "bridge_type": kind},
            )
    for title, (name, changes) in runs.items():
        began = time.monotonic()
        model = CostModel(_recipe(name, changes), PAPER[name])
        show(title, model)
        print(f"\n(computed in {time.monotonic() - began:.1f} s)\n")


def _recipe(name: str, changes: dict) -> Config:
    lines = (RECIPES / f"{name}.flags").read_text("utf-8").splitlines()
    flags = dict(_flag(line) for line in lines if line.startswith("--"))
    values = {}
    for field in dataclasses.fields(Config):
        if field.name in flags:
            values[field.name] = _value(field.type, flags[field.name])
    return Config(**{**values, **changes})


def _flag(line: str) -> tuple[str, str]:
    name, given, value = shlex.split(line)[0].removeprefix("--").partition("=")
    if given:
        return name, value
    return name.removeprefix("no"), str(not name.startswith("no"))


def _value(kind, text: str):
    if kind in (list[float], list[str]):
        return [kind.__args__[0](item) for item in text.split(",")]
    if kind is bool:
        return text.lower() == "true"
    return float(text) if kind == float | None else kind(text)


def show(title: str, model: CostModel) -> None:
    """A table of a run: a task of each kind, and all."""
    print(f"### {title}\n")
    print("| | tasks | steps | FLOPs | results |")
    print("| --- | ---: | ---: | ---: | ---: |")
    tasks = list(model.graph.tasks.values())
    kinds = dict.fromkeys(task.name.partition("-")[0] for task in tasks)
    for kind in kinds:
        some = [task for task in tasks if task.name.partition("-")[0] == kind]
        print(f"| {kind}, each | {len(some)} | {_cells(model.of(some[0]))} |")
    total, path = model.total(), model.critical_path()
    print(f"| all | {len(tasks)} | {_cells(total)} |")
    chain = model.total(path)
    days, fewest = (cost.flops / FLOPS_A_SECOND / 86_400 for cost in (total, chain))
    print(f"\nLongest chain: {', '.join(task.name for task in path)}: {_short(chain.flops)}FLOPs,")
    print(f"{days:.3g} days on one machine, {fewest:.3g} on one a task: {days / fewest:.1f} times")


def _cells(cost: Cost) -> str:
    return f"{cost.steps:,} | {_short(cost.flops)} | {_short(cost.result)}B"


def _short(number: float) -> str:
    """Three digits and a prefix: k, M, G, T, P, E."""
    for prefix in (" ", " k", " M", " G", " T", " P", " E"):
        if number < 999.5:
            return f"{number:.3g}{prefix}"
        number /= 1000
    return f"{number:.3g} Z"


if __name__ == "__main__":
    {"check": check, "recipes": recipes}[sys.argv[1]]()
