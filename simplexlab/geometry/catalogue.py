"""Every statistic of a configuration, once: its key, what it is called, how it is measured and where it is optimal.

Metrics lines, tables, charts, help, figures, reports and event files go through `CATALOGUE`. A statistic of one's own
is one more row: `register(Statistic(key=…, label=…, meaning=…, measure=…, optimum=…))`.
"""

import functools
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from simplexlab.geometry.checks import as_array, choice, whole
from simplexlab.geometry.similarity import angular_similarity, largest_deviation, pairwise_similarity

if TYPE_CHECKING:
    from simplexlab.geometry.measures import Distribution, Statistics

GROUPS = ("angles", "collapse", "spread", "own")
"""What a chart shows together: angular similarities, neural collapse, spread over the sphere, one's own."""

PAIR_ENTRIES = 2**18  # numbers of the pairs' vectors held at once


@dataclass(frozen=True)
class Optimum:
    """The optimal configuration that a statistic is set beside.

    Attributes:
        class_means: optimal class means, shape (K, h').
        weights: optimal rows of the classifier, shape (K, h').
        class_counts: points of each class, shape (K,), or None for as many in each.
        dimension: h of the representations, which may be less than K − 1, or None where it does not matter.
        name: what the configuration is called: simplex, orthogonal frame, optimum.
        spread: whether classes do not collapse there. Their points then lie on the unit sphere with equal inner
            products within a class, so that the norm of a class mean is their cosine with it.
        irregular: whether those inner products differ, as in few dimensions: the class means do not tell the angles.
    """

    class_means: np.ndarray
    weights: np.ndarray
    class_counts: np.ndarray | None = None
    dimension: int | None = None
    name: str = "optimum"
    spread: bool = False
    irregular: bool = False

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.class_means)

    @functools.cached_property
    def similarity(self) -> np.ndarray:
        """γ(μ_i, μ_j) of every pair i < j of class means, shape (K(K−1)/2,)."""
        return _pairs(self.class_means)


@dataclass(frozen=True, kw_only=True)
class Statistic:
    """One row of the catalogue.

    Attributes:
        key: its name in metrics lines and results.
        label: what tables call it.
        meaning: one sentence.
        measure: measured statistics and the optimum → a number, a `Distribution`, or None where it does not exist.
        optimum: the optimal configuration → the value there, or None where there is none.
        short: what narrow panels call it; by default the label.
        group: one of `GROUPS`.
        log: whether a chart of it has a logarithmic axis.
        spread: whether it is a distribution, of which records hold mean and quantiles, and not one number.
    """

    key: str
    label: str
    meaning: str
    measure: Callable[["Statistics", Optimum], "float | Distribution | None"]
    optimum: Callable[[Optimum], float | None]
    short: str = ""
    group: str = "own"
    log: bool = False
    spread: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", self.key):
            raise ValueError(f"the key of a statistic is lower-case letters, digits and _, got {self.key!r}")
        choice("group of a statistic", self.group, GROUPS)
        if not self.short:
            object.__setattr__(self, "short", self.label)

    def value(self, statistics: "Statistics", optimum: Optimum) -> "float | dict[str, float] | None":
        """The measured value as JSON takes it: a Python float, a distribution as a dict, None where there is none."""
        from simplexlab.geometry.measures import Distribution

        measured = self.measure(statistics, optimum)
        if isinstance(measured, Distribution):
            return measured.to_dict()
        return None if measured is None else float(measured)

    def optimal(self, optimum: Optimum) -> float | None:
        """The value at the optimal configuration, a Python float; what is 0 but for rounding is 0."""
        value = self.optimum(optimum)
        return None if value is None else float(value) if abs(value) > 1e-12 else 0.0

    def facts(self) -> dict[str, Any]:
        """What a reader needs to know of a row that it does not have itself, ready for JSON."""
        return {name: getattr(self, name) for name in ("key", "label", "short", "meaning", "group", "log")}

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Statistic":
        """A row for readers: it names and describes, and cannot measure.

        Raises:
            ValueError, KeyError, TypeError: the facts are not those of a statistic.
        """
        texts: dict[str, Any] = {name: str(facts[name]) for name in ("key", "label", "short", "meaning", "group")}
        return cls(**texts, log=bool(facts["log"]), measure=lambda *_: None, optimum=lambda _: None)


