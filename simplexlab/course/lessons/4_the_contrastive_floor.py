# %% [markdown]
# # 4 · The contrastive floor
#
# Goal: understand Theorem 2, and compute its bound for a data set of any size.
#
# You should know: lessons 1 and 2, binomial coefficients.
#
# Minutes: 0.1 on two CPU cores (measured)
#
# On the command line: `simplexlab figure 5`, `simplexlab figure 6`, `simplexlab toy sc --all-batches`,
# `simplexlab bound sc --classes 10 --samples-per-class 5000 --batch-size 256 --temperature 0.1`
#
# Cross-entropy is a mean over points. The supervised contrastive loss is not: what a point costs depends on who else
# is in its batch. So its floor has to be found over *batches*.
#
# Two names for one thing, from lesson 2: a temperature $\tau$ with unit vectors is a sphere of radius
# $\rho = 1/\sqrt\tau$. The formulas of the paper have $\rho$; the numbers of programs mostly are $\tau$.

# %%
import math

import numpy as np

from simplexlab import theory
from simplexlab.course import Lesson
from simplexlab.figures import all_batches, batches
from simplexlab.figures.style import CLASS_COLORS, new_figure

lesson = Lesson(4)
sc_loss = lesson.own("2a")

# %% [markdown]
# ## Batches are multisets
#
# A batch of size $b$ takes $b$ of $N$ points, and the same point may be drawn twice. Order does not matter.
#
# **Exercise 4a** (medium, 6 minutes). How many such multisets are there? ("Stars and bars": write a batch as stars,
# with bars between the points.)


# %%
def number_of_batches(num_points, batch_size):
    """How many multisets of this size there are, an int; `math.comb` gives binomial coefficients."""
    return ...


lesson.check("4a", number_of_batches)

# %%
toy = theory.AllBatches(labels=np.repeat(np.arange(3), 4), batch_size=9)  # 3 classes of 4 points, b = 9, as in Fig. 6
print(f"{len(toy.batches):,} batches of 9 out of 12 points; the first: {toy.batches[0].astype(int)}")
assert len(toy.batches) == math.comb(12 + 9 - 1, 9) == 167_960
digits = len(str(math.comb(50_000 + 256 - 1, 256)))
print(f"CIFAR10 with b = 256: a number of batches with {digits} digits")
assert digits > 600

# %% [markdown]
# ## Only label counts matter
#
# At the simplex, the loss of a batch depends on its *label counts* alone: how many points of each class are in it.
# With $l_y$ points of class $y$,
#
# $$\sum_{y:\,l_y > 1} l_y \log\Big(l_y - 1 + (b - l_y)\,e^{-K\rho^2/(K-1)}\Big).$$
#
# Each anchor of class $y$ sees $l_y - 1$ others at inner product $\rho^2$ and $b - l_y$ at $-\rho^2/(K-1)$. An anchor
# without a positive contributes nothing.
#
# **Exercise 4b** (medium, 8 minutes). Compute this value.


# %%
def simplex_value(label_counts, radius):
    """Loss of a batch with these label counts, one for each of the K classes, at the regular simplex of radius ρ."""
    return ...


lesson.check("4b", simplex_value)

# %% [markdown]
# ## One batch
#
# The cell below minimises the loss of *one* batch of 9 points in the plane, for different label counts. For counts
# (3, 3, 3) the minimum is at the simplex.

# %%
lesson.predict(
    "4a",
    "Counts (7, 2, 0): a third class is missing. Where do the other two go?",
    ["120° apart, as at the simplex", "to opposite poles", "90° apart"],
)
lesson.predict(
    "4b",
    "Can the loss of one batch be below the value that the simplex has on its label counts?",
    ["yes, whenever the counts are unequal", "never: the simplex is the optimum", "only if a class is missing"],
)

# %%
numbers = batches.batches(starts=lesson.pick(8, 4))
figure, _ = batches.draw(numbers)
lesson.show(figure, "single_batches")
below = {}
for batch in numbers["batches"]:
    counts = tuple(batch["label_counts"])
    below[counts] = batch["simplex_loss"] - batch["loss"]
    print(f"{counts}: best {batch['loss']:.4f}, simplex {batch['simplex_loss']:.4f}, {below[counts]:+.4f} below")
    assert np.isclose(batch["simplex_loss"], theory.composition_value(np.array(counts), 1.0))
    assert below[counts] > -1e-6
unequal = {counts: gap for counts, gap in below.items() if len(set(counts)) > 1}
assert min(unequal.values()) > 0.05
assert abs(below[3, 3, 3]) < 1e-6
lesson.replay("4a", "b")
lesson.replay("4b", "a" if min(unequal.values()) > 0 else "c")

