import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.integration
def test_reports_are_made_without_keras():
    code = (
        "import sys, bridge_tf.report; "
        "print([name for name in ('keras', 'tensorflow', 'jax') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
