"""A folder of files, folders and links that no command can use."""

import json
import os
import pathlib
import shutil
import socket

import numpy as np
from PIL import Image

from bridge_tf.config import Config
from bridge_tf.runs.work_dir import WorkDir

# What is at a path, and what a command says of it where a file, and where a folder is wanted.
FIFO = ("fifo", "is a FIFO")
SOCKET = ("socket", "is a socket")
DEVICE = ("device", "is a device")
DANGLING = ("dangling", "leads nowhere")
LOOP = ("loop", "levels of symbolic links")
LONG = ("n" * 300, "name too long")
SPECIAL = (FIFO, SOCKET, DEVICE, DANGLING, LOOP, LONG)
ENDINGS = ("", ".keras", ".tflite", ".npz", ".png", ".h5", ".flags")


def make_places(root: pathlib.Path) -> None:
    """Fills `root`."""
    here = os.getcwd()
    os.chdir(root)  # the names of sockets must be short
    try:
        for ending in ENDINGS:
            os.mkfifo(f"fifo{ending}")
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(f"socket{ending}")
            os.symlink("/dev/zero", f"device{ending}")
            os.symlink("/nowhere/at/all", f"dangling{ending}")
            os.symlink(f"loop{ending}", f"loop{ending}")
            os.mkdir(f"folder{ending}")
            pathlib.Path(f"empty{ending}").touch()
            noise = np.random.default_rng(0).integers(128, 256, 1000).astype("uint8")
            pathlib.Path(f"noise{ending}").write_bytes(noise.tobytes())
    finally:
        os.chdir(here)
    Image.new("L", (8, 8), 128).save(root / "grey.png")
    _images(root / "images")
    for name in ("fifo", "socket", "device"):
        shutil.copytree(root / "images", root / f"images_{name}")
    os.mkfifo(root / "images_fifo" / "train" / "a" / "x.png")
    os.symlink("/dev/zero", root / "images_device" / "train" / "b" / "x.png")
    (root / "images_socket" / "train" / "b" / "x.png").symlink_to(root / "socket.png")
    for name, make in (BROKEN | LOCKED).items():
        work = WorkDir(root / f"run_{name}")
        work.claim(Config(model="tiny.keras"))
        (work.path / "modes").mkdir()
        make(work.path)


def _images(folder: pathlib.Path) -> None:
    for name in "ab":
        (folder / "train" / name).mkdir(parents=True)
        for k in range(6):
            Image.new("L", (8, 8), 20 * k + ord(name)).save(folder / "train" / name / f"{k}.png")


def _replaced(name: str, make):
    def change(path: pathlib.Path) -> None:
        place = path / name
        if place.is_dir():
            place.rmdir()
        else:
            place.unlink(missing_ok=True)
        make(place)

    return change


def _write(text: bytes):
    return lambda place: place.write_bytes(text)


_LINK = lambda place: place.symlink_to("/nowhere/at/all")  # noqa: E731
_CONFIG = json.dumps({"flags": {"seed": "many"}, "versions": {}, "fingerprint": ""}).encode()
# Work directories: how one file of each is broken.
BROKEN = {
    "config_folder": _replaced("config.json", pathlib.Path.mkdir),
    "config_fifo": _replaced("config.json", os.mkfifo),
    "config_link": _replaced("config.json", _LINK),
    "config_empty": _replaced("config.json", _write(b"")),
    "config_noise": _replaced("config.json", _write(b"\xff\xfe\x00")),
    "config_deep": _replaced("config.json", _write(b"[" * 100_000)),
    "config_types": _replaced("config.json", _write(_CONFIG)),
    "manifest_folder": _replaced("manifest.json", pathlib.Path.mkdir),
    "manifest_fifo": _replaced("manifest.json", os.mkfifo),
    "manifest_noise": _replaced("manifest.json", _write(b"{}")),
    "modes_file": _replaced("modes", _write(b"")),
    "modes_fifo": _replaced("modes", os.mkfifo),
    "modes_link": _replaced("modes", _LINK),
    "mode_folder": _replaced("modes/0.keras", pathlib.Path.mkdir),
    "mode_fifo": _replaced("modes/0.keras", os.mkfifo),
    "mode_link": _replaced("modes/0.keras", _LINK),
    "report_folder": _replaced("report.json", pathlib.Path.mkdir),
    "report_fifo": _replaced("report.json", os.mkfifo),
    "page_folder": _replaced("report.html", pathlib.Path.mkdir),
    "ensemble_fifo": _replaced("ensemble.keras", os.mkfifo),
}
MISPLACED = ("_folder", "_fifo", "_link", "_file")
# The same for their lock.
LOCKED = {
    "lock_hard": lambda path: os.link(path / "config.json", path / ".lock"),
    "lock_link": lambda path: (path / ".lock").symlink_to("config.json"),
    "lock_folder": lambda path: (path / ".lock").mkdir(),
    "lock_fifo": lambda path: os.mkfifo(path / ".lock"),
}
