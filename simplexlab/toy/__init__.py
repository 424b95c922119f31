"""Free configurations: points that are optimised themselves, the ideal encoder of the paper's analysis."""

from simplexlab.toy.minimise import (
    batch_loss_and_gradient,
    minimise_all_batches,
    minimise_batch,
    minimise_cross_entropy,
)
from simplexlab.toy.run import run_toy
from simplexlab.toy.settings import PAPER_TOYS, Toy

__all__ = [
    "PAPER_TOYS",
    "Toy",
    "batch_loss_and_gradient",
    "minimise_all_batches",
    "minimise_batch",
    "minimise_cross_entropy",
    "run_toy",
]
