# %% [markdown]
# # 3 · The floor of cross-entropy
#
# Goal: check Theorem 1 and its corollaries number by number, and try to beat them.
#
# You should know: lessons 1 and 2, Jensen's and the Cauchy–Schwarz inequality.
#
# Minutes: 0.1 on two CPU cores (measured)
#
# On the command line: `simplexlab bound ce --classes 10 --radius 2 --frobenius 3`, `simplexlab figure 4`
#
# A trained network reports a loss, say 0.0002. Is that good? A lower bound that can be reached answers this.

# %%
import numpy as np

from simplexlab import geometry, theory
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.runs import list_geometry, read_geometry
from simplexlab.toy import Toy, minimise_cross_entropy, run_toy

lesson = Lesson(3)

# %% [markdown]
# ## Theorem 1
#
# Balanced labels, $K$ classes, all representations in the ball of radius $\rho$, classifier rows $w_1, \dots, w_K$:
#
# $$\mathrm{CE} \;\ge\; \log\Big(1 + (K-1)\exp\Big(-\rho\,\frac{\sqrt K}{K-1}\,\|W\|_F\Big)\Big).$$
#
# Equality holds exactly at a regular simplex: (C1) every point at its class mean, (C2) the class means at a regular
# simplex on the sphere of radius $\rho$, (C3) the weights parallel to the class means.
#
# The proof has two steps. With the mean margin $m = \frac{1}{K-1}\sum_y \langle\mu_y - \bar\mu, w_y\rangle$ over the
# class means $\mu_y$ and their mean $\bar\mu$,
#
# 1. Jensen: $\mathrm{CE} \ge \log(1 + (K-1)\,e^{-m})$,
# 2. Cauchy–Schwarz: $m \le \rho\,\frac{\sqrt K}{K-1}\,\|W\|_F$.
#
# We follow both along a toy that trains.

# %%
toy = Toy(
    loss="ce",
    points_per_class=lesson.pick(100, 30),
    steps=lesson.pick(500, 200),
    evaluate_every=4,
    run_dir=lesson.run_dir,
    name="ce",
)
result = run_toy(toy)
folder = lesson.folder / "runs" / "ce"
steps = list_geometry(folder)
table = []
for step in steps:
    frame = read_geometry(folder, step)
    points, labels, weights = frame["sample"].astype(float), frame["sample_labels"], frame["weights"].astype(float)
    means = np.array([points[labels == label].mean(axis=0) for label in range(3)])
    margin = np.sum((means - means.mean(axis=0)) * weights) / (3 - 1)
    loss = theory.ce_loss(points, labels, weights)
    jensen = np.log(1 + (3 - 1) * np.exp(-margin))
    radius, frobenius = np.linalg.norm(points, axis=1).max(), np.linalg.norm(weights)
    theorem = np.log(1 + (3 - 1) * np.exp(-radius * np.sqrt(3) / (3 - 1) * frobenius))
    assert np.isclose(theorem, theory.ce_bound_frobenius(3, radius, frobenius))
    table.append((loss, jensen, theorem))
loss, jensen, theorem = np.array(table).T

# %% [markdown]
# **Predict:** three curves: the loss, step 1 of the proof, step 2 of the proof. Which gaps between them close, and does
# the loss ever dip below the lowest curve?

# %%
figure = new_figure(7, 3.8, "Theorem 1 along the training of a toy")
axes = figure.subplots()
axes.plot(steps, loss, color=CLASS_COLORS[0], label="cross-entropy")
axes.plot(steps, jensen, color=CLASS_COLORS[1], label="after Jensen")
axes.plot(steps, theorem, label="theory: Theorem 1 for this ρ and ‖W‖", **THEORY_LINE)
axes.set(xlabel="step", ylabel="nats", xlim=(0, 100), ylim=(0, min(3, loss.max())))
axes.legend()
lesson.show(figure, "theorem")
assert np.all(loss >= jensen - 1e-6)  # the frames are kept in single precision
assert np.all(jensen >= theorem - 1e-6)
assert loss[-1] - theorem[-1] < 1e-4
for step, *row in zip(steps[::10], loss[::10], jensen[::10], theorem[::10], strict=True):
    print(f"step {step:3d}   CE {row[0]:.6f} ≥ Jensen {row[1]:.6f} ≥ Theorem 1 {row[2]:.6f}")

# %% [markdown]
# **Answer:** the loss never dips below, and both gaps close together. Jensen's gap measures how unequal the scores of
# the points are and closes when they are all alike; the Cauchy–Schwarz gap measures how far class means and weights
# are from a simplex and from being parallel. The floor itself moves, because the weights grow.
#
# **Exercise 3a** (2 lines). Theorem 1.
#
# **Exercise 3b** (1 line). Corollary 1: every row of $W$ has at most norm $r$. Then $\|W\|_F \le \sqrt K\,r$. What
# becomes of the exponent?


# %%
def floor_by_frobenius(num_classes, radius, frobenius):
    """Theorem 1."""
    return ...


def floor_by_max_norm(num_classes, radius, max_norm):
    """Corollary 1."""
    return ...


lesson.check("3a", floor_by_frobenius)
lesson.check("3b", floor_by_max_norm)

# %% [markdown]
# ## The conditions of equality
#
# `conditions_ce` says how far the toy is from each condition: 0 where it holds. (C3wd) also asks that the norm of the
# weights is the one of Corollary 2.

# %%
for name, deviation in result["conditions"].items():
    print(f"{name:5s} {deviation:.1e}")
assert max(result["conditions"].values()) < 0.02

