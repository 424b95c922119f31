# %% [markdown]
# # 4 · The contrastive floor
#
# Goal: understand Theorem 2, and compute the bound that the paper thought infeasible.
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

# %%
import math

import numpy as np

from simplexlab import theory
from simplexlab.course import Lesson
from simplexlab.figures import all_batches, batches
from simplexlab.figures.style import CLASS_COLORS, new_figure

lesson = Lesson(4)

# %% [markdown]
# ## Batches are multisets
#
# A batch of size $b$ takes $b$ of $N$ points, and the same point may be drawn twice. Order does not matter. There are
# $\binom{N+b-1}{b}$ such multisets ("stars and bars").
#
# **Exercise 4a** (1 line). Count them.


# %%
def number_of_batches(num_points, batch_size):
    """How many multisets of this size there are; `math.comb` gives binomial coefficients."""
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
# With
# $l_y$ points of class $y$ and $\rho$ the radius of the sphere,
#
# $$\sum_{y:\,l_y > 1} l_y \log\Big(l_y - 1 + (b - l_y)\,e^{-K\rho^2/(K-1)}\Big).$$
#
# Each anchor of class $y$ sees $l_y - 1$ others at inner product $\rho^2$ and $b - l_y$ at $-\rho^2/(K-1)$. An anchor
# without a positive contributes nothing.
#
# **Exercise 4b** (4 to 6 lines). Compute this value.


# %%
def simplex_value(label_counts, radius):
    """Loss of a batch with these label counts, one for each of the K classes, at the regular simplex."""
    return ...


lesson.check("4b", simplex_value)

# %% [markdown]
# ## No configuration is best for every batch
#
# The pictures below show what minimises the loss of *one* batch of 9 points, for different label counts.
#
# **Predict:** for counts (3, 3, 3) it is the simplex. For (7, 2, 0), a third class is missing. Where do the other two
# go? And where does the single point of (4, 4, 1) go, which has no positive?

# %%
numbers = batches.batches(starts=lesson.pick(8, 4))
figure, _ = batches.draw(numbers)
lesson.show(figure, "single_batches")
for batch in numbers["batches"]:
    below = batch["simplex_loss"] - batch["loss"]
    print(f"{batch['label_counts']}: best {batch['loss']:.4f}, simplex {batch['simplex_loss']:.4f}, {below:+.4f} below")
    counts = np.array(batch["label_counts"])
    assert np.isclose(batch["simplex_loss"], theory.composition_value(counts, 1.0))
    assert below > -1e-6
    assert (below > 0.05) == (len(set(counts)) > 1)  # the simplex is the best one for equal counts only

# %% [markdown]
# **Answer:** two classes go to opposite poles. A single point has no attraction, but as a negative it repels the
# others; it goes where it disturbs the least. So a single batch *can* be below the simplex value, and no
# configuration minimises the loss of every batch at once.
#
# ## Theorem 2: the mean over all batches
#
# The paper's way out: look at all batches together. Jensen's inequality, applied batch by batch, leaves terms of
# attraction and repulsion that depend on the batch. Summed over *all* multisets, the batch-dependent parts cancel by
# symmetry, and what remains is smallest at the simplex:
#
# $$\sum_{B} \mathrm{SC}(B) \;\ge\; \sum_{l=2}^{b} l\,M_l \log\Big(l - 1 + (b-l)\,e^{-K\rho^2/(K-1)}\Big),\qquad
# M_l = \sum_y \#\{B : l_y = l\}.$$
#
# **Exercise 4c** (2 lines). $M_l$ needs no enumeration. A batch with $l_y = l$ takes a multiset of $l$ from the $n$
# points of the class and a multiset of $b - l$ from the other $N - n$. Multiply, and take all $K$ classes.


# %%
def batches_with_count(num_classes, samples_per_class, batch_size, count):
    """M_l: over all classes y, the number of batches with l_y = count."""
    return ...


lesson.check("4c", batches_with_count)

# %% [markdown]
# **Predict:** three ways to draw a batch: every multiset alike (the paper's analysis), indices with replacement (how
# the authors train), without replacement (how most people train). Which one spreads the label counts the most?

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
assert np.allclose(enumerated, np.exp(theory.log_label_count_law(3, 9, 4, "multiset")))
assert spreads["multiset"] > spreads["iid"] > spreads["without-replacement"]

# %% [markdown]
# **Answer:** multisets. Repeated indices count as often as distinct ones, which favours lopsided batches.
#
# ## Theorem 2 on the toy
#
# With counts, the mean over all 167,960 batches and its gradient are one matrix product. L-BFGS minimises it exactly;
# the paper took 100,000 stochastic steps.
#
# **Predict:** the histogram has one value for each batch, at the minimum. Will it be one peak or several? Does the
# bound lie at its left end?

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
assert result["levels"][0]["smallest"] < result["theory"] < result["levels"][-1]["largest"]

# %% [markdown]
# **Answer:** several: one peak for each set of label counts, at its simplex value. The bound is the *mean*; many
# batches lie below it. This is why one batch loss says little, and why `simplexlab` compares each batch with the
# simplex value of its own counts (the *paired excess*).

# %%
paired, error = theory.paired_excess(toy.losses(np.array(result["points"])), toy.label_counts, radius=1.0)
raw = np.std(toy.losses(np.array(result["points"])))
print(f"spread of the batch losses {raw:.2f}; paired excess {paired:.1e} ± {error:.1e}")
assert abs(paired) < 1e-5 < raw

# %% [markdown]
# ## CIFAR10
#
# The paper calls the bound infeasible for large $N$. But the mean over batches needs only the law of one label count:
# $b + 1$ numbers, computed with logarithms.

# %%
bounds = {
    sampling: theory.sc_bound(10, 256, temperature=0.1, samples_per_class=5000, sampling=sampling) for sampling in laws
}
for sampling, bound in bounds.items():
    print(f"CIFAR10, b = 256, τ = 0.1, {sampling:20s} {bound:.5f}")
assert abs(bounds["multiset"] - 824.48734) < 5e-6  # the paper prints 824.487
assert abs(bounds["iid"] - 824.46434) < 5e-6
assert abs(bounds["without-replacement"] - 824.44133) < 5e-6

# %% [markdown]
# The paper reports a loss of 824.731 after 100,000 iterations: 0.24 above the bound, or 0.001 for each of the 256
# anchors.
#
# **Exercise 4d** (2 lines). CIFAR100 has 100 classes of 500 images. Compute the bound for $b = 256$, $\tau = 0.1$ and
# batches drawn with replacement, and divide it by $b$: the floor of what libraries print, which average over anchors.


# %%
def floor_per_anchor_on_cifar100():
    """The bound divided by the batch size; `theory.sc_bound` helps."""
    return ...


lesson.check("4d", floor_per_anchor_on_cifar100)

# %%
undercut = max(batch["simplex_loss"] - batch["loss"] for batch in numbers["batches"])
lesson.end(
    f"""A single batch can be {undercut:.2f} below its simplex value, so no configuration is best for every batch. Over
    all {len(toy.batches):,} batches of the toy the mean reached {result["empirical"]:.6f}, and Theorem 2 says
    {result["theory"]:.6f}. For CIFAR10, with a number of batches of {digits} digits, the bound is
    {bounds["multiset"]:.3f}.
    Try next: simplexlab bound sc with your own number of classes and batch size, and --features nonnegative for an
    encoder that ends in a ReLU."""
)
