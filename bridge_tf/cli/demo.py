"""bin/demo: an exported model live in the browser."""

import pathlib
import sys

from absl import flags

from bridge_tf.cli import app
from bridge_tf.utils.errors import InputError

USAGE = """
Serves a page on this machine that runs an exported model in the browser, to draw for or to show
pictures to. Runs until Ctrl-C.

    bin/demo --workdir=DIR
    bin/demo --model=PATH.tflite [--images=FOLDER]
"""


def main() -> None:
    app.define_workdir_flags()
    own = {"module_name": sys.argv[0]}
    flags.DEFINE_string(
        "export_dir", "", "Folder that the run was exported to; default: as trained.", **own
    )
    flags.DEFINE_string("model", "", "Exported .tflite file, instead of a run.", **own)
    flags.DEFINE_string(
        "images",
        "",
        "Folder of example pictures for --model, in subfolders by class or not.",
        **own,
    )
    flags.DEFINE_integer("port", 8642, "Port of the page; 0: any free one.", 0, 65535, **own)
    flags.DEFINE_string(
        "runtime",
        "",
        "Folder with node_modules/@litertjs/core; default: fetched by npm once, to the cache.",
        **own,
    )
    app.run(_demo, USAGE)


def _demo(arguments: list[str]) -> None:
    from bridge_tf.demo.runtime import runtime_folder
    from bridge_tf.demo.server import DemoServer, Site

    app.no_arguments(arguments)
    values = flags.FLAGS
    if bool(values.workdir) == bool(values.model):
        raise InputError("--workdir or --model: name one of them, a run or an exported file")
    if values.images and values.workdir:
        raise InputError("--images: goes with --model; a run shows its own test pictures")
    if values.export_dir and values.model:
        raise InputError("--export_dir: goes with --workdir; --model names the file itself")
    model, examples = _of_run() if values.workdir else _of_file()
    runtime = runtime_folder(values.runtime)
    with DemoServer(Site.of(model, examples, runtime), values.port) as server:
        print(server.url, flush=True)
        server.serve_forever()


def _of_run() -> tuple:
    """The exported model of the run in --workdir, and pictures of its test split."""
    from bridge_tf.demo.examples import examples_of_split
    from bridge_tf.demo.exported_run import exported_file
    from bridge_tf.demo.model import load_model

    export_dir = flags.FLAGS.export_dir
    run = app.existing_run(**{"export_dir": export_dir} if export_dir else {})
    positions = run.positions if run.config.conditioned else ()
    model = load_model(exported_file(run), positions)
    return model, examples_of_split(run.data.test, run.data.class_names)


def _of_file() -> tuple:
    """The model of the file --model, and pictures of --images."""
    from bridge_tf.demo.examples import examples_of_folder
    from bridge_tf.demo.model import load_model

    model = load_model(pathlib.Path(flags.FLAGS.model))
    images = flags.FLAGS.images
    found = examples_of_folder(pathlib.Path(images), model.image_shape) if images else []
    return model, found
