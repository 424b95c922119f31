"""Keras losses of the project, for every backend of Keras. Cross-entropy is Keras's own."""

from simplexlab.losses.batch import global_batch
from simplexlab.losses.contrastive import SupervisedContrastive, supervised_contrastive
from simplexlab.losses.energy import HypersphericalEnergy, hyperspherical_energy
from simplexlab.losses.logits import PrototypeDistance, SmoothedCrossEntropy, SquaredError
from simplexlab.losses.relatives import AlignmentUniformity, NPairs, SoftNearestNeighbour, Triplet
from simplexlab.losses.supcon import SupCon

__all__ = [
    "AlignmentUniformity",
    "HypersphericalEnergy",
    "NPairs",
    "PrototypeDistance",
    "SmoothedCrossEntropy",
    "SoftNearestNeighbour",
    "SquaredError",
    "SupCon",
    "SupervisedContrastive",
    "Triplet",
    "global_batch",
    "hyperspherical_energy",
    "supervised_contrastive",
]
