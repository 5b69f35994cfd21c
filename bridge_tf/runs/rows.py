"""The rows of a run's table: what each executes, and its members."""

from collections.abc import Iterator, Mapping, Sequence

import keras

from bridge_tf.config import Config
from bridge_tf.config.fields import SINGLE_NETWORKS, SUB_ENSEMBLE, WIDE
from bridge_tf.ensembles.baselines.members import MembersEnsemble
from bridge_tf.ensembles.bridge_ensemble import BridgeEnsemble
from bridge_tf.runs.context import Run
from bridge_tf.runs.status import baseline_files, trained_baselines
from bridge_tf.utils.errors import InputError


def rows_of(run: Run, ensemble: BridgeEnsemble) -> Iterator[tuple]:
    """(method, name, what is executed, its members) of each row, as `Table.add` takes them.

    One by one, since a graph holds copies of all the networks in it. `ensemble` is the run's;
    members are named as in `bridge_tf.runs.stages.evaluate.predictions`.
    """
    pairs = run.config.bridge_pairs()
    base = base_member(run.config)
    yield "single", "single", 1, [("mode", 0)]
    if run.config.distil_base:
        yield "student", "student_1", 1, [base]
    for size in range(2, run.config.num_modes + 1):
        members = [("mode", k) for k in range(size)]
        yield "deep_ensemble", f"deep_ensemble_{size}", size, members
    # Bridges of Type II need both ends of their curves, which are then members as well.
    type_2 = run.config.bridge_type == 2
    executed = [max(j for _, j in pairs[:k]) + 1 if type_2 else 1 for k in range(1, len(pairs) + 1)]
    for k, num_modes in enumerate(executed if run.config.curves() else [], start=1):
        members = [("mode", i) for i in range(num_modes)]
        members += [("member", *place) for place in run.places(pairs[:k])]
        yield "curve", f"curve_{k}", len(members), members
    yield from _baseline_rows(run)
    for k, num_modes in enumerate(executed, start=1):
        members = [base, *(("mode", i) for i in range(1, num_modes))]
        members += [("bridge", *place) for place in run.places(pairs[:k])]
        yield "bridge", f"bridge_{k}", ensemble.first(k), members


def _baseline_rows(run: Run) -> Iterator[tuple]:
    """(method, name, what is executed, its members) of each row, as `Table.add` takes them."""
    for name in trained_baselines(run):
        files = baseline_files(run, name)
        if name == "fge":
            # The trained network that the cycles begin with, and those at their ends.
            members = [("mode", 0), *((name, k) for k in range(len(files)))]
            for size in range(2, len(members) + 1):
                yield name, f"{name}_{size}", size, members[:size]
        elif name == SUB_ENSEMBLE:
            members = [base_member(run.config), *((name, k) for k in range(len(files)))]
            ensemble = sub_ensemble(run)
            for size in range(1, len(files) + 1):
                yield name, f"{name}_{size}", ensemble.first(size), members[: size + 1]
        elif name == "packed":
            networks = [run.load(path, keras.Model) for path in files]
            packed = BridgeEnsemble(networks[0], [], networks[1:])
            yield name, f"{name}_{len(files)}", packed, [(name, k) for k in range(len(files))]
        elif name in SINGLE_NETWORKS:
            yield name, f"{name}_1", 1, [(name, 0)]
        else:
            graph = run.load(files[0], keras.Model)
            size = baseline_size(graph)
            yield name, f"{name}_{size}", graph, [(name, k) for k in range(size)]


def sub_ensemble(run: Run) -> BridgeEnsemble:
    """The base with the tails that learned from labels alone."""
    files = baseline_files(run, SUB_ENSEMBLE)
    return BridgeEnsemble(run.load_base(), [run.load(path, keras.Model) for path in files])


def base_member(config: Config) -> tuple[str, int]:
    """The name of the base among the members."""
    return ("student", 0) if config.distil_base else ("mode", 0)


def baseline_size(model) -> int:
    """How many members a baseline's model has: those of its output, or one."""
    if isinstance(model.output, dict):
        return model.output["log_probabilities"].shape[1]
    return 1


def cascade_pairs(
    rows: Mapping[str, tuple[str, Sequence[tuple]]], num_modes: int
) -> Iterator[tuple[str, str, str]]:
    """(name, row of the first stage, row of the second) of each cascade of a run.

    `cascade_k` is mode 0 and then the first k modes; `student_cascade_k` a student and then all k
    modes; `bridge_cascade_k` the base with k bridges and then all modes. `rows` are method and
    members of all other rows, by name.
    """
    for size in range(2, num_modes + 1):
        yield f"cascade_{size}", "single", f"deep_ensemble_{size}"
    if "student_1" in rows:
        yield f"student_cascade_{num_modes}", "student_1", f"deep_ensemble_{num_modes}"
    for name, (method, members) in rows.items():
        # With bridges of Type II all modes may be executed in the first stage.
        if method == "bridge" and executed_modes(members) < num_modes:
            yield name.replace("bridge", "bridge_cascade"), name, f"deep_ensemble_{num_modes}"


def executed_modes(members: Sequence[tuple]) -> int:
    """How many modes are executed for these members: always the first ones."""
    return sum(member[0] == "mode" for member in members)


def row_ensemble(run: Run, name: str, more: Sequence[str] = ()) -> BridgeEnsemble | MembersEnsemble:
    """A row of the table that is no cascade as one model, without temperatures.

    Raises:
        InputError: there is no such row; the message names all, and `more`. Or a file is damaged.
    """
    known, ensemble = [], run.load(run.files.ensemble, BridgeEnsemble)
    for method, row, executed, members in rows_of(run, ensemble):
        known.append(row)
        if row != name:
            continue
        if isinstance(executed, BridgeEnsemble):
            return executed
        if not isinstance(executed, int) and method not in (*WIDE, "laplace"):
            return MembersEnsemble(executed)
        networks = [_network(run, *member) for member in members]
        return BridgeEnsemble(networks[0], [], networks[1:])
    names = ", ".join([*known, *more])
    raise InputError(f"`ensemble={name}`: isn't a row that can be exported; name one of {names}")


def _network(run: Run, kind: str, which, r: float | None = None) -> keras.Model:
    """The network of a member."""
    if kind == "mode":
        return run.load_mode(which)
    if (kind, which) == base_member(run.config):
        return run.load_base()
    if kind == "member":
        return run.member(run.load_curve(which), r)
    return run.load(baseline_files(run, kind)[which], keras.Model)
