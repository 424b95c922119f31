# %% [markdown]
# # 7 · When the encoder cannot
#
# Goal: see what becomes of the theorems where their assumptions fail.
#
# You should know: lessons 1 to 5.
#
# Minutes: 0.6 on two CPU cores (measured)
#
# On the command line: `simplexlab train --loss sc --encoder resnet-small-preact`,
# `simplexlab bound sc … --features nonnegative`, `simplexlab toy sc --classes 5`
#
# The theorems assume that representations are free to point anywhere, that $K \le h + 1$, and that all classes are of
# equal size. Real encoders end in a ReLU, real embeddings are small, real classes are unequal. We take the
# assumptions away one by one.

# %%
import numpy as np
from scipy.optimize import minimize

from simplexlab import geometry, theory
from simplexlab.course import Lesson
from simplexlab.data import corrupt_labels, load
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, class_color, draw_disc, new_figure
from simplexlab.runs import list_geometry, read_geometry
from simplexlab.toy import Toy, batch_loss_and_gradient, run_toy

lesson = Lesson(7)

# %% [markdown]
# ## 1. The ReLU
#
# After a ReLU no coordinate is negative, so no inner product is. The best that is left is 0 between classes: the
# orthogonal frame. Its loss is a bound of its own, the formula of Theorem 2 with $\rho^2$ in place of
# $K\rho^2/(K-1)$.
#
# Free points show it: gradient descent on one batch of 3 classes of 4 points in three dimensions, once as it is, once
# with negative coordinates set to 0 after every step.
#
# **Predict:** to which cosine between classes does each of the two go?

# %%
labels = np.repeat(np.arange(3), 4)
counts = np.bincount(labels)
figure = new_figure(6.4, 3.6, "Free points, with and without a ReLU")
axes = figure.subplots()
reached = {}
for index, relu in enumerate((False, True)):
    points = np.abs(np.random.default_rng(0).standard_normal((12, 3)))
    cosines = []
    for _ in range(400):
        points = np.maximum(points, 0) if relu else points
        points /= np.linalg.norm(points, axis=1, keepdims=True)
        loss, gradient = batch_loss_and_gradient(points, labels)
        means = geometry.statistics(points, labels)
        cosines.append(means.gram[np.triu_indices(3, 1)].mean())
        points = points - 0.1 * gradient
    reached[relu] = float(loss)
    axes.plot(cosines, color=CLASS_COLORS[index], label="non-negative" if relu else "free")
    assert abs(cosines[-1] - (0 if relu else -0.5)) < 0.01
axes.axhline(-0.5, label="theory: simplex −1/2", **THEORY_LINE)
axes.axhline(0, label="theory: orthogonal frame 0", **THEORY_LINE | {"linestyle": ":"})
axes.set(xlabel="step", ylabel="mean cosine between classes")
axes.legend(loc="upper right")
lesson.show(figure, "relu")
for relu, features in ((False, "free"), (True, "nonnegative")):
    bound = float(theory.composition_value(counts, 1.0, features=features))
    print(f"{features:12s} loss {reached[relu]:.6f}, its optimum {bound:.6f}")
    assert abs(reached[relu] - bound) < 1e-3

# %% [markdown]
# **Answer:** −1/2 without, 0 with the ReLU. The gap between the two optima is the price of the *architecture*; what a
# run is above the orthogonal frame is left to *optimisation*.
#
# **Exercise 7a** (3 lines). The price of the architecture for SC, batches drawn i.i.d.: `theory.sc_bound` with
# `features="nonnegative"` minus the one with `features="free"`.
#
# **Exercise 7b** (1 line). Split the gap of a run into its two parts.


# %%
def price_of_relu(num_classes, batch_size, temperature):
    """Bound at the orthogonal frame minus bound at the simplex, summed over the anchors of a batch."""
    return ...


def split_gap(loss, simplex_bound, frame_bound):
    """(architecture, optimisation): two numbers whose sum is loss − simplex_bound."""
    return ...


lesson.check("7a", price_of_relu)
lesson.check("7b", split_gap)

# %% [markdown]
# ## An encoder without the final ReLU
#
# The paper suspects (§5.2) that a pre-activation ResNet, which has no ReLU at its end, comes closer to the simplex on
# CIFAR10. We try it on digits.
#
# **Predict:** where will the similarities between class means lie for each encoder: below 0.5, above, on both sides?

