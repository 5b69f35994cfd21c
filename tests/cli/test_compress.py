"""bin/compress on a small run: what it writes, measures and refuses."""

import contextlib
import json
import pathlib
import shutil
import signal
import types

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from scipy.special import softmax

from tests.cli.test_stops import interrupted
from tests.commands import done, refused
from tests.conftest import REPOSITORY
from tests.extras import needs_compression

pytestmark = needs_compression

FILES = ["digits.qat.tflite", "digits.prune.tflite"]


@pytest.fixture(scope="module")
def compressed(smoke_run, tmp_path_factory):
    """A finished run whose export is compressed in one way, and its flags."""
    original = smoke_run(REPOSITORY / "configs" / "digits.flags")
    folder = tmp_path_factory.mktemp("compressed")  # other tests want the original as it is
    run = types.SimpleNamespace(
        work=shutil.copytree(original.work, folder / "work"),
        exports=shutil.copytree(original.exports, folder / "exports"),
    )
    flags = [f"--workdir={run.work}", f"--export_dir={run.exports}", "--max_accuracy_drop=1"]
    flags += ["--latency=false", "--epochs=1"]
    result = done("compress", *flags, "--method=qat")
    assert result.stdout.split() == [str(run.exports / FILES[0])]
    return run, flags


@pytest.fixture(scope="module")
def pruned(compressed, tmp_path_factory):
    """The same run, whose export is compressed in two ways."""
    original, flags = compressed
    run, places = copied(original, tmp_path_factory.mktemp("pruned"))
    flags = [*flags, *places]
    result = done("compress", *flags, "--method=prune", "--sparsity=0.6")
    assert result.stdout.split() == [str(run.exports / FILES[1])]
    return run, flags


def copied(run, folder) -> tuple[types.SimpleNamespace, list[str]]:
    """A copy of a run and its exports, and the flags that name it."""
    work, exports = (shutil.copytree(x, folder / x.name) for x in (run.work, run.exports))
    places = [f"--workdir={work}", f"--export_dir={exports}"]
    return types.SimpleNamespace(work=work, exports=exports), places


