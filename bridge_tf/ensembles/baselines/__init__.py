"""Baselines for bridges: other ways of ensembling, trained with the run's own recipe.

`swa` averages weights. `fge` collects networks along cycles of the learning rate. `distillation`
trains one network to predict what a deep ensemble predicts. `batch_ensemble`, `mc_dropout` and
`mimo` are single networks with several members. `bridge_tf.fit_mode` or `fit` trains them.
"""

from bridge_tf.ensembles.baselines.batch_ensemble import RankOne, batch_ensemble
from bridge_tf.ensembles.baselines.cyclic import CyclicRecipe
from bridge_tf.ensembles.baselines.knowledge_distillation import Distillation, fit_student
from bridge_tf.ensembles.baselines.mc_dropout import ChannelDropout, mc_dropout
from bridge_tf.ensembles.baselines.members import with_members
from bridge_tf.ensembles.baselines.mimo import MimoTraining, fit_mimo, mimo_members
from bridge_tf.ensembles.baselines.swa import SwaRecipe, fit_swa

__all__ = [
    "ChannelDropout",
    "CyclicRecipe",
    "Distillation",
    "MimoTraining",
    "RankOne",
    "SwaRecipe",
    "batch_ensemble",
    "fit_mimo",
    "fit_student",
    "fit_swa",
    "mc_dropout",
    "mimo_members",
    "with_members",
]