# %% [markdown]
# **Answer:** two classes go to opposite poles. A single point has no attraction, but as a negative it repels the
# others; it goes where it disturbs the least. So a single batch *can* be below the simplex value, whenever its counts
# are unequal, and no configuration minimises the loss of every batch at once.

# %% [markdown]
# ## Theorem 2: the mean over all batches
#
# The paper's way out: look at all batches together. Jensen's inequality, applied batch by batch, leaves terms of
# attraction and repulsion that depend on the batch. Summed over *all* multisets, the batch-dependent parts cancel by
# symmetry, and what remains is smallest at the simplex:
#
# $$\sum_{B} \mathrm{SC}(B) \;\ge\; \sum_{l=2}^{b} l\,M_l \log\Big(l - 1 + (b-l)\,e^{-K\rho^2/(K-1)}\Big),\qquad
# M_l = \sum_y \#\{B : l_y = l\}.$$
#
# **Exercise 4c** (medium, 6 minutes). $M_l$ needs no enumeration. A batch with $l_y = l$ takes a multiset of $l$ from
# the $n$ points of the class and a multiset of $b - l$ from the other $N - n$. Multiply, and take all $K$ classes.


# %%
def batches_with_count(num_classes, samples_per_class, batch_size, count):
    """M_l: over all classes y, the number of batches with l_y = count, an int."""
    return ...


lesson.check("4c", batches_with_count)

# %% [markdown]
# There are three ways to draw a batch: every multiset alike (the paper's analysis), indices with replacement (`iid`,
# how the authors train), without replacement (how most people train).

# %%
lesson.predict(
    "4c",
    "Which one spreads the label counts the most?",
    ["every multiset alike", "with replacement", "without replacement", "all the same"],
)

# %%
counts = np.arange(10)
laws = ("multiset", "iid", "without-replacement")
figure = new_figure(7, 3.6, "Points of one class in a batch of 9 out of 3 × 4")
axes = figure.subplots()
spreads = {}
for index, sampling in enumerate(laws):
    law = np.exp(theory.log_label_count_law(3, 9, 4, sampling))
    axes.plot(counts, law, "o-", color=CLASS_COLORS[index], label=f"theory: {sampling}")
    spreads[sampling] = np.sqrt(law @ (counts - 3) ** 2)
enumerated = np.bincount(toy.label_counts[:, 0], minlength=10) / len(toy.batches)
axes.plot(counts, enumerated, "x", color="black", markersize=12, label="counted: all multisets")
axes.set(xlabel="points of the class", ylabel="share of the batches", xticks=counts)
axes.legend()
lesson.show(figure, "label_counts")
print({sampling: f"spread {spread:.2f}" for sampling, spread in spreads.items()})
assert np.allclose(enumerated, np.exp(theory.log_label_count_law(3, 9, 4, "multiset")))
assert spreads["multiset"] > spreads["iid"] > spreads["without-replacement"]
lesson.replay("4c", "abc"[int(np.argmax(list(spreads.values())))])

# %% [markdown]
# **Answer:** multisets. Repeated indices count as often as distinct ones, which favours lopsided batches.

# %% [markdown]
# ## Theorem 2 on the toy
#
# With counts, the mean over all 167,960 batches and its gradient are one matrix product. L-BFGS minimises it exactly;
# the paper took 100,000 stochastic steps. Then the histogram has one value for each batch, at the minimum.

# %%
lesson.predict(
    "4d",
    "The histogram of all batch losses at the minimum, and the bound of Theorem 2 in it:",
    [
        "one peak, the bound at its left end",
        "several peaks, the bound at the left end",
        "several peaks, the bound among them",
    ],
)

# %%
result = all_batches.all_batches()
figure, _ = all_batches.draw(result)
lesson.show(figure, "all_batches")
print(f"Theorem 2 {result['theory']:.6f}, reached {result['empirical']:.6f}; the paper prints 12.12015 and 12.12016")
assert abs(result["theory"] - 12.120150) < 1e-6
assert abs(result["empirical"] - result["theory"]) < 1e-5
by_hand = sum(
    count * 3 * math.comb(4 + count - 1, count) * math.comb(8 + 9 - count - 1, 9 - count) * np.log(
        count - 1 + (9 - count) * np.exp(-3 / 2)
    )
    for count in range(2, 10)
) / len(toy.batches)  # fmt: skip
assert np.isclose(by_hand, result["theory"])
assert len(result["levels"]) > 1
inside = result["levels"][0]["smallest"] < result["theory"] < result["levels"][-1]["largest"]
lesson.replay("4d", "c" if inside else "b")

