# %% [markdown]
# # 3 · The floor of cross-entropy
#
# Goal: check Theorem 1 and its corollaries number by number, step by step, and try to beat them.
#
# You should know: lessons 1 and 2, Jensen's and the Cauchy–Schwarz inequality.
#
# Minutes: 0.2 on two CPU cores (measured)
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
# 2. Cauchy–Schwarz: $m \le \frac{1}{K-1}\,\|M\|_F\,\|W\|_F$ for the matrix $M$ with rows $\mu_y - \bar\mu$, and
#    $\|M\|_F \le \sqrt K\,\rho$.
#
# We follow both along a toy of three classes in the plane that trains.

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


def proof(points, labels, weights):
    """CE, what is left of it after Jensen, and Theorem 1, for points (N, h), labels (N,) and weights (K, h)."""
    classes = len(weights)
    means = geometry.class_means(points, labels)
    margin = np.sum((means - means.mean(axis=0)) * weights) / (classes - 1)
    jensen = np.log1p((classes - 1) * np.exp(-margin))
    radius, frobenius = np.linalg.norm(points, axis=1).max(), np.linalg.norm(weights)
    return theory.ce_loss(points, labels, weights), jensen, theory.ce_bound_frobenius(classes, radius, frobenius)


table = []
for step in steps:
    frame = read_geometry(folder, step)
    table.append(proof(frame["sample"].astype(float), frame["sample_labels"], frame["weights"].astype(float)))
loss, jensen, theorem = np.array(table).T

# %%
lesson.predict(
    "3a",
    "Three curves along the training: the loss, what is left after Jensen, and Theorem 1. What do the two gaps do?",
    [
        "both close",
        "Jensen's closes, the other one stays",
        "both stay open: a bound is not reached",
    ],
)

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
closed = loss[-1] - jensen[-1] < 1e-4, jensen[-1] - theorem[-1] < 1e-4
for step, *row in zip(steps[::10], loss[::10], jensen[::10], theorem[::10], strict=True):
    print(f"step {step:3d}   CE {row[0]:.6f} ≥ Jensen {row[1]:.6f} ≥ Theorem 1 {row[2]:.6f}")
assert all(closed)
lesson.replay("3a", "a" if all(closed) else "b" if closed[0] else "c")

# %% [markdown]
# **Answer:** both close, and the loss is never below the lowest curve. The floor itself moves, because the weights
# grow.

# %% [markdown]
# ## What each gap measures
#
# Jensen's gap is 0 exactly if the wrong classes of every point score alike and all points have the same margin. The
# Cauchy–Schwarz gap is 0 exactly if the weights are parallel to the centred class means, and these have the largest
# norm that they can have. For three classes in the plane both together leave only a regular simplex. Is each of them a
# distance from one? Take *four* classes in the plane, at the corners of a square, with weights parallel to them.

# %%
lesson.predict(
    "3b",
    "At a square, weights parallel to the corners: which gap is open?",
    ["Cauchy–Schwarz: a square is no simplex", "both", "Jensen's alone"],
)

# %%
square = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
square_loss, square_jensen, square_theorem = proof(square, np.arange(4), 1.5 * square)  # ‖W‖_F = 3
print(f"square: CE {square_loss:.4f}, after Jensen {square_jensen:.4f}, Theorem 1 {square_theorem:.4f}")
assert round(square_loss, 3) == 0.403
assert round(square_theorem, 3) == 0.341
assert np.isclose(square_jensen, square_theorem)  # no gap in Cauchy–Schwarz …
assert square_loss - square_jensen > 0.05  # … all of the excess is Jensen's
triangle = geometry.regular_simplex(3, 2)
assert np.ptp(proof(triangle, np.arange(3), triangle)) < 1e-12
lesson.replay("3b", "c" if np.isclose(square_jensen, square_theorem) else "a")

# %% [markdown]
# **Answer:** Jensen's alone. Cauchy–Schwarz is content with *any* centred means of full norm and parallel weights. It
# is Jensen that asks for equal inner products – neighbours of a square score 0, opposite corners −1. So neither gap
# alone measures the distance from a simplex; the excess, their sum, is 0 at a simplex and nowhere else. (Of three
# centred vectors of equal norm all inner products *are* equal: only for K = 3 the square has no counterpart.)

# %% [markdown]
# **Exercise 3a** (easy, 4 minutes). Theorem 1. Later lessons run your function.
#
# **Exercise 3b** (easy, 4 minutes). Corollary 1: every row of $W$ has at most norm $r$. Then $\|W\|_F \le \sqrt K\,r$.
# What becomes of the exponent?


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
# weights is the one of Corollary 2, which comes next.

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
# **Exercise 3c** (hard, 12 minutes). The left side grows with $x$, the right side falls. Find the root by bisection.


# %%
def best_weight_norm(radius, decay, num_classes):
    """r_W(ρ, λ): the root x > 0 of the equation above, to 1e-6."""
    return ...


lesson.check("3c", best_weight_norm)

# %%
lesson.predict(
    "3c",
    "For very large λ, where do the norm of the weights and the loss CE + λ‖W‖² go?",
    ["norm to 0, loss to log K", "norm to 0, loss to 0", "norm to a limit above 0, loss without end"],
)

