"""Signals, sent to small processes that say when they are ready."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from bridge_tf.utils import signals
from tests.conftest import REPOSITORY

BLOCK = "native()"
BEGIN = """
import contextlib, hashlib, os, signal, sys, threading, time
from bridge_tf.utils import signals

def ready():
    print("ready", flush=True)

def wait_for_a_signal():
    while signals.requested() is None:
        time.sleep(0.01)

def native():
    "Takes a minute in native code, through which no handler runs; ready once it is there."
    frame = sys._getframe()
    line = frame.f_lineno + 7

    def tell():  # others see the last line only while native code runs, which lets them
        while frame.f_lineno != line:
            time.sleep(0.001)
        ready()
    threading.Thread(target=tell, daemon=True).start()
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000_000)
"""


class Program:
    """A Python program that runs until it says that it is ready."""

    def __init__(self, text: str):
        self.process = subprocess.Popen(
            [sys.executable, "-c", BEGIN + textwrap.dedent(text)],
            cwd=REPOSITORY,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "ready\n", self.process.stderr.read()

    def send(self, *signums, pause: float = 0.3) -> None:
        for signum in signums:
            self.process.send_signal(signum)
            self.sent = time.monotonic()
            time.sleep(pause)

    def end(self) -> tuple[int, list[str], list[str], float]:
        """Status, lines of output and of error, and seconds since the last signal."""
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out.split(), err.splitlines(), time.monotonic() - self.sent


def end_of(text: str, *signums) -> tuple[int, list[str], list[str], float]:
    program = Program(text)
    try:
        program.send(*signums)
        return program.end()
    finally:
        program.process.kill()


RUN = """
import dataclasses
from bridge_tf.cli.command import Command
from bridge_tf.cli.main import run_command

