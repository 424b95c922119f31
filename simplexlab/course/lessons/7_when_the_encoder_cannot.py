# %% [markdown]
# # 7 · When the encoder cannot
#
# Goal: see what becomes of the theorems where their assumptions fail, and which numbers tell it.
#
# You should know: lessons 1 to 5.
#
# Minutes: 1.5 on two CPU cores (measured)
#
# On the command line: `simplexlab train --loss sc --encoder resnet-small-preact`,
# `simplexlab bound sc … --features nonnegative`, `simplexlab toy sc --classes 5`
#
# The theorems assume that representations are free to point anywhere, that $K \le h + 1$, and that all classes are of
# equal size. Real encoders end in a ReLU, real embeddings are small, real classes are unequal. We take the
# assumptions away one by one, for cross-entropy and for the contrastive loss.

# %%
import numpy as np
from scipy.optimize import minimize

from simplexlab import geometry, objectives, theory
from simplexlab.course import Lesson
from simplexlab.data import corrupt_labels, load
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, class_color, draw_disc, new_figure, scientific
from simplexlab.runs import list_geometry, read_geometry
from simplexlab.toy import PAPER_TOYS, Toy, batch_loss_and_gradient, run_toy

lesson = Lesson(7)
sc_loss = lesson.own("2a")
sc_floor = lesson.own("4d")
floor_by_frobenius = lesson.own("3a")

# %% [markdown]
# ## 1. The ReLU
#
# Lesson 1 has shown: without negative coordinates no cosine is below 0, and the orthogonal frame reaches it. What
# becomes of the losses?
#
# For `ce`, step 2 of the proof in lesson 3 changes. It needs the norm of the centred class means, $\|M\|_F^2 =
# \sum_y\|\mu_y\|^2 - K\|\bar\mu\|^2$. Without negative coordinates all inner products of class means are at least 0,
# so $K\|\bar\mu\|^2 = \frac1K\|\sum_y\mu_y\|^2 \ge \frac1K\sum_y\|\mu_y\|^2$ and $\|M\|_F^2 \le (1 - \frac1K)K\rho^2
# = (K-1)\rho^2$, in place of $K\rho^2$. It is reached at the frame.
#
# **Exercise 7a** (hard, 8 minutes). The floor of `ce` for non-negative representations.


# %%
def floor_under_relu(num_classes, radius, frobenius):
    """The least CE of points without negative coordinates, ‖z‖ ≤ ρ, with weights of norm ‖W‖_F."""
    return ...


lesson.check("7a", floor_under_relu)

# %% [markdown]
# For `sc`, a batch at the frame has the formula of Theorem 2 with $\rho^2$ in place of $K\rho^2/(K-1)$; the frame is
# best for every single batch. Free points show it: gradient steps on a batch of 3 classes of 4 points in three
# dimensions, once as it is, once with negative coordinates set to 0 after every step.

# %%
lesson.predict(
    "7a",
    "Points without negative coordinates: is their least SC loss above, at or below that of free points?",
    ["above: less is allowed", "at the same value: a rotation of the simplex is non-negative", "below"],
)

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
        cosines.append(geometry.statistics(points, labels).gram[np.triu_indices(3, 1)].mean())
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
    floor = theory.sc_floor_of_composition(counts, radius=1.0, features=features)
    print(f"{features:12s} loss {reached[relu]:.6f}, its floor {floor.value:.6f} ({floor.origin})")
    assert abs(reached[relu] - floor.value) < 1e-3
lesson.replay("7a", "a" if reached[True] > reached[False] + 0.01 else "b")

# %% [markdown]
# **Answer:** above. The gap between the two optima is the price of the *architecture*; what a run is above the
# orthogonal frame is left to *optimisation*.

# %% [markdown]
# ## An encoder without the final ReLU
#
# The paper suspects (§5.2) that a pre-activation ResNet, which has no ReLU at its end, comes closer to the simplex on
# CIFAR10. We try it on digits, with `sc` and `ce`.