def _pairs(points: np.ndarray) -> np.ndarray:
    """γ of every pair i < j, to the last digits also near 0 and 1, where those of `pairwise_similarity` are half."""
    first, second = np.triu_indices(len(points), 1)
    block = max(1, PAIR_ENTRIES // points.shape[1])
    parts = [slice(start, start + block) for start in range(0, len(first), block)]
    return np.concatenate([angular_similarity(points[first[part]], points[second[part]]) for part in parts])


def _if_collapsed(value: Callable[[Optimum], float | None]) -> Callable[[Optimum], float | None]:
    """The value at the optimum, None where its classes are spread and the class means do not tell it."""
    return lambda optimum: None if optimum.spread else value(optimum)


def _within(optimum: Optimum) -> float | None:
    if not optimum.spread:
        return 1.0
    if optimum.irregular:
        return None
    cosines = np.minimum(np.linalg.norm(optimum.class_means, axis=1), 1.0)
    return float(np.average(1 - np.arccos(cosines) / np.pi, weights=optimum.class_counts))


def _uniformity(optimum: Optimum) -> float:
    counts = np.ones(optimum.num_classes) if optimum.class_counts is None else optimum.class_counts
    shares = counts / np.sum(counts)
    norms = np.linalg.norm(optimum.class_means, axis=1, keepdims=True)
    units = optimum.class_means / np.where(norms > 0, norms, 1.0)
    return float(np.log(shares @ np.exp(4 * (np.clip(units @ units.T, -1, 1) - 1)) @ shares))


def _effective_rank(optimum: Optimum) -> float | None:
    from simplexlab.geometry.measures import effective_rank

    counts = (
        np.ones(optimum.num_classes) if optimum.class_counts is None else as_array(optimum.class_counts).astype(float)
    )
    centred = optimum.class_means - (counts / counts.sum()) @ optimum.class_means
    return effective_rank((centred * counts[:, None]).T @ centred)


_ROWS = (
    Statistic(
        key="class_mean_similarity",
        label="γ between class means",
        short="γ means",
        group="angles",
        spread=True,
        meaning="Angular similarity γ (Eq. 7) of every two class means: 1 same direction, ½ orthogonal, 0 opposite.",
        measure=lambda found, _: found.class_mean_similarity,
        optimum=lambda best: best.similarity.mean(),
    ),
    Statistic(
        key="weight_similarity",
        label="γ between weights",
        short="γ weights",
        group="angles",
        spread=True,
        meaning="Angular similarity γ of every two rows of the classifier.",
        measure=lambda found, _: found.weight_similarity,
        optimum=lambda best: pairwise_similarity(best.weights).mean(),
    ),
    Statistic(
        key="within_class_similarity",
        label="γ within classes",
        short="γ within",
        group="angles",
        spread=True,
        meaning="Angular similarity γ of every point and the mean of its class: 1 where classes have collapsed.",
        measure=lambda found, _: found.within_class_similarity,
        optimum=_within,
    ),
    Statistic(
        key="similarity_deviation",
        label="largest deviation of γ",
        short="max |γ − γ*|",
        group="angles",
        meaning="Largest |γ_ij − γ*_ij| over pairs of class means, γ* at the optimum: unlike the mean of γ, which "
        "centring alone forces, it is 0 only where every angle is right.",
        measure=lambda found, best: largest_deviation(_pairs(found.class_means), best.similarity),
        optimum=lambda _: 0.0,
    ),
    Statistic(
        key="nc1",
        label="NC1 within-class scatter",
        short="NC1",
        group="collapse",
        log=True,
        meaning="Scatter of the points about their class means, measured against that of the class means.",
        measure=lambda found, _: found.nc1,
        optimum=_if_collapsed(lambda _: 0.0),
    ),
    Statistic(
        key="nc2",
        label="NC2 class means − simplex",
        short="NC2",
        group="collapse",
        log=True,
        meaning="Distance of the centred class means' Gram matrix from a simplex's; centring turns an orthogonal "
        "frame into a simplex, so it does not see a ReLU.",
        measure=lambda found, _: found.nc2,
        optimum=lambda best: _nc2(best.class_means),
    ),
    Statistic(
        key="nc3",
        label="NC3 classifier − class means",
        short="NC3",
        group="collapse",
        log=True,
        meaning="Distance of the classifier's rows from the centred class means, both at norm 1.",
        measure=lambda found, _: found.nc3,
        optimum=lambda best: _nc3(best.class_means, best.weights),
    ),
    Statistic(
        key="nc4",
        label="NC4 classifier ≠ nearest mean",
        short="NC4",
        group="collapse",
        log=True,
        meaning="Share of the points for which the classifier and the nearest class mean disagree.",
        measure=lambda found, _: found.nc4,
        optimum=lambda _: 0.0,
    ),
    Statistic(
        key="cdnv",
        label="CDNV",
        short="CDNV",
        group="collapse",
        log=True,
        meaning="Class-distance normalised variance: mean over pairs of classes of half the sum of their variances "
        "over the squared distance of their means (Galanti et al. 2022).",
        measure=lambda found, _: found.cdnv,
        optimum=_if_collapsed(lambda _: 0.0),
    ),
    Statistic(
        key="alignment",
        label="alignment",
        group="spread",
        meaning="Mean squared distance of two normalised points of one class (Wang & Isola 2020).",
        measure=lambda found, _: found.alignment,
        optimum=_if_collapsed(lambda _: 0.0),
    ),
    Statistic(
        key="uniformity",
        label="uniformity",
        group="spread",
        meaning="log E exp(−2‖u − v‖²) over two normalised points: the lower, the more evenly they fill the sphere "
        "(Wang & Isola 2020).",
        measure=lambda found, _: found.uniformity,
        optimum=_if_collapsed(_uniformity),
    ),
    Statistic(
        key="effective_rank",
        label="effective rank",
        short="eff. rank",
        group="spread",
        meaning="exp of the entropy of the centred representations' singular values: how many directions they use "
        "(Roy & Vetterli 2007).",
        measure=lambda found, _: found.effective_rank,
        optimum=_if_collapsed(_effective_rank),
    ),
)
CATALOGUE: dict[str, Statistic] = {row.key: row for row in _ROWS}
"""The statistics by key, in the order of tables."""


def register(statistic: Statistic) -> Statistic:
    """Add a row to the catalogue of this process; registering the same key again replaces a row of one's own.

    Raises:
        ValueError: the key belongs to a statistic of the package.
    """
    if statistic.key in BUILT_IN:
        raise ValueError(f"a statistic named {statistic.key} is in the package already; choose another key")
    CATALOGUE[statistic.key] = statistic
    return statistic


def unregister(key: str) -> None:
    """Take a row of one's own out of the catalogue of this process."""
    if key not in BUILT_IN:
        CATALOGUE.pop(key, None)


BUILT_IN = frozenset(CATALOGUE)


def rows_of(config: Mapping[str, Any] | None) -> list[Statistic]:
    """The rows that apply to a run: the package's, this process's own, and those whose facts its config.json holds."""
    rows = dict(CATALOGUE)
    recorded = config.get("statistics") if isinstance(config, Mapping) else None
    for facts in recorded if isinstance(recorded, list) else ():
        try:
            row = Statistic.from_facts(facts)
        except (ValueError, KeyError, TypeError):  # of another version, or damaged: it has no name to be shown under
            continue
        rows.setdefault(row.key, row)
    return list(rows.values())


def own_facts() -> list[dict[str, Any]]:
    """Facts of the rows that are not the package's, for a config.json."""
    return [row.facts() for key, row in CATALOGUE.items() if key not in BUILT_IN]


def standard_optimum(num_classes: int, features: str = "free", dimension: int | None = None) -> Optimum:
    """The optimum of CE and SC for balanced labels: the regular simplex, or for non-negative features the frame.

    Args:
        num_classes: K ≥ 2.
        features: `free` for the regular simplex, `nonnegative` for the orthogonal frame (an encoder that ends in a
            ReLU), whose classifier is its centred copy, a simplex.
        dimension: h of the representations.
    """
    from simplexlab.geometry.configurations import orthogonal_frame, regular_simplex

    num_classes = whole("number of classes", num_classes, 2)
    simplex = regular_simplex(num_classes, num_classes)
    if choice("features", features, ("free", "nonnegative")) == "free":
        return Optimum(simplex, simplex, dimension=dimension, name="simplex")
    frame = orthogonal_frame(num_classes, num_classes)
    return Optimum(frame, frame - frame.mean(axis=0), dimension=dimension, name="orthogonal frame")


def optimal_values(optimum: Optimum, rows: Iterable[Statistic] | None = None) -> dict[str, float | None]:
    """Value of every statistic at an optimal configuration, by key."""
    return {row.key: row.optimal(optimum) for row in (CATALOGUE.values() if rows is None else rows)}


def measured_values(statistics: "Statistics", optimum: Optimum) -> dict[str, Any]:
    """Value of every statistic of the catalogue, by key, ready for JSON."""
    return {row.key: row.value(statistics, optimum) for row in CATALOGUE.values()}


def _nc2(class_means: np.ndarray) -> float:
    num_classes = len(class_means)
    centred = class_means - class_means.mean(axis=0)
    product = centred @ centred.T
    simplex = (np.eye(num_classes) - 1 / num_classes) / math.sqrt(num_classes - 1)
    return float(np.linalg.norm(product / (np.linalg.norm(product) or 1.0) - simplex))


def _nc3(class_means: np.ndarray, weights: np.ndarray) -> float:
    centred = class_means - class_means.mean(axis=0)
    difference = weights / (np.linalg.norm(weights) or 1.0) - centred / (np.linalg.norm(centred) or 1.0)
    return float(np.linalg.norm(difference))
