"""What the tasks of a run take, before there are machines or images for it; see docs/scale.md."""

from bridge_tf.runs.cost_model.model import Cost, CostModel, DataSizes

__all__ = ["Cost", "CostModel", "DataSizes"]
