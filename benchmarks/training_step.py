"""Times the training step of `bridge_tf` beside another's, in turn, and prints a Markdown table.

Each side is a process of its own that stays alive; in each round every side runs its steps once,
alone. Images per second are of the fastest round, because other work on the machine only adds time.
"""

import argparse
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
IMAGES = {"mobilenet_v2": (32, 96), "resnet18": (32, 32)}  # batch size, pixels
CELLS = "resnet8/batch resnet8x2/batch resnet8x2/frn mobilenet_v2/batch"
PYTORCH = ("eager", "channels_last", "compiled")


class Side:
    """A process that runs a round of training steps for each line on its standard input."""

    def __init__(self, *command: str):
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        if self.process.stdout.readline().strip() != "ready":
            raise SystemExit(f"failed: {' '.join(map(str, command))}")

    def seconds(self) -> float:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def sides(args, network: str, norm: str) -> dict[str, Side]:
    """The sides of a cell, each started and warmed up alone."""
    batch, size = IMAGES.get(network, (128, 32))
    cell = [f"--network={network}", f"--norm={norm}", f"--steps={args.steps}"]
    cell += [f"--batch_size={batch}", f"--image_size={size}", f"--precision={args.precision}"]
    ours = [sys.executable, HERE / "keras_step.py", *cell]
    if not args.pytorch:
        return {name: Side(*ours, f"--jit_compile={name}") for name in ("false", "true")}
    found = {"bridge_tf": Side(*ours)}
    for mode in PYTORCH:
        found[mode] = Side(args.pytorch, HERE / "pytorch_step.py", *cell, f"--mode={mode}")
    return found


def measured(args, cell: str) -> str:
    """A row of the table: images per second, and the first side over the fastest other one."""
    network, norm = cell.split("/")
    running = sides(args, network, norm)
    times = [[side.seconds() for side in running.values()] for _ in range(args.rounds)]
    for side in running.values():
        side.end()
    images = args.steps * IMAGES.get(network, (128, 32))[0]
    best = [images / min(one) for one in zip(*times, strict=True)]
    fastest = best.index(max(best[1:]), 1)
    ratios = [row[fastest] / row[0] for row in times]
    values = [f"{value:,.0f}" for value in best] + [f"{best[0] / best[fastest]:.2f}"]
    values.append(f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return f"| {network} | {norm} | {' | '.join(values)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--pytorch", help="the Python that has PyTorch; without it, XLA is the other side"
    )
    parser.add_argument("--cells", nargs="+", default=CELLS.split(), metavar="NETWORK/NORM")
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--steps", type=int, default=10, help="of a round")
    args = parser.parse_args()
    names = ("bridge_tf", *PYTORCH) if args.pytorch else ("without XLA", "XLA")
    columns = ["network", "norm", *names, "ratio", "median of the rounds (range)"]
    print(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}")
    for cell in args.cells:
        print(measured(args, cell), flush=True)


if __name__ == "__main__":
    main()
