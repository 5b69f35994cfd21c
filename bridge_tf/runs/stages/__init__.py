"""The stages of a run, each an object that prepares and does the tasks of its own.

`check(run)` finds what is wrong before anything is done; `prepare(run)` gives the tasks to do;
`do(run, task)` does one: it reads files of other tasks and writes its own.
"""

from bridge_tf.runs.stages.baselines import Baselines
from bridge_tf.runs.stages.bridges import Bridges
from bridge_tf.runs.stages.curves import Curves
from bridge_tf.runs.stages.evaluate.stage import Evaluate
from bridge_tf.runs.stages.export import Export
from bridge_tf.runs.stages.modes import Modes

# In the order in which they run.
STAGES = {
    "modes": Modes(),
    "curves": Curves(),
    "bridges": Bridges(),
    "baselines": Baselines(),
    "evaluate": Evaluate(),
    "export": Export(),
}
