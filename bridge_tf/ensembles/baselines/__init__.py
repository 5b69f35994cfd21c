"""Baselines for bridges: other ways of ensembling, trained with the run's own recipe."""

from bridge_tf.ensembles.baselines.batch_ensemble import RankOne, batch_ensemble
from bridge_tf.ensembles.baselines.cyclic import CyclicRecipe
from bridge_tf.ensembles.baselines.knowledge_distillation import (
    StudentDistillation,
    StudentTraining,
    fit_from_answers,
    fit_student,
    with_bridges,
)
from bridge_tf.ensembles.baselines.laplace import laplace
from bridge_tf.ensembles.baselines.mc_dropout import ChannelDropout, mc_dropout
from bridge_tf.ensembles.baselines.members import MembersTraining, fit_members, with_members
from bridge_tf.ensembles.baselines.mimo import MimoTraining, fit_mimo, mimo_members
from bridge_tf.ensembles.baselines.swa import SwaRecipe, fit_swa

__all__ = [
    "ChannelDropout",
    "CyclicRecipe",
    "MembersTraining",
    "MimoTraining",
    "RankOne",
    "StudentDistillation",
    "StudentTraining",
    "SwaRecipe",
    "batch_ensemble",
    "fit_from_answers",
    "fit_members",
    "fit_mimo",
    "fit_student",
    "fit_swa",
    "laplace",
    "mc_dropout",
    "mimo_members",
    "with_bridges",
    "with_members",
]
