"""The runtimes: what they need, and the lines that run an exported model in each.

In "call", `image` is one image, 1×H×W×C, float32, raw pixels 0…255. It sets `probabilities`,
1×classes. The same lines are measured and shown in docs/runtimes.md.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Runtime:
    """A runtime.

    Attributes:
        name: as the table has it.
        file: which exported file it reads.
        packages: of PyPI, or of npm with `browser`; empty: those of bridge_tf's own environment.
        versions: packages whose versions the table has; default: the first of `packages`.
        load: lines that open the file.
        call: lines that predict.
        why_not: why it isn't run here, if it isn't.
        note: what the reader must know.
    """

    name: str
    file: str
    packages: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    load: str = ""
    call: str = ""
    why_not: str = ""
    note: str = ""
    browser: bool = False

    @property
    def key(self) -> str:
        """The name as part of a path."""
        return "".join(c if c.isalnum() else "_" for c in self.name.lower())

    @property
    def is_run(self) -> bool:
        return bool(self.call)

    @property
    def of_versions(self) -> tuple[str, ...]:
        return self.versions or self.packages[:1]


RUNTIMES = (
    Runtime(
        "TensorFlow Serving",
        "NAME/1/",
        why_not="its server isn't in package registries; tests ask a stand-in by its rules",
        note="[serving.md](serving.md) has the commands.",
    ),
    Runtime(
        "TensorFlow",
        "NAME/1/",
        versions=("tensorflow",),
        load="""\
import tensorflow as tf

loaded = tf.saved_model.load("model/1")
""",
        call="""\
outputs = loaded.signatures["serving_default"](image=tf.constant(image))
probabilities = outputs["probabilities"].numpy()
""",
    ),
    Runtime(
        "KServe",
        "NAME.onnx",
        ("kserve", "onnxruntime"),
        load="""\
import kserve
import onnxruntime


class Served(kserve.Model):
    def load(self, path):
        self.session, self.ready = onnxruntime.InferenceSession(path), True

    def predict(self, payload, headers=None, response_headers=None):
        image = np.array(payload["instances"], "float32")
        (probabilities,) = self.session.run(["probabilities"], {"image": image})
        return {"predictions": probabilities.tolist()}


served = Served("digits")
served.load("model.onnx")
""",
        call="""\
probabilities = np.array(served.predict({"instances": image.tolist()})["predictions"])
""",
        note="The lines are a predictor's; `kserve.ModelServer().start([served])` serves it at "
        "`/v1/models/digits:predict`. Measured without HTTP.",
    ),
    Runtime(
        "MLflow",
        "NAME.onnx",
        ("mlflow-skinny", "pandas", "onnx", "onnxruntime"),
        load="""\
import os

import mlflow
import onnx

if not os.path.exists("model.mlflow"):
    mlflow.onnx.save_model(onnx.load("model.onnx"), "model.mlflow")
served = mlflow.pyfunc.load_model("model.mlflow")
""",
        call="""\
probabilities = served.predict(image)["probabilities"]
""",
        note="`mlflow.onnx.log_model` logs the same to a run.",
    ),
    Runtime(
        "onnxruntime",
        "NAME.onnx",
        ("onnxruntime",),
        load="""\
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx")
""",
        call="""\
(probabilities,) = session.run(["probabilities"], {"image": image})
""",
    ),
    Runtime(
        "OpenVINO",
        "NAME.onnx",
        ("openvino",),
        load="""\
import openvino

settings = {"INFERENCE_PRECISION_HINT": "f32"}
compiled = openvino.Core().compile_model("model.onnx", "CPU", settings)
""",
        call="""\
probabilities = compiled({"image": image})["probabilities"]
""",
        note="Without the hint it computes in bfloat16 on processors that have it. "
        '`openvino.convert_model("saved_models/NAME/1")` has the same names; of NAME.tflite '
        "OpenVINO doesn't read the names, of NAME.single.tflite it does.",
    ),
    Runtime(
        "OpenCV",
        "NAME.onnx",
        ("opencv-python-headless",),
        load="""\
import cv2

net = cv2.dnn.readNetFromONNX("model.onnx")
""",
        call="""\
