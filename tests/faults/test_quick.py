"""A run to which everything happens; what there is beside it needs `pytest -m faults`."""

import signal

import pytest

from tests.faults.processes import event_of, stopped
from tests.faults.runs import EVERY_STEP, assert_same, ended


@pytest.mark.integration
def test_a_run_survives_all_sorts_of_faults(new, whole, fault):
    number = event_of(whole, "os.rename", "curves/0-1/epoch-1.npz")
    first = new.start(spec={"at": number, "action": "stop"})
    stopped(first)
    with fault("second writer"):
        line = new.refused()
        assert f"process {first.pid} " in line and "--wait" in line
    with fault("SIGTERM"):
        first.send_signal(signal.SIGTERM)
        first.send_signal(signal.SIGCONT)
        ended(first, 128 + signal.SIGTERM)
        assert (new.work / "checkpoints" / "curves" / "0-1" / "epoch-1.npz").exists()
    with fault("kill at an event"):
        new.train(EVERY_STEP, spec={"at": 30}, status=-signal.SIGKILL)
        assert new.leftovers()
    mode = new.work / "modes" / "1.keras"
    content = bytearray(mode.read_bytes())
    content[len(content) // 2] ^= 1
    with fault("damaged file"):
        mode.write_bytes(content)
        line = new.refused()
        assert str(mode) in line and "--repair" in line
        new.train("--repair")
        aside = mode.with_name("1.keras.damaged")
        assert aside.read_bytes() == content
        aside.unlink()
        assert_same(new, whole)