# %% [markdown]
# ## Corollary 2: what λ does
#
# Without a limit on $W$ the loss goes to 0 and nothing is optimal. Weight decay adds $\lambda\|W\|_F^2$. The optimum
# then has rows of norm $r_W$, the one positive root $x$ of
#
# $$2\lambda x = \frac{\rho}{\exp\big(\frac{K\rho x}{K-1}\big) + K - 1}.$$
#
# **Exercise 3c** (5 to 8 lines). The left side grows with $x$, the right side falls. Find the root by bisection.


# %%
def best_weight_norm(radius, decay, num_classes):
    """r_W(ρ, λ): the root x > 0 of the equation above, to 1e-6."""
    return ...


lesson.check("3c", best_weight_norm)

# %% [markdown]
# **Predict:** the dots below come from an optimiser that knows nothing of the theory: it minimises over points *and*
# weights. Where do the norms go for $\lambda \to 0$? What is the loss for very large $\lambda$?

# %%
decays = lesson.pick(np.geomspace(1e-4, 1, 13), np.geomspace(1e-3, 1, 4))
found = [minimise_cross_entropy(3, 4, 2, decay, seed=0) for decay in decays]
smooth = np.geomspace(decays[0], decays[-1], 200)
figure = new_figure(9, 3.6, "Corollary 2, theory against optimisation")
left, right = figure.subplots(1, 2)
left.plot(smooth, [theory.optimal_weight_norm(1, decay, 3) for decay in smooth], label="theory: $r_W$", **THEORY_LINE)
right.plot(smooth, [theory.ce_bound_weight_decay(3, 1, decay) for decay in smooth], label="theory", **THEORY_LINE)
norms = [np.linalg.norm(weights, axis=1) for _, weights, _ in found]
left.plot(decays, [norm.mean() for norm in norms], "o", color=CLASS_COLORS[1], label="optimiser")
right.plot(decays, [value for *_, value in found], "o", color=CLASS_COLORS[1], label="optimiser")
right.axhline(np.log(3), color="#BBBBBB", linewidth=1)
left.set(xscale="log", xlabel="λ", ylabel="norm of a weight", ylim=(0, None))
right.set(xscale="log", xlabel="λ", ylabel="CE + λ‖W‖² (nats)", ylim=(0, 1.2))
left.legend()
right.legend()
lesson.show(figure, "weight_decay")
for decay, norm, (*_, value) in zip(decays, norms, found, strict=True):
    assert np.allclose(norm, theory.optimal_weight_norm(1, decay, 3), atol=0.02)
    assert -1e-9 < value - theory.ce_bound_weight_decay(3, 1, decay) < 1e-4
assert theory.optimal_weight_norm(1, 1e-9, 3) > 10  # norms grow without end, but only like log(1/λ)
assert abs(theory.ce_bound_weight_decay(3, 1, 1e6) - np.log(3)) < 1e-6  # W = 0: every class has probability 1/3

# %% [markdown]
# **Answer:** the norms grow like $\log(1/\lambda)$, without end; for large $\lambda$ the weights vanish and the loss
# is
# $\log K$, that of guessing.
#
# ## Try to beat it
#
# Your turn. Place 4 points of each of 3 classes in the unit disc of the plane, and three weights with
# $\|W\|_F \le 3$. The score is your loss minus the floor. Nobody gets below 0; a score under 0.001 solves the exercise.
#
# **Exercise 3d** (3 to 6 lines).


# %%
def my_configuration():
    """Points (12, 2) in the unit disc, labels (12,) with four of each of 0, 1, 2, weights (3, 2) with ‖W‖_F ≤ 3."""
    return ...


lesson.check("3d", my_configuration)

# %% [markdown]
# A random search tries as well.
#
# **Predict:** how close does the best of many random configurations come?

# %%
generator = np.random.default_rng(0)
labels = np.repeat(np.arange(3), 4)
floor = theory.ce_bound_frobenius(3, 1.0, 3.0)
scores = []
for _ in range(lesson.pick(20_000, 2_000)):
    points = generator.standard_normal((12, 2))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    weights = generator.standard_normal((3, 2))
    scores.append(theory.ce_loss(points, labels, weights * 3 / np.linalg.norm(weights)) - floor)
simplex = geometry.regular_simplex(3, 2)
best = theory.ce_loss(simplex[labels], labels, simplex * 3 / np.linalg.norm(simplex))
figure = new_figure(6, 3.2, f"{len(scores):,} random configurations")
axes = figure.subplots()
axes.hist(np.array(scores) + floor, bins=60, color=CLASS_COLORS[5], label="random configurations")
axes.axvline(floor, label="theory: Theorem 1", **THEORY_LINE)
axes.plot(best, 0, "o", color=CLASS_COLORS[1], clip_on=False, label="regular simplex", zorder=5)
axes.set(xlabel="cross-entropy (nats)", ylabel="configurations")
axes.legend()
lesson.show(figure, "random")
assert min(scores) > 0
assert abs(best - floor) < 1e-12

# %%
lesson.end(
    f"""Along {len(steps)} frames of the toy the loss stayed above Theorem 1, and ended {loss[-1] - theorem[-1]:.0e}
    above it. The optimiser found the weight norm {norms[0].mean():.3f} at λ = {decays[0]:g}, where Corollary 2 says
    {theory.optimal_weight_norm(1, decays[0], 3):.3f}. The best of {len(scores):,} random configurations still is
    {min(scores):.2f} above the floor, which the simplex reaches to {abs(best - floor):.0e}.
    Try next: simplexlab bound ce --classes 10 --radius 2 --weight-decay 0.0005, and compare with the loss of a network
    that you have trained."""
)
