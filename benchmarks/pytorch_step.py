"""One training step in PyTorch, timed on request: the rival in `training_step.py`.

The networks have the layers of `bridge_tf`'s (He et al., CVPR 2016, with SiLU; Sandler et al., CVPR
2018) and of `vgg.py`. Every line on standard input asks for a round of steps; the answer is the
seconds that it took. PyTorch is no dependency of `bridge_tf`: see README.md for its environment.
"""

import argparse
import contextlib
import sys
import time

import torch
from torch import nn

MODES = ("eager", "channels_last", "compiled")
CLASSES = 10


class FilterResponseNorm(nn.Module):
    """Filter response normalization with its threshold (Singh and Krishnan, CVPR 2020)."""

    def __init__(self, channels: int):
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.beta = nn.Parameter(torch.zeros(1, channels, 1, 1))
        self.tau = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x):
        mean_square = x.square().mean((2, 3), keepdim=True)
        x = x * torch.rsqrt(mean_square + 1e-6)
        return torch.maximum(self.gamma * x + self.beta, self.tau)


class Pixels(nn.Module):
    """Raw pixels, 0…255, to zero mean and unit variance."""

    def forward(self, x):
        return (x - 127.5) / 63.75


def conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)


def norm_of(norm: str, channels: int) -> nn.Module:
    return FilterResponseNorm(channels) if norm == "frn" else nn.BatchNorm2d(channels)


class Block(nn.Module):
    """Two 3×3 convolutions, the first one strided, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str):
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, outputs, 3, stride),
            norm_of(norm, outputs),
            nn.SiLU(),
            conv(outputs, outputs, 3),
            norm_of(norm, outputs),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, 1, stride), norm_of(norm, outputs))

    def forward(self, x):
        return nn.functional.silu(self.body(x) + self.shortcut(x))


def head(channels: int) -> list[nn.Module]:
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]


def resnet(planes: list[int], blocks: int, norm: str) -> nn.Module:
    layers = [Pixels(), conv(3, planes[0], 3), norm_of(norm, planes[0]), nn.SiLU()]
    before = planes[0]
    for stage, channels in enumerate(planes):
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            layers.append(Block(before, channels, stride, norm))
            before = channels
    return nn.Sequential(*layers, *head(before))


class InvertedResidual(nn.Module):
    """A bottleneck of MobileNetV2: 1×1 expansion, 3×3 depthwise, 1×1 projection."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int):
        super().__init__()
        inner = inputs * expansion
        layers = [conv(inputs, inner, 1), nn.BatchNorm2d(inner), nn.ReLU6()] * (expansion > 1)
        self.body = nn.Sequential(
            *layers,
            conv(inner, inner, 3, stride, groups=inner),
            nn.BatchNorm2d(inner),
            nn.ReLU6(),
            conv(inner, outputs, 1),
            nn.BatchNorm2d(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


def mobilenet_v2() -> nn.Module:
    layers = [Pixels(), conv(3, 32, 3, 2), nn.BatchNorm2d(32), nn.ReLU6()]
    before = 32
    # Expansion, channels, blocks, stride of the first.
    for expansion, channels, count, stride in (
        *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
        *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
    ):
        for block in range(count):
            layers.append(InvertedResidual(before, channels, 1 if block else stride, expansion))
            before = channels
    layers += [conv(before, 1280, 1), nn.BatchNorm2d(1280), nn.ReLU6()]
    return nn.Sequential(*layers, *head(1280))


def vgg(norm: str) -> nn.Module:
    """The network of `vgg.py`."""
    layers = [Pixels(), nn.Conv2d(3, 24, 2), nn.SiLU()]
    before = 24
    for channels in (32, 64, 128):
        layers += [conv(before, channels, 3), nn.MaxPool2d(2), norm_of(norm, channels), nn.SiLU()]
        layers += [conv(channels, channels, 3), norm_of(norm, channels), nn.SiLU()]
        before = channels
    return nn.Sequential(*layers, nn.AdaptiveMaxPool2d(1), *head(before)[1:])


def build(network: str, norm: str) -> nn.Module:
    if network == "mobilenet_v2":
        return mobilenet_v2()
    if network == "vgg":
        return vgg(norm)
    planes, blocks = {
        "resnet8": ([16, 32, 64], 1),
        "resnet8x2": ([32, 64, 128], 1),
        "resnet20": ([16, 32, 64], 3),
        "resnet18": ([64, 128, 256, 512], 2),
    }[network]
    return resnet(planes, blocks, norm)


def step_of(network: str, norm: str, batch: int, size: int, mode: str, precision: str):
    """A function that does one training step on a fixed batch."""
    torch.manual_seed(0)
    model = build(network, norm).train()
    images = torch.randint(0, 256, (batch, 3, size, size)).float()
    labels = torch.randint(0, CLASSES, (batch,))
    if mode != "eager":
        model = model.to(memory_format=torch.channels_last)
        images = images.contiguous(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), 1e-3, momentum=0.9, weight_decay=1e-3)
    forward = torch.compile(model) if mode == "compiled" else model
    bfloat16 = precision == "bfloat16"

    def step() -> float:
        optimizer.zero_grad(set_to_none=True)
        cast = torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()
        with cast:
            loss = nn.functional.cross_entropy(forward(images).float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", required=True)
    parser.add_argument("--norm", default="batch", choices=("batch", "frn"))
    parser.add_argument("--mode", default="eager", choices=MODES)
    parser.add_argument("--precision", default="float32", choices=("float32", "bfloat16"))
    parser.add_argument("--batch_size", type=int, default=128)
    parser.add_argument("--image_size", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    step = step_of(
        *(args.network, args.norm, args.batch_size, args.image_size, args.mode, args.precision)
    )
    step(), step()
    print("ready", flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        for _ in range(args.steps):
            step()
        print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main()