Options = dataclasses.make_dataclass("Options", [])
run_command("train", Command("usage", main, Options, resumable=True), [])
"""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_outside_held_a_signal_interrupts_at_once(signum):
    text = """
    def main(arguments):
        try:
            ready()
            time.sleep(20)
        except signals.Interrupted as error:
            print(error.signum, signals.requested(), flush=True)
            raise
        finally:
            print("cleaned")
    """
    status, out, err, seconds = end_of(textwrap.dedent(text) + RUN, signum)
    assert status == 128 + signum
    assert out == [str(int(signum))] * 2 + ["cleaned"]
    assert err == ["bridge-tf train: interrupted; what is done is kept, run it again to go on"]
    assert seconds < 5


def test_what_native_code_makes_of_an_interruption_is_one_too():
    text = """
    def main(arguments):
        try:
            ready()
            time.sleep(20)
        except KeyboardInterrupt:
            raise RuntimeError("initialization failed")
    """
    status, _, err, _ = end_of(textwrap.dedent(text) + RUN, signal.SIGINT)
    assert status == 130 and len(err) == 1


def test_an_interruption_that_python_ignores_comes_again():
    text = """
    class Slow:
        def __del__(self):
            ready()
            time.sleep(20)

    with signals.graceful(grace=60):
        try:
            Slow()
            time.sleep(20)
        except signals.Interrupted as error:
            print(error.signum, flush=True)
            time.sleep(0.5)  # in which it isn't taken for a second one
    """
    status, out, err, seconds = end_of(text, signal.SIGTERM)
    assert (status, out, err) == (0, ["15"], [])
    assert seconds < 5


def test_held_finishes_the_step():
    text = """
    try:
        with signals.graceful():
            with signals.held():
                with signals.held():
                    ready()
                    wait_for_a_signal()
                    print("step", flush=True)
                print("outer", flush=True)
            print("never", flush=True)
    except signals.Interrupted as error:
        print(error.signum)
    """
    status, out, err, _ = end_of(text, signal.SIGTERM)
    assert (status, out, err) == (0, ["step", "outer", "15"], [])


def test_an_error_within_held_is_not_hidden():
    text = """
    with signals.graceful():
        try:
            with signals.held():
                ready()
                wait_for_a_signal()
                raise ValueError
        except ValueError:
            print("as-raised")
    """
    assert end_of(text, signal.SIGINT)[:3] == (0, ["as-raised"], [])


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("body", ["ready(); time.sleep(60)", BLOCK], ids=["held", "native"])
def test_a_second_signal_leaves_at_once(second, body):
    text = f"""
    with signals.graceful(grace=60), signals.held():
        {body}
    """
    status, out, err, seconds = end_of(text, signal.SIGINT, second)
    assert (status, out, err) == (128 + second, [], ["interrupted"])
    assert seconds < 5


def test_a_signal_sent_twice_by_its_parent_is_one():
    text = """
    signals._ONE_SIGNAL = 60  # however late the second one is sent
    with signals.graceful(grace=60), signals.held():
        came = threading.Semaphore(0)
        handler = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda *args: (came.release(), handler(*args)))
        ready()
        for _ in range(2):
            while not came.acquire(blocking=False):
                time.sleep(0.01)
            print("came", flush=True)
        time.sleep(0.5)  # in which it would leave at a second one
        print("step", flush=True)
        os._exit(0)
    """
    program = Program(text)
    try:
        program.send(signal.SIGTERM, pause=0)
        assert program.process.stdout.readline() == "came\n"
        program.send(signal.SIGTERM, pause=0)
        assert program.end()[:3] == (0, ["came", "step"], [])
    finally:
        program.process.kill()


@pytest.mark.parametrize("where", ["signals.held()", "contextlib.nullcontext()"])
def test_native_code_is_left_when_the_time_is_over(where):
    text = f"""
    with signals.graceful(grace=1, message="train: late"), {where}:
        {BLOCK}
    """
    status, _, err, seconds = end_of(text, signal.SIGTERM)
    assert (status, err) == (143, ["train: late"])
    assert 0.9 < seconds < 5


def test_where_nothing_is_kept_the_first_signal_leaves_at_once():
    text = f"""
    with signals.graceful(grace=60):
        with signals.at_once():
            {BLOCK}
    """
    status, _, err, seconds = end_of(text, signal.SIGINT)
    assert (status, err) == (130, ["interrupted"])
    assert seconds < 5


@pytest.mark.parametrize("ignored", signals.SIGNALS)
def test_an_ignored_signal_stays_ignored(ignored):
    """As in `trap "" INT`, and in a job that a script starts by `&`."""
    (other,) = set(signals.SIGNALS) - {ignored}
    text = f"""
    signal.signal({int(ignored)}, signal.SIG_IGN)
    with signals.graceful(), signals.held():
        ready()
        wait_for_a_signal()
        print(signals.requested(), flush=True)
        os._exit(0)
    """
    status, out, err, _ = end_of(text, ignored, ignored, other)
    assert (status, out, err) == (0, [str(int(other))], [])
    before = signal.signal(ignored, signal.SIG_IGN)
    try:
        with signals.graceful():
            assert signal.getsignal(ignored) == signal.SIG_IGN
            assert signal.getsignal(other) not in (signal.SIG_IGN, signal.SIG_DFL)
        assert signal.getsignal(ignored) == signal.SIG_IGN
    finally:
        signal.signal(ignored, before)


def test_handlers_come_back():
    before = [signal.getsignal(signum) for signum in signals.SIGNALS]
    hook = sys.unraisablehook
    with signals.graceful():
        assert [signal.getsignal(signum) for signum in signals.SIGNALS] != before
        threads = threading.active_count()
        with signals.graceful():
            assert threading.active_count() == threads
        assert signals.requested() is None
        with pytest.raises(signals.Interrupted):
            signal.raise_signal(signal.SIGINT)
        assert signals.requested() == signal.SIGINT
    assert [signal.getsignal(signum) for signum in signals.SIGNALS] == before
    assert threading.active_count() == threads - 1
    assert signals.requested() is None
    assert signal.set_wakeup_fd(-1) == -1
    assert sys.unraisablehook is hook


def test_without_graceful_nothing_changes():
    with signals.held(), signals.at_once():
        with pytest.raises(KeyboardInterrupt) as info:
            signal.raise_signal(signal.SIGINT)
        assert not isinstance(info.value, signals.Interrupted)
        assert signals.requested() is None


def test_other_threads_cannot_and_do_not_install():
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def inside():
        with signals.graceful():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=inside)
    thread.start()
    thread.join()
    assert seen == [before]
