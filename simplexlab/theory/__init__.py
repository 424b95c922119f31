"""Bounds, floors with certificates, laws of batch label counts, exact losses of free configurations (numpy alone)."""

from simplexlab.theory.alignment_floor import alignment_uniformity_floor
from simplexlab.theory.conditions import conditions_ce, conditions_sc
from simplexlab.theory.contrastive import (
    composition_value,
    inner_product_gap,
    log_label_count_law,
    paired_excess,
    sc_bound,
)
from simplexlab.theory.contrastive_floor import sc_floor, sc_floor_of_batches, sc_floor_of_composition
from simplexlab.theory.contrastive_loss import AllBatches, sc_loss_batch, sc_loss_batches
from simplexlab.theory.contrastive_mean import sc_composition_value, sc_expected_loss
from simplexlab.theory.cross_entropy import (
    ce_bound_frobenius,
    ce_bound_max_norm,
    ce_bound_weight_decay,
    ce_loss,
    optimal_weight_norm,
)
from simplexlab.theory.cross_entropy_floor import ce_floor, ce_floor_weight_decay
from simplexlab.theory.energies import Extreme, least_energy, least_largest_cosine, mean_energy, spread_directions
from simplexlab.theory.fixed_head import fixed_head_floor
from simplexlab.theory.floor import Floor
from simplexlab.theory.logit_floors import mse_floor, smoothed_ce_floor
from simplexlab.theory.logit_losses import CrossEntropy, LogitLoss, SmoothedCrossEntropy, SquaredError
from simplexlab.theory.penalised import ufm_ce_floor, ufm_mse_floor
from simplexlab.theory.relative_losses import (
    alignment_uniformity_loss,
    n_pairs_losses,
    soft_nearest_neighbour_losses,
    triplet_losses,
)
from simplexlab.theory.relatives import (
    alignment_uniformity_bound,
    collapse_threshold,
    n_pairs_bound,
    prototypes_floor,
    prototypes_optimum,
    soft_nearest_neighbour_floor,
    soft_nearest_neighbour_floor_of_composition,
    soft_nearest_neighbour_values,
    triplet_bound,
)
from simplexlab.theory.tuplets import (
    n_pairs_floor,
    n_pairs_floor_of_batch,
    n_pairs_values,
    triplet_floor,
    triplet_floor_of_composition,
    triplet_values,
)

__all__ = [
    "AllBatches",
    "CrossEntropy",
    "Extreme",
    "Floor",
    "LogitLoss",
    "SmoothedCrossEntropy",
    "SquaredError",
    "alignment_uniformity_bound",
    "alignment_uniformity_floor",
    "alignment_uniformity_loss",
    "ce_bound_frobenius",
    "ce_bound_max_norm",
    "ce_bound_weight_decay",
    "ce_floor",
    "ce_floor_weight_decay",
    "ce_loss",
    "collapse_threshold",
    "composition_value",
    "conditions_ce",
    "conditions_sc",
    "fixed_head_floor",
    "inner_product_gap",
    "least_energy",
    "least_largest_cosine",
    "log_label_count_law",
    "mean_energy",
    "mse_floor",
    "n_pairs_bound",
    "n_pairs_floor",
    "n_pairs_floor_of_batch",
    "n_pairs_losses",
    "n_pairs_values",
    "optimal_weight_norm",
    "paired_excess",
    "prototypes_floor",
    "prototypes_optimum",
    "sc_bound",
    "sc_composition_value",
    "sc_expected_loss",
    "sc_floor",
    "sc_floor_of_batches",
    "sc_floor_of_composition",
    "sc_loss_batch",
    "sc_loss_batches",
    "smoothed_ce_floor",
    "soft_nearest_neighbour_floor",
    "soft_nearest_neighbour_floor_of_composition",
    "soft_nearest_neighbour_losses",
    "soft_nearest_neighbour_values",
    "spread_directions",
    "triplet_bound",
    "triplet_floor",
    "triplet_floor_of_composition",
    "triplet_losses",
    "triplet_values",
    "ufm_ce_floor",
    "ufm_mse_floor",
]
