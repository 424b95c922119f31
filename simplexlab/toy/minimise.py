"""Minimisers of the exact losses of small configurations, independent of the training code (numpy and scipy)."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from simplexlab import theory
from simplexlab.geometry.checks import positive, whole
from simplexlab.toy.configurations import balanced_labels, uniform_in_ball, uniform_on_sphere


def minimise_all_batches(
    objective: theory.AllBatches,
    start: ArrayLike,
    *,
    radius: float = 1.0,
    steps: int = 200,
    visit: Callable[[int, np.ndarray, float], None] | None = None,
) -> tuple[np.ndarray, float]:
    """Minimise the mean SC loss over all batches over points on a sphere, by L-BFGS.

    The points are ρ·u/‖u‖ of unconstrained u, so that every iterate is on the sphere.

    Args:
        objective: the mean over all multisets of b of the N points.
        start: the first points, none of them 0, shape (N, h).
        radius: ρ > 0 of the sphere.
        steps: the most iterations.
        visit: called with the iteration, the points and the loss: at the start and after each iteration.

    Returns:
        The points (N, h) and their loss, once the largest entry of the gradient is below 10⁻⁶.

    Reference: Fig. 6 of the paper, which took 100k stochastic steps.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    radius = positive("radius", radius)
    start = np.asarray(start, dtype=np.float64)

    def on_sphere(free: np.ndarray) -> np.ndarray:
        free = free.reshape(start.shape)
        return radius * free / np.linalg.norm(free, axis=1, keepdims=True)

    def loss_and_gradient(free: np.ndarray) -> tuple[float, np.ndarray]:
        points = on_sphere(free)
        loss, gradient = objective.mean_loss_and_gradient(points)
        tangent = gradient - points * np.sum(gradient * points, axis=1, keepdims=True) / radius**2
        return loss, (tangent * radius / np.linalg.norm(free.reshape(start.shape), axis=1, keepdims=True)).ravel()

    iteration = 0

    def count(intermediate_result) -> None:
        nonlocal iteration
        iteration += 1
        visit(iteration, on_sphere(intermediate_result.x), float(intermediate_result.fun))

    if visit is not None:
        visit(0, on_sphere(start.ravel()), objective.mean_loss(on_sphere(start.ravel())))
    with threadpool_limits(1, user_api="blas"):  # of such small matrices several threads wait for each other
        found = minimize(
            loss_and_gradient,
            (start / np.linalg.norm(start, axis=1, keepdims=True)).ravel(),
            jac=True,
            method="L-BFGS-B",
            callback=None if visit is None else count,
            options={"maxiter": steps, "maxfun": 10 * steps, "ftol": 0.0, "gtol": 1e-6},
        )
    return on_sphere(found.x), float(found.fun)