# %% [markdown]
# **Answer:** one peak for each set of label counts, at its simplex value. The bound is the *mean*; many batches lie
# below it. This is why one batch loss says little, and why `simplexlab` compares each batch with the simplex value of
# its own counts (the *paired excess*).

# %% [markdown]
# Your SC of lesson 2 (or the package's), on batches drawn at random from the same points. Unit vectors, $\tau = 1$.

# %%
points = np.array(result["points"])
generator = np.random.default_rng(0)
drawn = generator.integers(0, len(toy.batches), lesson.pick(2000, 300))
own = []
for batch in toy.batches[drawn].astype(int):
    rows = np.repeat(np.arange(12), batch)  # a multiset as a list of points
    own.append(sc_loss(points[rows], np.repeat(np.arange(3), 4)[rows], 1.0))
losses = toy.losses(points)
assert np.allclose(own, losses[drawn])  # with duplicates, which are positives of each other
error = np.std(own) / np.sqrt(len(own))
print(f"mean over {len(own)} batches {np.mean(own):.3f} ± {error:.3f}; over all {losses.mean():.6f}")
assert abs(np.mean(own) - losses.mean()) < 5 * error
paired, paired_error = theory.paired_excess(losses, toy.label_counts, radius=1.0)
print(f"spread of the batch losses {np.std(losses):.2f}; paired excess {paired:.1e} ± {paired_error:.1e}")
assert abs(paired) < 1e-5 < np.std(losses)

# %% [markdown]
# ## CIFAR10
#
# For a large number of points the paper calls the "numerical computation of the bound" infeasible, because there are so
# many batches. What is infeasible is the mean of a *configuration's* loss over all of them, which it estimates from
# 1,000 batches. The bound needs only the law of one label count, $b + 1$ numbers, and the paper prints it: 824.487.
#
# **Exercise 4d** (hard, 12 minutes). The bound for batches drawn with replacement, for a temperature. Then $l_y$ is
# binomial: $P(l) = \binom{b}{l}\,(1/K)^l\,(1 - 1/K)^{b-l}$, and the bound is the sum above with $K\,P(l)$ in place of
# $M_l$. Later lessons run your function.


# %%
def sc_floor(num_classes, batch_size, temperature):
    """Theorem 2 as a mean over batches drawn with replacement, summed over the anchors of a batch."""
    return ...


lesson.check("4d", sc_floor)

# %%
sc_floor = lesson.own("4d")
bounds = {
    sampling: theory.sc_bound(10, 256, temperature=0.1, samples_per_class=5000, sampling=sampling) for sampling in laws
}
for sampling, bound in bounds.items():
    print(f"CIFAR10, b = 256, τ = 0.1, {sampling:20s} {bound:.5f}")
assert abs(bounds["multiset"] - 824.48734) < 5e-6  # the paper prints 824.487
assert abs(bounds["iid"] - 824.46434) < 5e-6
assert abs(bounds["without-replacement"] - 824.44133) < 5e-6
assert np.isclose(sc_floor(10, 256, 0.1), bounds["iid"], rtol=1e-5)
for classes in (10, 100):
    print(
        f"{classes} classes: {sc_floor(classes, 256, 0.1) / 256:.4f} nats an anchor, the floor of what libraries print"
    )
assert sc_floor(100, 256, 0.1) < sc_floor(10, 256, 0.1)
above = 824.731 - bounds["multiset"]  # what the paper reports
print(f"824.731 is {above:.2f} above the bound of multisets, {above / 256:.3f} for each of 256 anchors")
assert round(above, 2) == 0.24
assert round(above / 256, 3) == 0.001

# %% [markdown]
# The paper reports a loss of 824.731 after 100,000 iterations: 0.24 above the bound, or 0.001 for each of the 256
# anchors. How sure is that? Lesson 8 asks.

# %% [markdown]
# ## Explain it

# %%
lesson.explain("4.1")
lesson.explain("4.2")
lesson.explain("4.3")

# %%
undercut = max(below.values())
lesson.end(
    f"""A single batch can be {undercut:.2f} below its simplex value, so no configuration is best for every batch. Over
    all {len(toy.batches):,} batches of the toy the mean reached {result["empirical"]:.6f}, and Theorem 2 says
    {result["theory"]:.6f}. For CIFAR10, with a number of batches of {digits} digits, the bound is
    {bounds["multiset"]:.3f}.
    Try next: simplexlab bound sc with your own number of classes and batch size, and --features nonnegative for an
    encoder that ends in a ReLU."""
)