# %%
decays = lesson.pick(np.geomspace(1e-4, 1, 13), np.geomspace(1e-3, 1, 4))
found = [minimise_cross_entropy(3, 4, 2, decay, seed=0) for decay in decays]  # it knows nothing of the theory
smooth = np.geomspace(decays[0], decays[-1], 200)
figure = new_figure(9, 3.6, "Corollary 2, theory against optimisation")
left, right = figure.subplots(1, 2)
left.plot(smooth, [theory.optimal_weight_norm(1, decay, 3) for decay in smooth], label="theory: $r_W$", **THEORY_LINE)
right.plot(smooth, [theory.ce_bound_weight_decay(3, 1, decay) for decay in smooth], label="theory", **THEORY_LINE)
norms = [np.linalg.norm(weights, axis=1) for _, weights, _ in found]
left.plot(decays, [norm.mean() for norm in norms], "o", color=CLASS_COLORS[1], label="optimiser")
right.plot(decays, [value for *_, value in found], "o", color=CLASS_COLORS[1], label="optimiser")
right.axhline(np.log(3), color="#BBBBBB", linewidth=1, label="log 3")
left.set(xscale="log", xlabel="λ", ylabel="norm of a weight", ylim=(0, None))
right.set(xscale="log", xlabel="λ", ylabel="CE + λ‖W‖² (nats)", ylim=(0, 1.2))
left.legend()
right.legend(loc="lower right")
lesson.show(figure, "weight_decay")
for decay, norm, (*_, value) in zip(decays, norms, found, strict=True):
    assert np.allclose(norm, theory.optimal_weight_norm(1, decay, 3), atol=0.02)
    assert -1e-9 < value - theory.ce_bound_weight_decay(3, 1, decay) < 1e-4
tiny_decays = np.array([1e-6, 1e-9, 1e-12])
growth = np.diff([theory.optimal_weight_norm(1, decay, 3) for decay in tiny_decays])
assert np.ptp(growth) < 0.5 < growth.min()  # each factor of 1000 adds about as much: like log(1/λ), without end
assert theory.optimal_weight_norm(1, 1e6, 3) < 1e-6
assert abs(theory.ce_bound_weight_decay(3, 1, 1e6) - np.log(3)) < 1e-6  # W = 0: every class has probability 1/3
lesson.replay("3c", "a")

# %% [markdown]
# **Answer:** for large $\lambda$ the weights vanish and the loss is $\log K$, that of guessing. For $\lambda \to 0$ the
# norms grow like $\log(1/\lambda)$, without end.

# %% [markdown]
# ## Try to beat it
#
# Your turn. Place `points_per_class` points of each of $K$ classes in the ball of the given radius, in as many
# dimensions as you like, and $K$ weights with $\|W\|_F$ at most `frobenius`. The score is your loss minus the floor.
# Nobody gets below 0; a score under 0.001 solves the exercise. Your own simplex of lesson 1 may help.
#
# **Exercise 3d** (medium, 8 minutes).

# %%
simplex_from_frame = lesson.own("1c")


def my_configuration(num_classes, points_per_class, radius, frobenius):
    """Points (K·n, h) in the ball, labels (K·n,) with n of each of 0 … K−1, weights (K, h) with ‖W‖_F ≤ frobenius."""
    return ...


lesson.check("3d", my_configuration)

# %%
lesson.predict(
    "3d",
    "A random search tries as well, with 20,000 configurations. How near does the best come, floor 0.14?",
    ["within 0.001", "within 0.05", "not within 0.05"],
)

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
simplex = np.asarray(simplex_from_frame(3), float)
best = theory.ce_loss(simplex[labels], labels, simplex * 3 / np.linalg.norm(simplex))
figure = new_figure(6, 3.2, f"{len(scores):,} random configurations")
axes = figure.subplots()
axes.hist(np.array(scores) + floor, bins=60, color=CLASS_COLORS[5], label="random configurations")
axes.axvline(floor, label="theory: Theorem 1", **THEORY_LINE)
axes.plot(best, 0, "o", color=CLASS_COLORS[1], clip_on=False, label="regular simplex", zorder=5)
axes.set(xlabel="cross-entropy (nats)", ylabel="configurations")
axes.legend()
lesson.show(figure, "random")
print(f"floor {floor:.4f}; the best of {len(scores):,}: {min(scores):.4f} above it")
assert round(floor, 2) == 0.14
assert min(scores) > 0
assert abs(best - floor) < 1e-6
lesson.replay("3d", "a" if min(scores) < 0.001 else "b" if min(scores) < 0.05 else "c")

# %% [markdown]
# **Answer:** far away. Twelve points and three weights have thirty coordinates, and all have to be right at once. A
# gradient knows where to go.

# %% [markdown]
# ## Explain it

# %%
lesson.explain("3.1")
lesson.explain("3.2")
lesson.explain("3.3")

# %%
lesson.end(
    f"""Along {len(steps)} frames of the toy the loss stayed above Theorem 1, and ended {loss[-1] - theorem[-1]:.0e}
    above it. A square has a CE of {square_loss:.3f} and a floor of {square_theorem:.3f}, and all of the difference is
    Jensen's. The optimiser found the weight norm {norms[0].mean():.3f} at λ = {decays[0]:g}, where Corollary 2 says
    {theory.optimal_weight_norm(1, decays[0], 3):.3f}. The best of {len(scores):,} random configurations still is
    {min(scores):.2f} above the floor, which the simplex reaches to {abs(best - floor):.0e}.
    Try next: simplexlab bound ce --classes 10 --radius 2 --weight-decay 0.0005, and compare with the loss of a network
    that you have trained."""
)
