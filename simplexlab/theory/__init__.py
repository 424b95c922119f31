"""The bounds of the paper, the laws of batch label counts, and exact losses of free configurations (numpy alone)."""

from simplexlab.theory.conditions import conditions_ce, conditions_sc
from simplexlab.theory.contrastive import (
    composition_value,
    inner_product_gap,
    log_label_count_law,
    paired_excess,
    sc_bound,
)
from simplexlab.theory.contrastive_loss import AllBatches, sc_loss_batch, sc_loss_batches
from simplexlab.theory.cross_entropy import (
    ce_bound_frobenius,
    ce_bound_max_norm,
    ce_bound_weight_decay,
    ce_loss,
    optimal_weight_norm,
)

__all__ = [
    "AllBatches",
    "ce_bound_frobenius",
    "ce_bound_max_norm",
    "ce_bound_weight_decay",
    "ce_loss",
    "composition_value",
    "conditions_ce",
    "conditions_sc",
    "inner_product_gap",
    "log_label_count_law",
    "optimal_weight_norm",
    "paired_excess",
    "sc_bound",
    "sc_loss_batch",
    "sc_loss_batches",
]
