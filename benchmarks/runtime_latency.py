"""Latency of base + 4 bridges over the base alone, one thread, in LiteRT, onnxruntime and OpenVINO.

    python benchmarks/runtime_latency.py make FOLDER    # the project's environment and tf2onnx
    python benchmarks/runtime_latency.py time FOLDER    # ai-edge-litert, onnxruntime and openvino

ResNet-32 twice as wide on 32×32 images, weights as they are drawn, small bridges behind
stage2_block5. Rounds of the two files alternate; the ratio is that of the medians of all rounds.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

CALLS, ROUNDS, WARM_UP = 5, 100, 10
SHAPE = (32, 32, 3)
NORMS = ("batch", "frn")
SIGNATURES = ("base", "serving_default")


def make(folder: pathlib.Path) -> None:
    """Exports what is timed: of each norm .tflite files and ONNX files."""
    import keras

    import bridge_tf
    from bridge_tf.networks.flops import count_flops

    images = np.random.default_rng(0).uniform(0, 255, (64, *SHAPE)).astype("float32")
    ratios = {}
    for norm in NORMS:
        keras.utils.set_random_seed(0)
        base = bridge_tf.build_network("resnet32", SHAPE, 10, width=2, norm=norm)
        bridges = [bridge_tf.build_bridge(base, "stage2_block5", 0.5) for _ in range(4)]
        ensemble = bridge_tf.BridgeEnsemble(base, bridges)
        bridge_tf.export(
            ensemble, folder, norm, images, tflite=["float32", "int8"], calibration=images
        )
        ratios[norm] = count_flops(ensemble) / count_flops(base)
        for name in SIGNATURES:
            saved_model, onnx = folder / norm / "1", folder / f"{norm}.{name}.onnx"
            command = [sys.executable, "-m", "tf2onnx.convert", f"--saved-model={saved_model}"]
            command += [f"--signature_def={name}", f"--output={onnx}"]
            subprocess.run(command, check=True)
    (folder / "ratios.json").write_text(json.dumps(ratios))


def measure(folder: pathlib.Path) -> None:
    """Prints a row a runtime and file: FLOPs' ratio, times in ms, their ratio."""
    ratios = json.loads((folder / "ratios.json").read_text())
    image = np.random.default_rng(1).uniform(0, 255, (1, *SHAPE)).astype("float32")
    print("| runtime | file | FLOPs × | base, ms | base + 4 bridges, ms | time × | over FLOPs |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for norm in NORMS:
        for runtime, kind, runners in _runners(folder, norm):
            times = _times([lambda run=run: run(image) for run in runners])
            ratio = times[1] / times[0]
            print(
                f"| {runtime} | {norm} {kind} | {ratios[norm]:.3f} | {times[0]:.3f} | "
                f"{times[1]:.3f} | {ratio:.3f} | {ratio / ratios[norm]:.3f} |",
                flush=True,
            )


def _runners(folder: pathlib.Path, norm: str):
    from ai_edge_litert.interpreter import Interpreter

    for kind, path in (("float32", f"{norm}.tflite"), ("int8", f"{norm}.int8.tflite")):
        runners = []
        for name in SIGNATURES:
            interpreter = Interpreter(str(folder / path), num_threads=1)
            runner = interpreter.get_signature_runner(name)
            runners.append(lambda image, runner=runner, _keep=interpreter: runner(image=image))
        yield "LiteRT", kind, runners
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    runners = []
    for name in SIGNATURES:
        session = onnxruntime.InferenceSession(str(folder / f"{norm}.{name}.onnx"), options)
        given = session.get_inputs()[0].name
        runners.append(lambda image, s=session, given=given: s.run(None, {given: image}))
    yield "onnxruntime", "float32", runners
    import openvino

    core = openvino.Core()
    runners = []
    for name in SIGNATURES:
        model = core.read_model(folder / f"{norm}.{name}.onnx")
        settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
        compiled = core.compile_model(model, "CPU", settings)
        runners.append(lambda image, c=compiled: c([image]))
    yield "OpenVINO", "float32", runners


def _times(functions: list) -> list[float]:
    """The median over the rounds of the time of a call, in ms."""
    found: list[list[float]] = [[] for _ in functions]
    for number in range(WARM_UP + ROUNDS):
        for function, times in zip(functions, found, strict=True):
            start = time.perf_counter()
            for _ in range(CALLS):
                function()
            if number >= WARM_UP:
                times.append(1e3 * (time.perf_counter() - start) / CALLS)
    return [statistics.median(times) for times in found]


if __name__ == "__main__":
    {"make": make, "time": measure}[sys.argv[1]](pathlib.Path(sys.argv[2]))