# %%
lesson.predict(
    "7b",
    "Which encoder has the mean γ between class means that is nearer to the simplex's 0.4646?",
    ["the one with the ReLU", "the one without", "no difference"],
)
lesson.predict(
    "7c",
    "Which one is nearer by NC2, by the largest deviation of a pair, and by the loss itself?",
    ["the one with the ReLU", "the one without", "no difference"],
)

# %%
small = {"iterations": 1000, "evaluate_every": 250, "width": 16}
tiny = {"encoder": "mlp", "width": 8, "batch_size": 64, "iterations": 120, "evaluate_every": 40}
tiny |= {"evaluate_at": "interval"}
encoders = {
    "ReLU": lesson.pick(small | {"encoder": "resnet-small"}, tiny),
    "no ReLU": lesson.pick(small | {"encoder": "resnet-small-preact"}, tiny | {"dimension": 32}),
}
runs = {
    (loss, name): lesson.train(f"{loss}-{name.replace(' ', '-')}", loss=loss, **options)
    for loss in lesson.pick(("sc", "ce"), ("sc",))
    for name, options in encoders.items()
}
simplex = geometry.simplex_similarity(10)
upper = np.triu_indices(10, 1)
measures = {}
for key, run in runs.items():
    means = read_geometry(run.path, list_geometry(run.path)[-1])["class_means"].astype(float)
    gamma = geometry.angular_similarity(means[upper[0]], means[upper[1]])
    directions = means / np.linalg.norm(means, axis=1, keepdims=True)
    measures[key] = {
        "mean γ": gamma.mean(),
        "largest |γ − γ*|": np.abs(gamma - simplex).max(),
        "NC2": run.result["nc2"],
        "excess": run.result["excess"],
        "mean cosine": (directions @ directions.T)[upper].mean(),
        "norm of the centre": np.linalg.norm(directions.mean(axis=0)),
        "gamma": gamma,
    }
    assert run.result["nonnegative"] == (key[1] == "ReLU")
    print(
        f"{key[0]} {key[1]:8s}",
        "  ".join(f"{name} {value:.3g}" for name, value in measures[key].items() if name != "gamma"),
    )

# %%
figure = new_figure(11, 3.8, "sc on digits, with and without a final ReLU")
panels = figure.subplots(1, 4, width_ratios=(2.4, 1, 1, 1))
for index, name in enumerate(encoders):
    panels[0].hist(
        measures["sc", name]["gamma"], bins=np.linspace(0.2, 0.9, 29), alpha=0.6, color=CLASS_COLORS[index], label=name
    )
panels[0].axvline(simplex, label="theory: simplex", **THEORY_LINE)
panels[0].axvline(0.5, label="theory: ReLU floor", **THEORY_LINE | {"linestyle": ":"})
panels[0].set(xlabel="γ between class means", ylabel="pairs of classes")
panels[0].legend(fontsize="small")
for axes, measure in zip(panels[1:], ("largest |γ − γ*|", "NC2", "excess"), strict=True):
    axes.bar(range(2), [measures["sc", name][measure] for name in encoders], color=CLASS_COLORS[:2])
    axes.set(title=measure, xticks=range(2), xticklabels=list(encoders))
lesson.show(figure, "encoders")
relu, free = measures["sc", "ReLU"], measures["sc", "no ReLU"]
assert relu["gamma"].min() >= 0.5
assert free["gamma"].min() < 0.5
assert abs(free["mean γ"] - simplex) < abs(relu["mean γ"] - simplex)
# Unit vectors with centre c: K²·‖c‖² = K + K(K−1)·(mean cosine).
for it in measures.values():
    assert np.isclose(it["mean cosine"], (10 * it["norm of the centre"] ** 2 - 1) / 9)
assert free["norm of the centre"] < relu["norm of the centre"]
if not lesson.fast:  # under ce, which pins neither, the two are about equal
    ce = [measures["ce", name] for name in encoders]
    assert 0.9 < ce[0]["NC2"] / ce[1]["NC2"] < 1.1
    assert 0.7 < ce[0]["excess"] / ce[1]["excess"] < 1.4
    assert abs(ce[1]["mean γ"] - simplex) < 0.01
