"""Keras losses of the project, for every backend of Keras. Cross-entropy is Keras's own."""

from simplexlab.losses.batch import global_batch
from simplexlab.losses.contrastive import SupervisedContrastive, supervised_contrastive

__all__ = ["SupervisedContrastive", "global_batch", "supervised_contrastive"]
