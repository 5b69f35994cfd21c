"""Timing exported files: bin/benchmark --measure=latency."""

import json
import shutil

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from bridge_tf import BridgeEnsemble, InputError, build_bridge, export
from bridge_tf.evaluation import latency as latency_module
from bridge_tf.evaluation.latency import check_files, in_turn, latencies
from tests.commands import done, refused
from tests.tiny import tiny_network

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def exported(images, tmp_path_factory):
    base = tiny_network(0)
    ensemble = BridgeEnsemble(base, [build_bridge(base, "relu0", 1)])
    return export(ensemble, tmp_path_factory.mktemp("exported"), "model", images)


@pytest.mark.integration  # files are timed in processes of their own
def test_a_row_a_file_signature_and_number_of_threads(exported):
    files = [exported.tflite, exported.saved_model]
    given = f"--files={files[0]},{files[1]}"
    printed = done("benchmark", "--measure=latency", given, "--threads=2,1", "--rounds=3")
    rows = [json.loads(line) for line in printed.stdout.splitlines()]
    assert [(row["threads"], row["file"], row["signature"]) for row in rows] == [
        (threads, str(path), signature)
        for threads in (2, 1)
        for path in files
        for signature in ("base", "serving_default")
    ]
    for row in rows:
        assert 0 < row["median_ms"] <= row["p95_ms"]
        assert row["ratio"] > 0 and row["ratio_to"] == f"base of {exported.tflite}"
        # Of the batch, the default is not that of training.
        assert (row["batch_size"], row["rounds"], row["calls"]) == (1, 3, 5)


def test_what_is_timed(monkeypatch, exported):
    """The images, how often, and what the ratio compares; in this process, with a clock of ours."""
    monkeypatch.setattr(latency_module, "ProcessPoolExecutor", HereAndNow)
    clock, calls = [0.0], []
    monkeypatch.setattr(latency_module.time, "perf_counter", lambda: clock[0])
    load = latency_module._litert

    def timed(path, signature, threads):
        run, name, shape, dtype = load(path, signature, threads)

        def run_in(**inputs):
            clock[0] += {"base": 0.002, "serving_default": 0.003}[signature]
            calls.append((signature, threads, inputs[name]))
            return run(**inputs)

        return run_in, name, shape, dtype

    monkeypatch.setattr(latency_module, "_litert", timed)
    rows = list(latencies([exported.tflite], [3], batch_size=4, rounds=2))
    assert [(row["ratio"], row["median_ms"], row["p95_ms"]) for row in rows] == [
        (1.0, 2.0, 2.0),
        (1.5, 3.0, 3.0),
    ]
    # 2 rows of 2 sides, 2 + 10 rounds of 5 calls, and one of each of the three loaded.
    assert len(calls) == 2 * 2 * 12 * 5 + 3
    for _, threads, images in calls:
        assert threads == 3
        assert images.shape == (4, 8, 8, 1) and images.dtype == np.float32
        assert 0 <= images.min() < 30 and 225 < images.max() <= 255


class HereAndNow:
    """In place of a pool of processes."""

    def __init__(self, *arguments, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def submit(self, function, *arguments):
        self.found = function(*arguments)
        return self

    def result(self):
        return self.found


def test_two_are_run_in_turn():
    order = []

    def run(name):
        order.append(name)
        return name.upper()

    assert in_turn(lambda: run("a"), lambda: run("b"), 3) == [("A", "B")] * 3
    assert order == list("baabba")


def test_files_that_cannot_be_timed_are_named(exported, tmp_path):
    (tmp_path / "a.keras").write_text("")
    for path, words in (
        (tmp_path / "absent.tflite", "absent.tflite doesn't exist; name exported .tflite files"),
        (tmp_path / "a.keras", "a.keras is of no known kind"),
        (exported.saved_model.parent, "model is of no known kind"),  # holds versions
    ):
        with pytest.raises(InputError, match=f"`files`: .*{words}"):
            check_files([exported.tflite, path])
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(exported.tflite.read_bytes()[:1000])
    renamed = tmp_path / "renamed.tflite"
    content = exported.tflite.read_bytes()
    renamed.write_bytes(content.replace(b"serving_default\0", b"serving_another\0"))
    for path, words in (
        (damaged, "damaged.tflite can't be run"),
        (renamed, "renamed.tflite has no signature serving_default, but base, bridge_0"),
    ):
        with pytest.raises(InputError, match=f"`files`: .*{words}"):
            latency_module._latencies([exported.tflite, path], 1, 1, 1)
    broken = shutil.copytree(exported.saved_model, tmp_path / "broken")
    (broken / "saved_model.pb").write_bytes(b"no graph")
    given = f"--files={exported.tflite},{broken}"
    line = refused("benchmark", "--measure=latency", given, "--verbosity=-2")
    assert f"--files: {broken} can't be run" in line


def test_inputs_that_are_no_images_or_of_a_fixed_batch(exported, tmp_path):
    model = schema.Model.GetRootAs(content := bytearray(exported.tflite.read_bytes()))
    for graph in map(model.Subgraphs, range(model.SubgraphsLength())):
        tensor = graph.Tensors(graph.Inputs(0))
        tensor.ShapeSignatureAsNumpy()[0] = 1
    fixed = tmp_path / "fixed.tflite"
    fixed.write_bytes(content)
    assert len(latency_module._latencies([fixed], 1, 1, 1)) == 2
    with pytest.raises(InputError, match=r"`batch_size=2`: .*fixed.tflite takes batches of 1 "):
        latency_module._latencies([fixed], 1, 2, 1)
    with pytest.raises(InputError, match=r"takes no images of one size, but \[-1, 7\]"):
        latency_module._images(fixed, (-1, 7), 1)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("--measure=latency", "--files: missing"),
        ("--measure=latency --files=", "--files: missing"),
        ("--measure=latency --files=no.tflite", "--files: no.tflite doesn't exist"),
        ("--files=a.tflite", "--files: is for --measure=latency"),
        ("--measure=curve_step --threads=1", "--threads: is for --measure=latency"),
        ("--measure=latency --files=F --threads=0", "--threads=0: must be whole numbers from 1"),
        ("--measure=latency --files=F --threads=1,two", "--threads=1,two: must be whole"),
        ("--measure=latency --files=F --threads=", "--threads=: must be whole"),
        ("--measure=latency --files=F --threads=1000", "--threads=1000: must be whole"),
        ("--measure=latency --files=F --batch_size=0", "--batch_size=0: must be at least 1"),
        pytest.param(
            "--measure=latency --files=F --threads=1",
            "F.tflite can't be run",
            marks=pytest.mark.integration,  # found in the other process
        ),
    ],
)
def test_bad_flags_are_named(tmp_path, given, words):
    path = tmp_path / "F.tflite"
    path.write_bytes(b"no model")
    line = refused("benchmark", *given.replace("=F", f"={path}").split(), "--verbosity=-2")
    assert words in line