better = [relu[name] < free[name] for name in ("NC2", "largest |γ − γ*|", "excess")]
if lesson.fast:
    print("(--fast trains small perceptrons for 120 steps: what follows is said of the whole lesson)")
else:
    assert free["norm of the centre"] < 0.5 * relu["norm of the centre"]
    assert relu["excess"] < free["excess"] / 2
    assert relu["NC2"] < free["NC2"] / 2
lesson.replay("7b", "b" if abs(free["mean γ"] - simplex) < abs(relu["mean γ"] - simplex) else "a")
lesson.replay("7c", "a" if all(better) else "b" if not any(better) else "c")

# %% [markdown]
# **Answer:** by the *mean* the encoder without the ReLU, by everything else the one with it. Which number is not
# forced? For unit vectors with centre $c$, $\|\sum_i u_i\|^2 = K + K(K-1)\cdot(\text{mean cosine})$: the mean cosine
# *is* $\|c\|$, written otherwise. Without a final ReLU the encoder ends in a batch normalisation, which centres its
# outputs; class means with centre 0 have the mean cosine $-1/(K-1)$ whatever else they do. The frame cannot have that.
# NC2, the largest deviation and the excess are not forced, and by them `sc` without the ReLU is farther from its
# optimum: the simplex is allowed, but training has not got there. (Under `ce` both encoders are about equal by NC2 and
# excess, while the mean γ again makes the one without the ReLU look perfect.)

# %%
scattered = np.random.default_rng(0).standard_normal((10, 12))
for _ in range(200):  # ten unit vectors with centre 0, else as they came
    scattered -= scattered.mean(axis=0)
    scattered /= np.linalg.norm(scattered, axis=1, keepdims=True)
forced = (scattered @ scattered.T)[upper]
print(
    f"ten random unit vectors, centred: mean cosine {forced.mean():.4f}, from {forced.min():.2f} to {forced.max():.2f}"
)
assert abs(forced.mean() + 1 / 9) < 1e-6
assert forced.max() > 0.3
gaps = runs["sc", "ReLU"].result
print(
    f"of the gap of the ReLU run to the simplex, {gaps['gap_architecture']:.3f} nats are the frame's, "
    f"{gaps['gap_optimisation']:.3f} training's"
)

# %% [markdown]
# **Exercise 7b** (medium, 6 minutes). A number that is not forced: the largest deviation of $\gamma$ between two class
# means from the simplex's. Your `angular_similarity` of lesson 5 is there if you solved it.

# %%
angular_similarity = lesson.own("5c")


def largest_deviation(means):
    """max |γ(μ_i, μ_j) − γ*| over i < j, for class means (K, h), γ* the simplex's similarity for K."""
    return ...


lesson.check("7b", largest_deviation)

# %% [markdown]
# ## 2. Too many classes for the dimension
#
# In the plane there is no simplex of more than 3 classes. The bound still holds, because its proof did not use
# $K \le h+1$.

# %%
lesson.predict(
    "7d",
    "Five classes on a circle: how do they sit?",
    [
        "three at a triangle, two on top of others",
        "all at the same distance from their neighbours",
        "two groups at opposite poles",
    ],
)
lesson.predict(
    "7e",
    "And how far above the simplex's bound does their loss stay?",
    ["it reaches it: the bound holds", "above it, for sc and for ce", "above it for sc alone"],
)