net.setInput(image, "image")
probabilities = net.forward("probabilities")
""",
        note="It can't read NAME.single.tflite: its TFLite reader lacks the operation EXP.",
    ),
    Runtime(
        "LiteRT, Python",
        "NAME.tflite",
        versions=("ai-edge-litert",),
        load="""\
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("model.tflite")
run = interpreter.get_signature_runner("serving_default")
""",
        call="""\
probabilities = run(image=image)["probabilities"]
""",
    ),
    Runtime(
        "LiteRT, Android",
        "NAME.tflite",
        why_not="no device; the lines are written from the sources of the interfaces",
        note="[edge.md](edge.md#android) has the program.",
    ),
    Runtime(
        "LiteRT, iOS",
        "NAME.tflite",
        why_not="no device; the lines are written from the sources of the interfaces",
        note="[edge.md](edge.md#ios) has the program.",
    ),
    Runtime(
        "LiteRT for Microcontrollers",
        "NAME.single.tflite",
        ("tflite-micro",),
        load="""\
from tflite_micro import runtime

interpreter = runtime.Interpreter.from_file("model.single.tflite")
""",
        call="""\
interpreter.set_input(image, 0)
interpreter.invoke()
probabilities = interpreter.get_output(0)
""",
        note="Reference kernels on x86-64, in float32; on a device take `NAME.single.int8.tflite` "
        "([microcontrollers.md](microcontrollers.md)).",
    ),
    Runtime(
        "MediaPipe",
        "NAME.single.tflite",
        ("mediapipe",),
        load="""\
import mediapipe as mp
from mediapipe.tasks.python import vision

classifier = vision.ImageClassifier.create_from_model_path("model.single.tflite")
""",
        call="""\
pixels = mp.Image(image_format=mp.ImageFormat.SRGB, data=image[0].astype("uint8"))
(heads,) = classifier.classify(pixels).classifications[:1]
scores = {found.category_name: found.score for found in heads.categories}
probabilities = np.array([[scores[f"class {k}"] for k in range(10)]])
""",
        note="Labels and pixel scaling come from the file's TFLite metadata.",
    ),
    Runtime(
        "TFLite Task Library",
        "NAME.single.tflite",
        ("tflite-support", "numpy<2"),
        load="""\
from tflite_support.task import vision

classifier = vision.ImageClassifier.create_from_file("model.single.tflite")
""",
        call="""\
pixels = image[0].astype("uint8")  # which a TensorImage reads without keeping it alive
heads = classifier.classify(vision.TensorImage.create_from_array(pixels)).classifications[0]
scores = {found.category_name: found.score for found in heads.categories}
probabilities = np.array([[scores[f"class {k}"] for k in range(10)]])
""",
        note="Its package of 2023 can't be installed beside a current TensorFlow.",
    ),
    Runtime(
        "LiteRT.js",
        "NAME.single.tflite",
        ("@litertjs/core", "@litertjs/wasm-utils"),
        load="""\
import { loadAndCompile, loadLiteRt, Tensor } from "@litertjs/core";

await loadLiteRt("./node_modules/@litertjs/core/wasm/");
const compiled = await loadAndCompile("model.single.tflite", { accelerator: "wasm" });
""",
        call="""\
const outputs = await compiled.run({ image: new Tensor(image, [1, 32, 32, 3]) });
const probabilities = outputs.probabilities.toTypedArray();
""",
        browser=True,
    ),
    Runtime(
        "TensorFlow.js (tfjs-tflite)",
        "NAME.single.tflite",
        ("@tensorflow/tfjs-tflite", "@tensorflow/tfjs-core", "@tensorflow/tfjs-backend-cpu"),
        load="""\
tflite.setWasmPath("./node_modules/@tensorflow/tfjs-tflite/wasm/");
const loaded = await tflite.loadTFLiteModel("model.single.tflite");
""",
        call="""\
const outputs = tf.tidy(() => loaded.predict(tf.tensor(image, [1, 32, 32, 3])));
const probabilities = outputs.probabilities.dataSync();
""",
        note="The page has these packages' `dist/tf-core.min.js`, `dist/tf-backend-cpu.min.js` and "
        "`dist/tf-tflite.min.js` as scripts, in this order. Its last release is an alpha.",
        browser=True,
    ),
    Runtime(
        "Core ML",
        "NAME/1/",
        why_not="coremltools 9.0 converts it, on Linux too, but macOS alone runs what it writes",
        note="See [below](#core-ml).",
    ),
)
