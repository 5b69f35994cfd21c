"""Runs a command of bin/, counts its events, and does something to itself at one of them.

    python -P killed_at.py SPECIFICATION bin/train --workdir=…

An event is a file below one of the folders that is opened for writing, renamed or removed, or a
folder that is made or removed, just before that happens; or a training step that begins. Each is a
line of JSON in the log: [number, kind, file]. The specification is JSON:

    log: the file for the events.
    folders: whose events count.
    at: number of the event at which to act; 0 only counts.
    action: "kill" sends SIGKILL; "stop" sends SIGSTOP; "block" never goes on, in Python code.
    after_ms: wait so long in a thread of its own, and then kill; the command goes on meanwhile.

It imports nothing that the command might want to import first.
"""

import itertools
import json
import os
import runpy
import signal
import sys
import threading
import time

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
# Of a file without a name, which nobody will ever see.
_NAMELESS = getattr(os, "O_TMPFILE", 0) & ~os.O_DIRECTORY
# Event: at which arguments paths are, and at which the descriptors of their folders.
_PATHS = {
    "open": ((0,), ()),
    "os.rename": ((0, 1), (2, 3)),
    "os.link": ((0, 1), (2, 3)),
    "os.symlink": ((0, 1), ()),
    "os.truncate": ((0,), ()),
    "os.remove": ((0,), (1,)),
    "os.rmdir": ((0,), (1,)),
    "os.mkdir": ((0,), (2,)),
    "shutil.copyfile": ((0, 1), ()),
    "shutil.copytree": ((0, 1), ()),
    "shutil.move": ((0, 1), ()),
    "shutil.rmtree": ((0,), ()),
}


class Events:
    """Counts events, and acts at one of them."""

    def __init__(self, log, folders, at=0, action="kill", after_ms=0):
        self.log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.folders = [os.path.realpath(folder) for folder in folders]
        self.at, self.action, self.after_ms = at, action, after_ms
        self.numbers = itertools.count(1)
        self.steps_counted = False
        self.thread = None

    def audit(self, event: str, arguments: tuple) -> None:
        if event not in _PATHS:
            return
        if event == "open" and not _opens_for_writing(arguments[2]):
            return
        place = self._below(event, arguments)
        if place is not None:
            self.happens(event, place)
            self._count_steps()

    def _below(self, event: str, arguments: tuple) -> str | None:
        """The last of an event's paths, if one is below the folders."""
        places, descriptors = _PATHS[event]
        found = None
        there = None
        for k, place in enumerate(places):
            path = arguments[place]
            if not isinstance(path, str | bytes | os.PathLike):
                continue
            folder = arguments[descriptors[k]] if k < len(descriptors) else -1
            path = os.path.join(
                os.readlink(f"/proc/self/fd/{folder}") if folder != -1 else os.getcwd(),
                os.fsdecode(path),
            )
            for root in self.folders:
                if path == root or path.startswith(root + os.sep):
                    found = os.path.relpath(path, os.path.dirname(root))
                    there = os.path.lexists(path)
        # What is tried in case it changes something, and doesn't, is no event.
        idle = there if event == "os.mkdir" else event in ("os.remove", "os.rmdir") and not there
        return None if idle else found

    def _count_steps(self) -> None:
        """Makes training steps events, from the first file on: Keras is imported by then."""
        keras = sys.modules.get("keras")
        if self.steps_counted or not hasattr(keras, "callbacks"):
            return
        self.steps_counted = True
        begin = keras.callbacks.CallbackList.on_train_batch_begin

        def counted(callbacks, batch, logs=None):
            self.happens("step", None)
            begin(callbacks, batch, logs)

        keras.callbacks.CallbackList.on_train_batch_begin = counted

    def happens(self, kind: str, place: str | None) -> None:
        number = next(self.numbers)
        self._note([number, kind, place])
        if number != self.at:
            return
        if self.after_ms:
            self.thread = threading.Thread(target=self._kill_later)
            self.thread.start()
        elif self.action == "block":
            self._note(["block"])
            while True:
                time.sleep(0.01)
        else:
            self._note([self.action])
            os.kill(os.getpid(), signal.SIGKILL if self.action == "kill" else signal.SIGSTOP)

    def _kill_later(self) -> None:
        time.sleep(self.after_ms / 1000)
        self._note(["kill"])
        os.kill(os.getpid(), signal.SIGKILL)

    def _note(self, line: list) -> None:
        os.write(self.log, json.dumps(line).encode() + b"\n")


def _opens_for_writing(flags) -> bool:
    return isinstance(flags, int) and flags & _WRITING != 0 and not flags & _NAMELESS


def main() -> None:
    events = Events(**json.loads(sys.argv[1]))
    sys.argv = sys.argv[2:]
    sys.addaudithook(events.audit)
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    finally:
        if events.thread:
            events.thread.join()  # so that it dies by the signal, however fast it was


if __name__ == "__main__":
    main()