def kernels(path) -> list[np.ndarray]:
    """The weights of the convolutions and dense layers of a file."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    weighted = {schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED}
    types = {schema.TensorType.FLOAT32: "float32", schema.TensorType.INT8: "int8"}
    found = {}
    for graph in model.subgraphs:
        for operator in graph.operators:
            if codes[operator.opcodeIndex] in weighted:
                tensor = graph.tensors[operator.inputs[1]]
                data = np.asarray(model.buffers[tensor.buffer].data, "uint8")
                found[tensor.buffer] = data.view(types[tensor.type])
    assert len(found) > 10
    return list(found.values())


@pytest.mark.integration
def test_weights_of_a_quantized_file_are_of_8_bits(compressed):
    run, _ = compressed
    assert {kernel.dtype for kernel in kernels(run.exports / FILES[0])} == {np.dtype("int8")}


@pytest.mark.slow
def test_weights_of_a_pruned_file_are_zeros_as_asked(pruned):
    run, _ = pruned
    prune = kernels(run.exports / FILES[1])
    zeros = [np.mean(kernel == 0) for kernel in prune]
    np.testing.assert_allclose(zeros, 0.6, atol=0.02)
    assert min(len(np.unique(kernel)) for kernel in prune) > 16


@pytest.mark.slow
def test_weights_of_a_clustered_file_share_values(pruned, tmp_path):
    original, flags = pruned
    run, places = copied(original, tmp_path)
    done("compress", *flags, *places, "--method=cluster", "--clusters=8")
    found = kernels(run.exports / "digits.cluster.tflite")
    assert max(len(np.unique(kernel)) for kernel in found) <= 8
    rows = json.loads((run.work / "report.json").read_text())["artifacts"]
    sent = {row["file"]: row["gzip_bytes"] for row in rows}
    assert list(sent) == ["ensemble.keras", "digits.tflite", *FILES, "digits.cluster.tflite"]
    assert sent["digits.cluster.tflite"] < 0.4 * sent["digits.tflite"]


@pytest.mark.integration
def test_signatures_of_the_quantized_file_go_on_from_each_other(compressed):
    """Whoever answers early by parts gets what the whole gives."""
    run, _ = compressed
    model = Interpreter(str(run.exports / "digits.qat.tflite"))
    whole, base, taps, bridges = (
        model.get_signature_runner(name) for name in ("serving_default", "base", "taps", "bridges")
    )
    image = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 1)).astype("float32")
    tapped = taps(image=image)
    # The base is calibrated by its own temperature, which the range of its logits shows.
    raw, calibrated = (
        np.log(x.astype("float64"))
        for x in (tapped["probabilities"][:, 0], base(image=image)["probabilities"])
    )
    temperature = np.ptp(raw) / np.ptp(calibrated)
    assert temperature != pytest.approx(1, rel=1e-4)
    np.testing.assert_allclose(softmax(raw / temperature, axis=1), np.exp(calibrated), atol=1e-5)
    wanted = whole(image=image)
    for name, value in bridges(**tapped).items():
        np.testing.assert_allclose(value, wanted[name], atol=0.02)  # a few steps of 8 bits
    np.testing.assert_allclose(wanted["probabilities"].sum(), 1, atol=1e-5)


@pytest.mark.integration
def test_files_are_in_the_report_beside_the_others(compressed):
    run, _ = compressed
    report = json.loads((run.work / "report.json").read_text())
    rows = {row["file"]: row for row in report["artifacts"]}
    assert list(rows) == ["ensemble.keras", "digits.tflite", FILES[0]]
    assert rows[FILES[0]]["bytes"] == (run.exports / FILES[0]).stat().st_size
    assert rows[FILES[0]]["bytes"] < 0.6 * rows["digits.tflite"]["bytes"]
    assert FILES[0] in (run.work / "report.html").read_text()


@pytest.mark.slow
def test_a_pruned_file_stands_beside_the_quantized_one(pruned):
    run, _ = pruned
    report = json.loads((run.work / "report.json").read_text())
    rows = {row["file"]: row for row in report["artifacts"]}
    assert list(rows) == ["ensemble.keras", "digits.tflite", *FILES]
    assert all(rows[name]["bytes"] == (run.exports / name).stat().st_size for name in FILES)
    assert rows[FILES[1]]["gzip_bytes"] < 0.75 * rows["digits.tflite"]["gzip_bytes"]


@pytest.mark.slow
def test_what_is_there_stays_and_an_export_takes_it_away(pruned, tmp_path):
    run, flags = pruned
    before = {name: (run.exports / name).stat().st_mtime_ns for name in FILES}
    result = done("compress", *flags, "--method=qat,prune", "--sparsity=0.6")
    assert "digits.prune.tflite: there already" in result.stderr
    assert before == {name: (run.exports / name).stat().st_mtime_ns for name in FILES}

    run, places = copied(run, tmp_path)
    done("export", *places, "--tflite=int8_dynamic", "--latency=false")
    assert not any((run.exports / name).exists() for name in FILES)
    report = json.loads((run.work / "report.json").read_text())
    names = [row["file"] for row in report["artifacts"]]
    assert names == ["ensemble.keras", "digits.tflite", "digits.int8_dynamic.tflite"]


@pytest.mark.integration
def test_a_signal_ends_both_processes_and_nothing_stays(compressed, tmp_path):
    run, flags = compressed
    before = {path.name for path in run.exports.iterdir()}
    flags = [*flags, "--method=prune", "--epochs=1000000"]

    def workers() -> list[str]:
        found = []
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                found.append(path.read_text())
        return [c for c in found if "compression.worker" in c and f"{run.exports}/." in c]

    said = interrupted("compress", *flags, cwd=tmp_path, ready=workers, signum=signal.SIGTERM)
    assert said[-1] == "bridge-tf compress: interrupted"
    assert workers() == []
    assert {path.name for path in run.exports.iterdir()} == before


@pytest.mark.integration
def test_bad_input_is_named(compressed, tmp_path):
    run, flags = compressed
    work = f"--workdir={run.work}"
    assert "--method=" in refused("compress", *flags)
    assert "--method=fold: must be one or more of qat" in refused(
        "compress", *flags, "--method=fold"
    )
    assert "--sparsity=1.5: must be below 1" in refused(
        "compress", *flags, "--method=prune", "--sparsity=1.5"
    )
    elsewhere = f"--export_dir={tmp_path / 'elsewhere'}"
    message = refused("compress", work, elsewhere, "--method=qat")
    assert "holds no export of this run's ensemble; export it there first" in message
    assert not (tmp_path / "elsewhere").exists()