# %%
excess, beyond, neighbours = {}, {}, {}
figure = new_figure(9.5, 6.6, "Three, four, five classes in the plane")
for row, loss in zip(figure.subplots(2, 3), PAPER_TOYS[::-1], strict=True):
    on_a_sphere = objectives.get(loss).sphere
    for axes, num_classes in zip(row, (3, 4, 5), strict=True):
        name = f"plane-{loss}-{num_classes}"
        options = {"temperature": 1.0} if on_a_sphere else {"weight_decay": 0.001, "steps": lesson.pick(3000, 1500)}
        options |= {"points_per_class": 20, "evaluate_every": lesson.pick(10, 100)}
        toy = Toy(loss=loss, classes=num_classes, run_dir=lesson.run_dir, name=name, **options)
        result = run_toy(toy)
        frame = read_geometry(lesson.folder / "runs" / name, result["iterations"])
        points, kinds = frame["sample"].astype(float), frame["sample_labels"]
        class_counts = np.bincount(kinds)
        if on_a_sphere:
            value = sc_loss(points / np.linalg.norm(points, axis=1, keepdims=True), kinds, 1.0)
            floor = theory.sc_floor_of_composition(class_counts, temperature=1.0, dimension=2)
        else:
            weights = frame["weights"].astype(float)
            value = theory.ce_loss(points, kinds, weights)
            radius, frobenius = np.linalg.norm(points, axis=1).max(), np.linalg.norm(weights)
            floor = theory.ce_floor(class_counts, radius, frobenius, dimension=2)
            assert np.isclose(floor.value, floor_by_frobenius(num_classes, radius, frobenius))
        reachable = floor.value if floor.best_known is None else floor.best_known
        excess[loss, num_classes], beyond[loss, num_classes] = value - floor.value, value - reachable
        neighbours[loss, num_classes] = result["class_mean_similarity"]["maximum"]
        print(
            f"{loss} K = {num_classes}: loss {value:.5f}, floor {floor.value:.5f}"
            + ("" if floor.best_known is None else f", best known in the plane {floor.best_known:.5f}")
        )
        draw_disc(axes, 1.25)
        for label in range(num_classes):
            own = points[kinds == label] / np.linalg.norm(points, axis=1).max()
            axes.plot(*own.T, "o", color=class_color(label))
        corners = np.array([[np.cos(a), np.sin(a)] for a in 2 * np.pi * np.arange(num_classes) / num_classes])
        means = frame["class_means"].astype(float)
        corners = geometry.align_procrustes(corners, means[np.argsort(np.arctan2(*means.T[::-1]))])
        corners /= np.linalg.norm(corners, axis=1, keepdims=True)
        axes.plot(*corners[[*range(num_classes), 0]].T, **THEORY_LINE | {"linewidth": 1})
        axes.set_title(f"{loss}, K = {num_classes}: excess {scientific(round(excess[loss, num_classes], 6))}")
lesson.show(figure, "plane")
for loss in PAPER_TOYS:
    assert abs(excess[loss, 3]) < 1e-3
    assert 1e-3 < excess[loss, 4] < excess[loss, 5]  # above the simplex's bound …
    assert all(abs(beyond[loss, k]) < 0.02 * excess[loss, k] for k in (4, 5))  # … and at the best known in the plane
even = all(abs(similarity - (1 - 2 / k)) < 0.02 for (_, k), similarity in neighbours.items())  # 360°/K apart
assert even
lesson.replay("7d", "b" if even else "a")
lesson.replay("7e", "b")

# %% [markdown]
# **Answer:** on a regular polygon (dashed): neighbours are $360°/K$ apart. The bound holds and the excess over it
# stays, for both losses. So there are two numbers to tell: the *floor*, which is proven and here not reached, and the
# *best known* value in this dimension, the polygon's, which is reached and not proven.

# %% [markdown]
# **Exercise 7c** (easy, 3 minutes). The cosine between neighbours of $K$ classes in the plane.


# %%
def cosine_of_neighbours(num_classes):
    """Cosine between neighbouring corners of a regular polygon."""
    return ...


lesson.check("7c", cosine_of_neighbours)

# %% [markdown]
# ## 3. Classes of unequal size
#
# Twelve free points in the unit disc and weights with $\|W\|_F = 3$; we shift points from two classes to the third, and
# let an optimiser find the best configuration.

# %%
lesson.predict(
    "7f",
    "Unequal classes: is the least cross-entropy above or below Theorem 1, the floor of equal classes?",
    ["above: harder to balance", "at it: the theorem is a bound", "below"],
)
lesson.predict(
    "7g",
    "What do the weights of the two small classes do?",
    ["they turn towards each other", "they turn away from each other", "they keep their 120°"],
)