# %%
small = {"loss": "sc", "iterations": 1000, "evaluate_every": 100, "width": 16}
tiny = {"loss": "sc", "encoder": "mlp", "width": 8, "batch_size": 64, "iterations": 120, "evaluate_every": 40}
relu = lesson.train("relu", **lesson.pick(small | {"encoder": "resnet-small"}, tiny))
free = lesson.train("no-relu", **lesson.pick(small | {"encoder": "resnet-small-preact"}, tiny | {"dimension": 32}))
figure = new_figure(9, 3.8, "sc on digits, with and without a final ReLU")
left, right = figure.subplots(1, 2)
for index, (name, run) in enumerate({"ReLU": relu, "no ReLU": free}.items()):
    means = read_geometry(run.path, list_geometry(run.path)[-1])["class_means"].astype(float)
    i, j = np.triu_indices(10, 1)
    between = geometry.angular_similarity(means[i], means[j])
    left.hist(between, bins=np.linspace(0.2, 0.9, 29), alpha=0.6, color=CLASS_COLORS[index], label=name)
    result = run.result
    parts = [result.get("gap_architecture", 0.0), result.get("gap_optimisation", result["excess"])]
    right.bar(index, parts[0], color=CLASS_COLORS[4], label="architecture" if index == 0 else None)
    right.bar(index, parts[1], bottom=parts[0], color=CLASS_COLORS[5], label="optimisation" if index == 0 else None)
    assert np.isclose(sum(parts), result["excess"])
left.axvline(geometry.simplex_similarity(10), label="theory: simplex", **THEORY_LINE)
left.axvline(0.5, label="theory: ReLU floor", **THEORY_LINE | {"linestyle": ":"})
left.set(xlabel="γ between class means", ylabel="pairs of classes")
right.axhline(0, label="theory: simplex", **THEORY_LINE)
right.set(xticks=[0, 1], xticklabels=["ReLU", "no ReLU"], ylabel="gap to the simplex (nats a batch)")
left.legend()
right.legend()
lesson.show(figure, "encoders")
assert relu.result["nonnegative"]
assert relu.result["class_mean_similarity"]["minimum"] >= 0.5
assert not free.result["nonnegative"]
assert free.result["class_mean_similarity"]["minimum"] < 0.5
assert free.result["class_mean_similarity"]["mean"] < relu.result["class_mean_similarity"]["mean"]
assert relu.result["gap_architecture"] < relu.result["gap_optimisation"]

# %% [markdown]
# **Answer:** with the ReLU all are above 0.5; without it they lie on both sides, nearer to the simplex. Yet most of
# the gap in the *loss* is not the architecture's: at this temperature the frame costs little, and training costs the
# rest. The geometry shows the ReLU; the loss hardly does.
#
# ## 2. Too many classes for the dimension
#
# In the plane there is no simplex of more than 3 classes. The bound still holds, because its proof did not use
# $K \le h+1$; but nothing reaches it.
#
# **Predict:** five classes on a circle. How do they sit, and how far above the bound?

# %%
excess, neighbours = {}, {}
figure = new_figure(9, 3.4, "Three, four, five classes in the plane")
for axes, num_classes in zip(figure.subplots(1, 3), (3, 4, 5), strict=True):
    name = f"plane-{num_classes}"
    toy = Toy(loss="sc", classes=num_classes, temperature=1.0, points_per_class=20, run_dir=lesson.run_dir, name=name)
    result = run_toy(toy)
    frame = read_geometry(lesson.folder / "runs" / name, result["iterations"])
    draw_disc(axes, 1.25)
    for label in range(num_classes):
        points = frame["sample"][frame["sample_labels"] == label]
        axes.plot(*points.T, "o", color=class_color(label))
    corners = geometry.align_procrustes(
        np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(num_classes) / num_classes]),
        frame["class_means"][np.argsort(np.arctan2(*frame["class_means"].T[::-1]))],
    )
    axes.plot(*corners[[*range(num_classes), 0]].T, **THEORY_LINE | {"linewidth": 1})
    excess[num_classes] = result["excess"]
    neighbours[num_classes] = result["class_mean_similarity"]["maximum"]
    axes.set_title(f"K = {num_classes}, excess {max(result['excess'], 0):.2g}")
    assert result["bound_is_exact"] == (num_classes <= 3)
lesson.show(figure, "plane")
assert abs(excess[3]) < 1e-3
assert 1e-3 < excess[4] < excess[5]
for num_classes, similarity in neighbours.items():  # neighbours on a regular polygon are 360°/K apart
    assert abs(similarity - (1 - 2 / num_classes)) < 0.02

# %% [markdown]
# **Answer:** on a regular polygon (dashed): neighbours are $360°/K$ apart and push each other. The bound holds and
# the excess stays.
#
# **Exercise 7c** (1 line). The cosine between neighbours of $K$ classes in the plane.


# %%
def cosine_of_neighbours(num_classes):
    """Cosine between neighbouring corners of a regular polygon."""
    return ...


lesson.check("7c", cosine_of_neighbours)

