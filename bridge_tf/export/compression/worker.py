"""The process that compresses: `python -m bridge_tf.export.compression.worker FOLDER VERBOSITY`.

It reads what `plan.py` wrote to the folder, and writes what came out to the same folder.
"""

import pathlib
import sys
import warnings

from absl import logging

from bridge_tf.export.compression import folder as files
from bridge_tf.utils.errors import InputError
from bridge_tf.utils.quiet import quiet_stderr

if __name__ == "__main__":
    path = pathlib.Path(sys.argv[1])
    logging.set_verbosity(int(sys.argv[2]))
    warnings.simplefilter("ignore")  # of the libraries' use of each other
    with quiet_stderr():
        from bridge_tf.export.compression.compress import compress
    try:
        compress(path)
    except InputError as error:
        (path / files.ERROR).write_text(str(error), encoding="utf-8")
        sys.exit(2)