# %%
shares, losses, floors, small_cosines, spreads, frobenius_of_means = [], [], [], [], [], []
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
    floors.append(theory.ce_floor(np.bincount(labels), 1.0, 3.0))
    small_cosines.append(weights[1] @ weights[2] / np.linalg.norm(weights[1]) / np.linalg.norm(weights[2]))
    spreads.append(max(np.ptp(points[labels == label], axis=0).max() for label in range(3)))
    weighted = 3 * np.bincount(labels)[:, None] / 12 * geometry.class_means(points, labels)  # K·π_y·μ_y
    frobenius_of_means.append(np.linalg.norm(weighted))
bound = floor_by_frobenius(3, 1.0, 3.0)
figure = new_figure(9, 3.8, "Cross-entropy when one class is larger")
left, right = figure.subplots(1, 2)
left.plot(shares, losses, "o", color=CLASS_COLORS[0], label="smallest loss found")
left.plot(shares, [floor.value for floor in floors], color=CLASS_COLORS[0], alpha=0.5, label="theory: certified floor")
left.axhline(bound, label="theory: Theorem 1, equal classes", **THEORY_LINE)
left.set(xlabel="share of the largest class", ylabel="cross-entropy (nats)", ylim=(0, 1.35 * bound))
right.plot(shares, small_cosines, "o-", color=CLASS_COLORS[1], label="two small classes")
right.axhline(-0.5, label="theory: simplex, equal classes", **THEORY_LINE)
right.set(xlabel="share of the largest class", ylabel="cosine of their weights")
left.legend(fontsize="small")
right.legend(fontsize="small")
lesson.show(figure, "unbalanced")
for loss, floor in zip(losses, floors, strict=True):
    print(f"loss {loss:.6f}, floor {floor.value:.6f}, proven at least {floor.certificate:.6f}; Theorem 1 {bound:.6f}")
    assert floor.certificate - 1e-9 <= loss < floor.value + 1e-3
assert abs(losses[0] - bound) < 1e-3  # balanced: the bound
assert np.all(np.array(losses[1:]) < bound)  # unbalanced: below it
assert small_cosines[0] < -0.49 < small_cosines[-1]  # the simplex is gone
assert max(spreads) < 0.05  # every class still collapses to a point
lesson.replay("7f", "c" if losses[-1] < bound else "a")
lesson.replay("7g", "a" if small_cosines[-1] > small_cosines[0] + 0.01 else "b")

# %% [markdown]
# **Answer:** below! Which step of the proof fails? Not Jensen: with $\pi_y$ the share of class $y$, $m =
# \frac{1}{K-1}\sum_y\langle K\pi_y\mu_y - \bar\mu, w_y\rangle$ with $\bar\mu = \sum_y\pi_y\mu_y$ is the mean margin
# whatever the labels are. It is step 2: into Cauchy–Schwarz go the vectors $K\pi_y\mu_y$, and their norm
# $\sqrt{\sum_y K^2\pi_y^2}\,\rho$ is *larger* than the $\sqrt K\,\rho$ of equal classes. So a larger margin can be
# had, by spending the length of $W$ where most points are. The simplex is lost. What still holds is the collapse:
# each class is at one point.

# %%
for share, norm, points_norm in zip(shares, frobenius_of_means, [np.sqrt(3)] * 4, strict=True):
    print(f"largest class {share:.0%}: norm of the K·π_y·μ_y is {norm:.3f}, √K·ρ = {points_norm:.3f}")
assert np.isclose(frobenius_of_means[0], np.sqrt(3), atol=1e-2)
assert min(frobenius_of_means[1:]) > np.sqrt(3) + 0.05

# %% [markdown]
# And `sc`? Three classes, batches of 32 drawn with replacement, $\tau = 1$: the loss that the simplex has at these
# label counts, and the certified floor.

# %%
lesson.predict(
    "7h",
    "Under sc with unequal classes, is the simplex still the best configuration?",
    [
        "yes: collapse and symmetry force it",
        "no, the floor is below its value",
        "only for the batch sizes that people use",
    ],
)