# %% [markdown]
# ## 3. Classes of unequal size
#
# Now the bound itself fails. Twelve free points in the unit disc and weights with $\|W\|_F = 3$; we shift points from
# two classes to the third, and let an optimiser find the best configuration.
#
# **Predict:** will the loss at its minimum be above or below the bound for balanced classes? What do the weights of
# the two small classes do?

# %%
shares, losses, small_cosines, spreads = [], [], [], []
generator = np.random.default_rng(0)


def configuration(free):
    """Points in the disc and weights with ‖W‖_F = 3, from unconstrained numbers."""
    points, weights = free[:24].reshape(12, 2), free[24:].reshape(3, 2)
    norms = np.linalg.norm(points, axis=1, keepdims=True)
    return points / np.maximum(norms, 1), 3 * weights / np.linalg.norm(weights)


for size in (4, 6, 8, 10):
    labels = np.repeat(np.arange(3), (size, (12 - size) // 2, (12 - size) // 2))

    def objective(free, labels=labels):
        points, weights = configuration(free)
        return theory.ce_loss(points, labels, weights)

    ends = [minimize(objective, generator.standard_normal(30), method="L-BFGS-B") for _ in range(lesson.pick(8, 4))]
    points, weights = configuration(min(ends, key=lambda end: end.fun).x)
    shares.append(size / 12)
    losses.append(min(end.fun for end in ends))
    small_cosines.append(weights[1] @ weights[2] / np.linalg.norm(weights[1]) / np.linalg.norm(weights[2]))
    spreads.append(max(np.ptp(points[labels == label], axis=0).max() for label in range(3)))
bound = theory.ce_bound_frobenius(3, 1.0, 3.0)
figure = new_figure(9, 3.6, "Cross-entropy when one class is larger")
left, right = figure.subplots(1, 2)
left.plot(shares, losses, "o-", color=CLASS_COLORS[0], label="smallest loss found")
left.axhline(bound, label="theory: Theorem 1, balanced", **THEORY_LINE)
left.set(xlabel="share of the largest class", ylabel="cross-entropy (nats)", ylim=(0, None))
right.plot(shares, small_cosines, "o-", color=CLASS_COLORS[1], label="two small classes")
right.axhline(-0.5, label="theory: simplex, balanced", **THEORY_LINE)
right.set(xlabel="share of the largest class", ylabel="cosine of their weights")
left.legend()
right.legend()
lesson.show(figure, "unbalanced")
assert abs(losses[0] - bound) < 1e-3  # balanced: the bound
assert np.all(np.array(losses[1:]) < bound)  # unbalanced: below it
assert small_cosines[0] < -0.49 < small_cosines[-1]  # the simplex is gone
assert max(spreads) < 0.05  # every class still collapses to a point

# %% [markdown]
# **Answer:** below! The optimiser spends the length of $W$ where most points are. The simplex is lost: the weights of
# the small classes turn towards each other. What still holds is the collapse: each class is at one point.
#
# Corrupted labels are a little unbalanced as well. `simplexlab` says by how much and marks the bound as approximate;
# `--balanced` flips labels so that every class keeps its count.

# %%
y_train = load("digits").y_train
for balanced in (False, True):
    corrupted, _ = corrupt_labels(y_train, 0.4, "flip", 0, balanced=balanced)
    imbalance = geometry.imbalance(np.bincount(corrupted))
    print(f"40 % flipped, balanced {balanced}: the largest class is {imbalance:.1%} larger than the smallest")
    assert (imbalance == 0) == balanced

# %% [markdown]
# **Exercise 7d** (2 lines). In the limit *all* points are of one class. The best weights then lie on a line:
# $w_0 = a\,e$ and $w_1 = \dots = w_{K-1} = -b\,e$ with $a^2 + (K-1)\,b^2 = \|W\|_F^2$ and $a + b$ as large as possible,
# which is $\|W\|_F\sqrt{K/(K-1)}$. What is the loss?


# %%
def floor_of_one_class(num_classes, radius, frobenius):
    """The smallest cross-entropy of points that are all of class 0."""
    return ...


lesson.check("7d", floor_of_one_class)

# %%
gaps = relu.result["gap_architecture"], relu.result["gap_optimisation"]
lesson.end(
    f"""The ReLU encoder has class means of similarity {relu.result["class_mean_similarity"]["mean"]:.3f} and the one
    without it {free.result["class_mean_similarity"]["mean"]:.3f}; of the gap to the simplex, {gaps[0]:.2f} nats are the
    architecture's and {gaps[1]:.2f} optimisation's. Five classes in the plane stay {excess[5]:.2f} above a bound that
    needs four dimensions. With {shares[-1]:.0%} of the points in one class the loss is {losses[-1]:.4f}, below the
    balanced floor of {bound:.4f}.
    Try next: simplexlab toy sc --classes 5 --dimension 3, which is one dimension short."""
)
