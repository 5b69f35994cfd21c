"""What a cascade costs on average, in TensorFlow and with LiteRT's reader, beside its FLOPs.

    python benchmarks/cascade_latency.py [--rounds=40] [--members=4] [--share=0.1] [--threads=2]

ResNet-32 twice as wide (`batch`) on 32×32 images, weights as they are drawn; the cascade is the
base and then the deep ensemble, its threshold so that the share of random images is unsure. Cascade
and base are timed in turn; a ratio is the median over the rounds. Of each batch the share
goes on, as nearly as its size allows. With batches of 1, a round is 1 / share calls, of which
one has an unsure image; the time is their mean.
"""

import argparse
import json
import pathlib
import statistics
import tempfile

import numpy as np

SHAPE, CLASSES, WARM_UP = (32, 32, 3), 10, 3
SIZES = (1, 32, 256)
IMAGES = 512


def make(folder: pathlib.Path, members: int, share: float):
    """Exports the cascade; its files, the images, which go on, and its average FLOPs."""
    import keras

    import bridge_tf
    from bridge_tf.networks.flops import count_flops

    images = np.random.default_rng(0).uniform(0, 255, (IMAGES, *SHAPE)).astype("float32")
    modes = []
    for seed in range(members):
        keras.utils.set_random_seed(seed)
        modes.append(bridge_tf.build_network("resnet32", SHAPE, CLASSES, width=2, norm="batch"))
    first = bridge_tf.BridgeEnsemble(modes[0], [])
    tops = first.predict(images, verbose=0)["probabilities"].max(axis=1)
    number = round(share * IMAGES)
    ranked = np.sort(tops)
    threshold = float(ranked[number - 1 : number + 1].mean())
    cascade = bridge_tf.CascadeEnsemble(first, modes[1:], threshold)
    artifacts = bridge_tf.export(cascade, folder, "cascade", images[:32])
    whole = count_flops(cascade) / count_flops(cascade.base)
    return artifacts, images, tops < threshold, whole


def batches(images: np.ndarray, goes_on: np.ndarray, size: int, share: float) -> list[np.ndarray]:
    """One round: a batch, or so many single images that one of them goes on."""
    unsure, sure = images[goes_on], images[~goes_on]
    if size == 1:
        return [unsure[:1], *(sure[k : k + 1] for k in range(round(1 / share) - 1))]
    number = round(share * size)
    batch = np.concatenate([unsure[:number], sure[: size - number]])
    return [np.random.default_rng(1).permutation(batch)]


def served(artifacts, size: int, share: float, images, goes_on, rounds: int) -> dict:
    """Times of the SavedModel's signatures for batches of a size."""
    import tensorflow as tf

    from bridge_tf.evaluation.latency import in_turn, seconds

    loaded = tf.saved_model.load(str(artifacts.saved_model))
    given = [tf.constant(batch) for batch in batches(images, goes_on, size, share)]
    seen = np.concatenate([loaded.signatures["serving_default"](image=x)["goes_on"] for x in given])

    def call(name: str):
        run = loaded.signatures[name]

        def calls() -> float:
            for batch in given:
                run(image=batch)["probabilities"].numpy()

        return lambda: seconds(calls) / len(given)

    timed = in_turn(call("serving_default"), call("base"), WARM_UP + rounds)[WARM_UP:]
    return {"goes_on": float(seen.mean()), **_ratio(timed)}


def read(artifacts, share: float, images, goes_on, rounds: int) -> dict:
    """Times of the reader of the .tflite file for single images."""
    from bridge_tf.evaluation.latency import in_turn, litert_runner, seconds
    from bridge_tf.export.early_exit import EarlyExit

    reader, base = EarlyExit(artifacts.tflite), litert_runner(artifacts.tflite, "base")
    given = batches(images, goes_on, 1, share)
    seen = [bool(reader(image)["whole"][0]) for image in given]

    def call(run):
        return lambda: seconds(lambda: [run(image) for image in given]) / len(given)

    timed = in_turn(call(reader), call(base), WARM_UP + rounds)[WARM_UP:]
    return {"goes_on": float(np.mean(seen)), **_ratio(timed)}


def _ratio(timed: list[tuple[float, float]]) -> dict:
    """Medians in ms of cascade and base, and of their ratio in a round."""
    of_cascade, of_base = (1e3 * statistics.median(times) for times in zip(*timed, strict=True))
    ratio = statistics.median(a / b for a, b in timed)
    return {"cascade_ms": of_cascade, "base_ms": of_base, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="measured rounds")
    parser.add_argument("--members", type=int, default=4, help="networks of the deep ensemble")
    parser.add_argument("--share", type=float, default=0.1, help="of the images that go on")
    parser.add_argument("--threads", type=int, default=2, help="of an operation in TensorFlow")
    parser.add_argument("--json", help="a file for the figures, or none")
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = make(pathlib.Path(folder), options.members, options.share)
        artifacts, images, goes_on, whole = made
        for size in SIZES:
            found = served(artifacts, size, options.share, images, goes_on, options.rounds)
            rows.append({"runtime": f"TensorFlow, batches of {size}", **found})
        found = read(artifacts, options.share, images, goes_on, options.rounds)
        rows.append({"runtime": "LiteRT's reader, one image", **found})
    print("| runtime | go on % | base, ms | cascade, ms | time × | average FLOPs × | over FLOPs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        row["flops"] = 1 + (whole - 1) * row["goes_on"]
        row["over_flops"] = row["ratio"] / row["flops"]
        print(
            f"| {row['runtime']} | {100 * row['goes_on']:.1f} | {row['base_ms']:.2f} | "
            f"{row['cascade_ms']:.2f} | {row['ratio']:.3f} | {row['flops']:.3f} | "
            f"{row['over_flops']:.3f} |",
            flush=True,
        )
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
