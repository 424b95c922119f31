"""Regular simplices, angular similarity, and statistics of labelled representations (numpy alone)."""

from simplexlab.geometry.catalogue import CATALOGUE, Optimum, Statistic, optimal_values, register, standard_optimum
from simplexlab.geometry.configurations import (
    SimplexDeviation,
    align_procrustes,
    head_simplex,
    orthogonal_frame,
    random_rotation,
    regular_simplex,
    simplex_deviation,
    simplex_projection,
)
from simplexlab.geometry.measures import (
    HISTOGRAM_EDGES,
    Distribution,
    Statistics,
    class_means,
    imbalance,
    optimum,
    statistics,
)
from simplexlab.geometry.similarity import (
    ORTHOGONAL_SIMILARITY,
    angular_similarity,
    distance_from_optimum,
    largest_deviation,
    simplex_similarity,
)

__all__ = [
    "CATALOGUE",
    "HISTOGRAM_EDGES",
    "ORTHOGONAL_SIMILARITY",
    "Distribution",
    "Optimum",
    "SimplexDeviation",
    "Statistic",
    "Statistics",
    "align_procrustes",
    "angular_similarity",
    "class_means",
    "distance_from_optimum",
    "head_simplex",
    "imbalance",
    "largest_deviation",
    "optimal_values",
    "optimum",
    "orthogonal_frame",
    "random_rotation",
    "register",
    "regular_simplex",
    "simplex_deviation",
    "simplex_projection",
    "simplex_similarity",
    "standard_optimum",
    "statistics",
]
