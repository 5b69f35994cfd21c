"""What docs/edge.md and docs/microcontrollers.md tell of exported files."""

import contextlib
import io
import json
import os
import re

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.compiled_model import CompiledModel
from ai_edge_litert.interpreter import Interpreter

from bridge_tf import BridgeEnsemble, build_bridge, export
from tests.conftest import REPOSITORY

pytestmark = pytest.mark.integration

EDGE, MICRO = (
    (REPOSITORY / "docs" / f"{name}.md").read_text(encoding="utf-8")
    for name in ("edge", "microcontrollers")
)
# What the page's symbols are for `tiny`, a batch of any size being -1.
SIZES = {"N": -1, "H": 8, "W": 8, "C": 1, "h": 4, "w": 4, "c": 8, "classes": 5, "modes": 1}
SIZES["1"] = 1


@pytest.fixture
def exported(tiny, images, tmp_path):
    """Exports an ensemble of one bridge, as the pages call it; the folder."""

    def exported(positions=(), **options):
        base = tiny()
        bridge = build_bridge(base, "relu0", 1, conditioned=bool(positions))
        ensemble = BridgeEnsemble(base, [bridge], positions=positions)
        folder = tmp_path / "saved_models"
        export(ensemble, folder, "digits", images, calibration=images, **options)
        return folder

    return exported


def table() -> dict:
    """{signature: {"inputs" or "outputs": {name: shape}}}, as the page has it."""
    page = EDGE.split("### Signatures")[1].split("##")[0]
    found, signature = {}, None
    for line in re.findall(r"^\|(.*)\|$", page, re.MULTILINE)[2:]:
        first, *tensors = [cell.strip() for cell in line.split("|")]
        if first:
            signature = re.match(r"`(\w+)`", first)[1]
        kinds = found.setdefault(signature, {"inputs": {}, "outputs": {}})
        for kind, (cell, shape) in zip(kinds, (tensors[:2], tensors[2:]), strict=True):
            if cell:
                name = re.match(r"`(\w+)`", cell)[1]
                kinds[kind][name] = [SIZES[size] for size in shape.split("×")]
    return found


def test_signatures_and_programs(exported):
    folder = exported(positions=[0.2, 0.9])
    interpreter = Interpreter(str(folder / "digits.tflite"))
    check_table(interpreter)
    check_numbers(folder)
    runner = interpreter.get_signature_runner("serving_default")
    check_programs(folder, runner(image=np.zeros((1, 8, 8, 1), "float32"))["probabilities"][0])


def check_table(interpreter):
    there = {}
    for signature in interpreter.get_signature_list():
        run = interpreter.get_signature_runner(signature)
        both = {"inputs": run.get_input_details(), "outputs": run.get_output_details()}
        there[signature] = {
            kind: {name: found["shape_signature"].tolist() for name, found in details.items()}
            for kind, details in both.items()
        }
        for details in both.values():
            assert all(found["dtype"] == np.float32 for found in details.values())
    assert table() == there


def check_numbers(folder):
    metadata = json.loads((folder / "digits.metadata.json").read_text())
    model = CompiledModel.from_file(str(folder / "digits.tflite"))
    names = list(metadata["files"][0]["signatures"])
    assert [model.get_signature_index(name) for name in names] == list(range(len(names)))
    assert names == sorted(names) and names[0] == "base"
    outputs = model.get_signature_list()["serving_default"]["outputs"]
    assert outputs == ["entropy", "probabilities", "disagreement"]


def check_programs(folder, wanted):
    resized, compiled = blocks(EDGE.split("## Python")[1])[:2]
    first, second = run(resized, folder.parent).splitlines()
    assert first.startswith(f"[{wanted.argmax()}]")
    assert second.startswith(f"[{' '.join([str(wanted.argmax())] * 5)}]")
    # A network of 5 classes, where the page's has 10.
    printed = run(compiled.replace('"probabilities": 10', '"probabilities": 5'), folder.parent)
    found = [float(number) for number in printed.strip("[] \n").split()]
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def run(program: str, folder) -> str:
    """Runs a program of a page in the folder above saved_models; what it prints."""
    before, printed = os.getcwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(printed):
            exec(program, {})
    finally:
        os.chdir(before)
    return printed.getvalue()


def blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_a_signature_cut_out_for_microcontrollers(exported, images):
    folder = exported(tflite=["int8"], single=True)
    path, whole = folder / "digits.single.int8.tflite", folder / "digits.int8.tflite"
    assert f"`saved_models/{path.name}`" in MICRO
    assert path.stat().st_size < 0.5 * whole.stat().st_size
    one, all_of_them = (
        Interpreter(str(x)).get_signature_runner("serving_default")(image=images[:1])
        for x in (path, whole)
    )
    assert one.keys() == all_of_them.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value[0], np.ravel(all_of_them[name]))
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes()))
    assert len(model.subgraphs) == 1
    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    used = {names[codes[item.opcodeIndex]] for item in model.subgraphs[0].operators}
    added = re.findall(r"^resolver\.Add(\w+)\(\);$", MICRO, re.MULTILINE)
    assert f"MicroMutableOpResolver<{len(added)}>" in MICRO
    registered = {
        re.sub(r"(?<=[a-z])(?=[A-Z]|2D)|(?<=v)(?=2D)", "_", name).upper() for name in added
    }
    # Of other activations and without residual connections.
    assert used <= registered
    assert registered - used <= {"LOGISTIC", "ADD", "MUL", "SUB"}