# %%
levels = np.linspace(1 / 3, 0.8, 7)
at_simplex, sc_floors = [], []
for level in levels:
    p = np.array([level, (1 - level) / 2, (1 - level) / 2])
    gram = np.where(np.eye(3) == 1, 1.0, -0.5)  # a simplex of radius ρ = 1
    at_simplex.append(theory.sc_expected_loss(gram, p, 32))
    sc_floors.append(theory.sc_floor(p, 32, temperature=1.0))
lost = np.array(at_simplex) - [floor.value for floor in sc_floors]
figure = new_figure(9, 3.8, "sc when one class is larger")
left, right = figure.subplots(1, 2)
left.plot(levels, at_simplex, "o", color=lesson.color("sc"), label="at the simplex")
left.plot(
    levels, [floor.value for floor in sc_floors], color=lesson.color("sc"), alpha=0.5, label="theory: certified floor"
)
left.axhline(sc_floor(3, 32, 1.0), label="theory: Theorem 2, equal classes", **THEORY_LINE)
left.set(xlabel="share of the largest class", ylabel="sc loss of a batch (nats)")
right.plot(levels, lost, "o-", color=lesson.color("sc"))
right.axhline(0, **THEORY_LINE)
right.set(xlabel="share of the largest class", ylabel="what the simplex gives away (nats)")
left.legend(fontsize="small")
lesson.show(figure, "unbalanced_sc")
assert abs(lost[0]) < 1e-6
assert np.all(np.diff(lost) > 0)
assert all(floor.value - floor.certificate < 1e-4 for floor in sc_floors)
assert np.all(np.diff([floor.value for floor in sc_floors]) > 0)  # and lopsided batches cost more, unlike under ce
lesson.replay("7h", "b" if lost[-1] > 1e-3 else "a")

# %% [markdown]
# **Answer:** no. The floor leaves the simplex here too, by little; and it *rises* with the imbalance, for a reason of
# lesson 4: large classes meet many of their own in a batch, and each anchor's own kind is in its denominator.

# %% [markdown]
# Corrupted labels are a little unbalanced as well. `simplexlab` says by how much; `--balanced` flips labels so that
# every class keeps its count.

# %%
y_train = load("digits").y_train
for balanced in (False, True):
    corrupted, _ = corrupt_labels(y_train, 0.4, "flip", 0, balanced=balanced)
    imbalance = geometry.imbalance(np.bincount(corrupted))
    print(f"40 % flipped, balanced {balanced}: the largest class is {imbalance:.1%} larger than the smallest")
    assert (imbalance == 0) == balanced

# %% [markdown]
# **Exercise 7d** (medium, 6 minutes). In the limit *all* points are of one class. The best weights then lie on a line:
# $w_0 = a\,e$ and $w_1 = \dots = w_{K-1} = -b\,e$ with $a^2 + (K-1)\,b^2 = \|W\|_F^2$ and $a + b$ as large as possible,
# which is $\|W\|_F\sqrt{K/(K-1)}$. What is the loss?


# %%
def floor_of_one_class(num_classes, radius, frobenius):
    """The smallest cross-entropy of points that are all of class 0."""
    return ...


lesson.check("7d", floor_of_one_class)

# %% [markdown]
# ## Explain it

# %%
lesson.explain("7.1")
lesson.explain("7.2")
lesson.explain("7.3")

# %%
lesson.end(
    f"""With a ReLU the class means of sc have the mean similarity {relu["mean γ"]:.3f}, NC2 {relu["NC2"]:.2f} and
    excess {relu["excess"]:.2f}; without it {free["mean γ"]:.3f}, which its centre forces, NC2 {free["NC2"]:.2f} and
    excess {free["excess"]:.2f}. Five classes in the plane stay {excess["sc", 5]:.2f} (sc) and {excess["ce", 5]:.4f}
    (ce) above a floor that needs four dimensions. With {shares[-1]:.0%} of the points in one class the loss of ce is
    {losses[-1]:.4f}, below the {bound:.4f} of equal classes.
    Try next: simplexlab toy sc --classes 5 --dimension 3, which is one dimension short."""
)
