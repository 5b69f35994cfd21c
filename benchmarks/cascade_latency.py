"""What a cascade, or early exit, costs on average, in TensorFlow and with LiteRT's reader.

    python benchmarks/cascade_latency.py [--rounds=40] [--members=4] [--share=0.1] [--threads=2]
    python benchmarks/cascade_latency.py --early_exit [--rounds=40] [--budget=1.05]

ResNet-32 twice as wide (`batch`) on 32×32 images, weights as they are drawn. The cascade is the
base and then the deep ensemble, its threshold so that the share of random images is unsure. Early
exit is of four small bridges behind stage2_block5, the share what `budget` pays for. Cascade (or
early exit, with LiteRT's reader only) and base are timed in turn; a ratio is the median over the
rounds. Of each batch the share goes on, as nearly as its size allows; the reader's batches have one
more and one less in turn. With batches of 1, a round is 1 / share calls, of which one has an unsure
image; the time is their mean.
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
    """Exports the cascade; its files, the images, which go on, and what one that does adds."""
    import bridge_tf

    images = _random_images()
    modes = [_network(seed) for seed in range(members)]
    first = bridge_tf.BridgeEnsemble(modes[0], [])
    threshold, goes_on = _unsure(first, images, share)
    cascade = bridge_tf.CascadeEnsemble(first, modes[1:], threshold)
    artifacts = bridge_tf.export(cascade, folder, "cascade", images[:32])
    return artifacts, images, goes_on, _more(cascade), None


def make_early_exit(folder: pathlib.Path, budget: float):
    """The same for early exit, with its threshold."""
    import keras

    import bridge_tf

    images, base = _random_images(), _network(0)
    keras.utils.set_random_seed(0)
    bridges = [bridge_tf.build_bridge(base, "stage2_block5", 0.5) for _ in range(4)]
    ensemble = bridge_tf.BridgeEnsemble(base, bridges)
    more = _more(ensemble)
    first = bridge_tf.BridgeEnsemble(base, [])
    threshold, goes_on = _unsure(first, images, (budget - 1) / more)
    artifacts = bridge_tf.export(ensemble, folder, "early", images[:32])
    return artifacts, images, goes_on, more, threshold


def _random_images() -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, (IMAGES, *SHAPE)).astype("float32")


def _network(seed: int):
    import keras

    import bridge_tf

    keras.utils.set_random_seed(seed)
    return bridge_tf.build_network("resnet32", SHAPE, CLASSES, width=2, norm="batch")


def _unsure(first, images: np.ndarray, share: float) -> tuple[float, np.ndarray]:
    """The confidence below which the share of the images lies, and which those are."""
    tops = first.predict(images, verbose=0)["probabilities"].max(axis=1)
    number = round(share * IMAGES)
    threshold = float(np.sort(tops)[number - 1 : number + 1].mean())
    return threshold, tops < threshold


def _more(ensemble) -> float:
    """FLOPs of going on, relative to the base's."""
    from bridge_tf.networks.flops import count_flops

    return count_flops(ensemble) / count_flops(ensemble.base) - 1


def batches(images: np.ndarray, goes_on: np.ndarray, size: int, share: float, offsets=(0,)):
    """One round: so many single images that one of them goes on, or a batch for each of `offsets`,
    by which the number that goes on differs from the share.
    """
    unsure, sure = images[goes_on], images[~goes_on]
    if size == 1:
        return [unsure[:1], *(sure[k : k + 1] for k in range(round(1 / share) - 1))]
    numbers = [round(share * size) + offset for offset in offsets]
    mixed = [np.concatenate([unsure[:number], sure[: size - number]]) for number in numbers]
    return [np.random.default_rng(1).permutation(batch) for batch in mixed]


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


def read(
    artifacts, size: int, share: float, images, goes_on, rounds: int, threshold: float | None
) -> dict:
    """Times of the reader of the .tflite file, on one thread, for batches of a size."""
    from bridge_tf.evaluation.latency import in_turn, litert_runner, seconds
    from bridge_tf.export.early_exit import EarlyExit

    reader = EarlyExit(artifacts.tflite, threshold)
    base = litert_runner(artifacts.tflite, "base")
    given = batches(images, goes_on, size, share, offsets=(0, 1, -1))
    seen = np.concatenate([reader(batch)["whole"] for batch in given])

    def call(run):
        return lambda: seconds(lambda: [run(batch) for batch in given]) / len(given)

    timed = in_turn(call(reader), call(base), WARM_UP + rounds)[WARM_UP:]
    return {"goes_on": float(seen.mean()), **_ratio(timed)}


def _ratio(timed: list[tuple[float, float]]) -> dict:
    """Medians in ms of cascade (or early exit) and base, and of their ratio in a round."""
    of_cascade, of_base = (1e3 * statistics.median(times) for times in zip(*timed, strict=True))
    ratio = statistics.median(a / b for a, b in timed)
    return {"cascade_ms": of_cascade, "base_ms": of_base, "ratio": ratio}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="measured rounds")
    parser.add_argument("--members", type=int, default=4, help="networks of the deep ensemble")
    parser.add_argument("--share", type=float, default=0.1, help="of the images that go on")
    parser.add_argument("--early_exit", action="store_true", help="bridges after the base")
    parser.add_argument("--budget", type=float, default=1.05, help="mean cost of early exit")
    parser.add_argument("--threads", type=int, default=2, help="of an operation in TensorFlow")
    parser.add_argument("--json", help="a file for the figures, or none")
    options = parser.parse_args()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(options.threads)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        if options.early_exit:
            made, sizes = make_early_exit(pathlib.Path(folder), options.budget), (1, 32)
        else:
            made, sizes = make(pathlib.Path(folder), options.members, options.share), (1,)
        artifacts, images, goes_on, more, threshold = made
        share = (options.budget - 1) / more if options.early_exit else options.share
        for size in () if options.early_exit else SIZES:
            found = served(artifacts, size, share, images, goes_on, options.rounds)
            rows.append({"runtime": f"TensorFlow, batches of {size}", **found})
        for size in sizes:
            found = read(artifacts, size, share, images, goes_on, options.rounds, threshold)
            images_told = "one image" if size == 1 else f"batches of {size}"
            rows.append({"runtime": f"LiteRT's reader, {images_told}", **found})
    what = "early exit" if options.early_exit else "cascade"
    print(f"| runtime | go on % | base, ms | {what}, ms | time × | average FLOPs × | over FLOPs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        row["flops"] = 1 + more * row["goes_on"]
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
