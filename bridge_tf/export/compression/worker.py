"""The process that compresses: `python -m bridge_tf.export.compression.worker FOLDER`.

It reads the plan in the folder and writes the result there; messages go to standard output. It ends
when standard input ends, which is a pipe from the process that waits for it.
"""

import logging
import pathlib
import sys
import warnings

from bridge_tf.export.compression import folder as files
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.signals import end_with
from bridge_tf.utils.terminal import handled_by, quiet_stderr

if __name__ == "__main__":
    end_with(0)
    path = pathlib.Path(sys.argv[1])
    warnings.simplefilter("ignore")  # of the libraries' use of each other
    with quiet_stderr():
        from bridge_tf.export.compression.compress import compress
    try:
        with handled_by(logging.StreamHandler(sys.stdout)):
            compress(path)
    except InputError as error:
        (path / files.ERROR).write_text(str(error), encoding="utf-8")
        sys.exit(2)