def minimise_cross_entropy(
    num_classes: int, points_per_class: int, dimension: int, weight_decay: float, *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, float]:
    """Minimise mean CE + λ‖W‖²_F over points ‖z‖ ≤ 1 and weights W, by sequential quadratic programming (SLSQP).

    Args:
        num_classes: K ≥ 2.
        points_per_class: n ≥ 1.
        dimension: h ≥ 1.
        weight_decay: λ > 0.
        seed: of the first configuration: points uniform in the ball, weights standard normal.

    Returns:
        The points (nK, h), the weights (K, h) and their loss.

    Reference: Corollary 2 and Fig. 4 of the paper.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    labels = balanced_labels(num_classes, points_per_class)
    weight_decay = positive("weight decay", weight_decay)
    generator = np.random.default_rng(seed)
    points = uniform_in_ball(generator, len(labels), dimension)
    weights = generator.standard_normal((num_classes, dimension))
    targets = np.eye(num_classes)[labels]

    def split(free: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return free[: points.size].reshape(points.shape), free[points.size :].reshape(weights.shape)

    def loss_and_gradient(free: np.ndarray) -> tuple[float, np.ndarray]:
        z, w = split(free)
        scores = z @ w.T
        log_sums = np.logaddexp.reduce(scores, axis=1)
        errors = (np.exp(scores - log_sums[:, None]) - targets) / len(labels)
        loss = np.mean(log_sums - np.sum(scores * targets, axis=1)) + weight_decay * np.sum(w**2)
        return loss, np.concatenate([(errors @ w).ravel(), (errors.T @ z + 2 * weight_decay * w).ravel()])

    def room(free: np.ndarray) -> np.ndarray:
        return 1 - np.sum(split(free)[0] ** 2, axis=1)

    def room_gradient(free: np.ndarray) -> np.ndarray:
        gradient = np.zeros((len(labels), free.size))
        for row, point in enumerate(split(free)[0]):
            gradient[row, row * dimension : (row + 1) * dimension] = -2 * point
        return gradient

    with threadpool_limits(1, user_api="blas"):  # of such small matrices several threads wait for each other
        found = minimize(
            loss_and_gradient,
            np.concatenate([points.ravel(), weights.ravel()]),
            jac=True,
            method="SLSQP",
            constraints={"type": "ineq", "fun": room, "jac": room_gradient},
            options={"maxiter": 1000, "ftol": 1e-13},
        )
    points, weights = split(found.x)
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1.0)
    loss = theory.ce_loss(points, labels, weights) + weight_decay * np.sum(weights**2)
    return points, weights, float(loss)


def minimise_batch(
    label_counts: ArrayLike,
    dimension: int = 2,
    *,
    radius: float = 1.0,
    starts: int = 8,
    steps: int = 2000,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray, float]:
    """Minimise the SC loss of one batch over its points on a sphere: gradient descent from several starts.

    Each step moves every point against the gradient of the sum over anchors and back onto the sphere.

    Args:
        label_counts: points of each class in the batch, shape (K,), b ≥ 3 in all; a class may be absent.
        dimension: h ≥ 1.
        radius: ρ > 0 of the sphere.
        starts: first configurations, uniform on the sphere; the best end is returned.
        steps: steps of gradient descent.
        learning_rate: its learning rate.
        seed: of the starts.

    Returns:
        The points (b, h), their labels (b,) and the loss, summed over anchors.

    Reference: Fig. 5 of the paper.
    """
    label_counts = np.asarray(label_counts)
    labels = np.repeat(np.arange(len(label_counts)), label_counts)
    whole("batch size", len(labels), 3)
    generator = np.random.default_rng(seed)
    points = radius * uniform_on_sphere(generator, starts * len(labels), dimension).reshape(
        starts, len(labels), dimension
    )
    for _ in range(steps):
        _, gradient = batch_loss_and_gradient(points, labels)
        points = points - learning_rate * gradient
        points *= radius / np.linalg.norm(points, axis=-1, keepdims=True)
    losses, _ = batch_loss_and_gradient(points, labels)
    best = int(np.argmin(losses))
    return points[best], labels, float(losses[best])


def batch_loss_and_gradient(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """SC loss of one batch, summed over anchors, and its gradient with respect to the points.

    Args:
        points: z of one or more configurations of the batch, shape (…, b, h).
        labels: y, shape (b,).

    Returns:
        The losses (…,) and the gradients (…, b, h).

    Reference: Definition 2 of the paper.
    """
    itself = np.eye(len(labels), dtype=bool)
    same = (labels[:, None] == labels) & ~itself
    positives = same.sum(axis=1)
    shares = same / np.maximum(positives, 1)[:, None]
    is_anchor = (positives > 0)[:, None]
    inner = points @ np.swapaxes(points, -1, -2)
    log_sums = np.logaddexp.reduce(np.where(itself, -np.inf, inner), axis=-1, keepdims=True)
    losses = np.sum(is_anchor * log_sums, axis=(-2, -1)) - np.sum(shares * inner, axis=(-2, -1))
    slope = is_anchor * (np.exp(np.where(itself, -np.inf, inner - log_sums)) - shares)
    return losses, (slope + np.swapaxes(slope, -1, -2)) @ points
