# %% [markdown]
# # 9 · Other roads to the simplex
#
# Goal: meet five more supervised losses, find the optimum of each, and write one of your own.
#
# You should know: lessons 1 to 4; lesson 5 for the race.
#
# Minutes: 1.6 of processor time (measured)
#
# On the command line: `simplexlab bound`, `simplexlab train --loss my_loss.py`, `simplexlab objectives`
#
# Cross-entropy and the supervised contrastive loss are not alone. Others fix the classifier, spread prototypes, or pull
# and push in other ways. A loss is known by its optimum: where do points go that are free? All below are minimised on
# one set of free points, each beside what is provably the least.

# %%
import numpy as np
from scipy.optimize import minimize

from simplexlab import geometry, theory
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.objectives import allow

lesson = Lesson(9)
sc_loss = lesson.own("2a")
generator = np.random.default_rng(0)


def unit(rows):
    """Rows divided by their norms."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def least(loss, shape, starts):
    """The best of several runs of L-BFGS from random starts: value and point."""
    ends = [
        minimize(lambda x: loss(x.reshape(shape)), generator.standard_normal(np.prod(shape)), method="L-BFGS-B")
        for _ in range(starts)
    ]
    best = min(ends, key=lambda end: end.fun)
    return best.fun, best.x.reshape(shape)


def cosines(rows):
    """Cosines of all pairs of rows, as one list."""
    return (unit(rows) @ unit(rows).T)[np.triu_indices(len(rows), 1)]


K, H, POINTS = 4, 5, 3  # classes, dimensions, points of each class
labels = np.repeat(np.arange(K), POINTS)
starts = lesson.pick(4, 2)

# %% [markdown]
# ## A fixed classifier (Hoffer et al. 2018)
#
# "Fix your classifier": the rows of $W$ are orthonormal and never learned, times a scale $r$; representations have norm
# $\rho$. Rows at right angles – and yet:

# %%
lesson.predict(
    "9a",
    "The head is fixed at K orthonormal rows. Where do free points of the ball go?",
    ["onto the rows: an orthogonal frame", "between a row and the origin", "to a regular simplex"],
)

# %%
RADIUS, SCALE = 1.0, 3.0
rows = SCALE * np.eye(K, H)
value, points = least(lambda x: theory.ce_loss(RADIUS * unit(x), labels, rows), (len(labels), H), starts)
fixed = geometry.class_means(unit(points), labels)
floor = theory.fixed_head_floor(rows, RADIUS)
print(f"loss {value:.6f}, floor {floor.value:.6f}; cosines between classes {cosines(fixed).round(4)}")
to_simplex = np.abs(cosines(fixed) + 1 / (K - 1)).max()
assert abs(value - floor.value) < 1e-5
assert to_simplex < 1e-2
lesson.replay("9a", "c" if to_simplex < 1e-2 else "a" if np.abs(cosines(fixed)).max() < 1e-2 else "b")

# %% [markdown]
# **Answer:** to a regular simplex. What all rows have in common adds the same to every score, and a softmax does not
# see it. So only the rows minus their mean matter, and a centred orthogonal frame is a simplex (lesson 1).

# %% [markdown]
# **Exercise 9a** (hard, 8 minutes). The floor of this loss, from Corollary 1 of lesson 3. (Rows of norm $r$, points
# in the ball of radius $\rho$, $K \le h$.)


# %%
def fixed_frame_floor(num_classes, radius, row_norm):
    """The least CE under a fixed head of K orthogonal rows of norm `row_norm`."""
    return ...


lesson.check("9a", fixed_frame_floor)

# %% [markdown]
# ## Spread prototypes (Mettes et al. 2019; Liu et al. 2018)
#
# Mettes et al. place one prototype for each class before training, so that the *largest* cosine between two is least,
# and pull points to them. Liu et al. add an energy to the loss, the mean over pairs of $\|w_i - w_j\|^{-s}$, that
# rows of a classifier repel each other with. For $K \le h + 1$ both have the same optimum, the simplex. And beyond?

# %%
lesson.predict(
    "9b",
    "Three dimensions. From K = 4 to K = 5 vectors, the least largest cosine goes from −0.333 to",
    ["about −0.25", "0", "about 0.1"],
)

# %%


def largest(rows, sharpness):
    """A smooth largest cosine: the larger `sharpness`, the nearer."""
    return np.logaddexp.reduce(sharpness * cosines(rows)) / sharpness


def spread(num_classes, dimension):
    """The least largest cosine found."""
    _, rows = least(lambda x: largest(x, 30), (num_classes, dimension), starts)
    shape = rows.shape
    for sharpness in (300, 3000):
        rows = minimize(lambda x, s=sharpness: largest(x.reshape(shape), s), rows.ravel(), method="L-BFGS-B").x
        rows = rows.reshape(shape)
    return cosines(rows).max()


def energy(rows):
    """Mean over pairs of the inverse distance of unit vectors (s = 1)."""
    return np.mean((2 - 2 * cosines(rows)) ** -0.5)


numbers = lesson.pick((2, 3, 4, 5, 6), (3, 4, 5, 6))
found = {num_classes: spread(num_classes, 3) for num_classes in numbers}
energies = {num_classes: least(energy, (num_classes, 3), starts)[0] for num_classes in (4, 6)}
figure = new_figure(6.6, 3.6, "How far apart K prototypes can be in three dimensions")
axes = figure.subplots()
simplex = [-1 / (num_classes - 1) for num_classes in numbers]
axes.plot(numbers, simplex, label="theory: simplex, −1/(K−1)", **THEORY_LINE)
axes.plot(numbers, list(found.values()), "o", color=CLASS_COLORS[1], label="least largest cosine found")
axes.set(xlabel="prototypes K", ylabel="cosine of the nearest two", xticks=numbers)
axes.legend(loc="lower right")
lesson.show(figure, "prototypes")
for num_classes, cosine in found.items():
    print(f"K = {num_classes}: {cosine:+.4f}")
    assert abs(cosine - (-1 / (num_classes - 1) if num_classes <= 4 else 0)) < 5e-3
# The least energy is the simplex's up to K = h + 1, and at K = 2h that of ± the axes.
assert abs(energies[4] - (2 * 4 / 3) ** -0.5) < 1e-4
assert abs(energies[6] - (4 * 2**-0.5 + 4**-0.5) / 5) < 1e-4
lesson.replay("9b", "b" if abs(found[5]) < 0.05 else "a" if found[5] < 0 else "c")

# %% [markdown]
# **Answer:** to 0, at once, and it stays there up to $K = 2h$ (Rankin 1955): no five vectors of space have all pairs
# at more than 90°. The sixth costs nothing: $\pm$ the axes.

# %% [markdown]
# **Exercise 9d** (medium, 5 minutes). The least largest cosine for $K \le 2h$.


# %%
def largest_cosine(num_classes, dimension):
    """The least that the largest cosine of K vectors in h dimensions can be, K ≤ 2h."""
    return ...


lesson.check("9d", largest_cosine)

# %% [markdown]
# ## Positives inside or outside of the logarithm (Khosla et al. 2020)
#
# SC as you know it, "out", is a mean over positives of $-\log$. The variant "in" takes the $\log$ of the mean. By
# Jensen, "in" is never larger on the same points.

# %%
lesson.predict(
    "9c",
    "And their least values, over free points?",
    ["in is below out", "they are equal", "in has no least value"],
)

# %%


def inside_loss(z, y, temperature):
    """SupCon with the mean over positives inside of the logarithm, summed over anchors."""
    scores = z @ z.T / temperature
    np.fill_diagonal(scores, -np.inf)
    same = (y[:, None] == y) & ~np.eye(len(y), dtype=bool)
    return np.sum(
        np.logaddexp.reduce(scores, axis=1)
        - np.logaddexp.reduce(np.where(same, scores, -np.inf), axis=1)
        + np.log(same.sum(axis=1))
    )


inside, inside_points = least(lambda x: inside_loss(unit(x), labels, 0.5), (len(labels), H), starts)
outside, outside_points = least(lambda x: sc_loss(unit(x), labels, 0.5), (len(labels), H), starts)
value = float(theory.composition_value(np.full(K, POINTS), 0.5**-0.5))
print(f"out {outside:.6f}, in {inside:.6f}, the simplex's value {value:.6f}")
anything = unit(generator.standard_normal((len(labels), H)))
assert inside_loss(anything, labels, 0.5) < sc_loss(anything, labels, 0.5)
assert abs(outside - value) < 1e-4
assert abs(inside - value) < 1e-4
lesson.replay("9c", "b" if abs(inside - outside) < 1e-3 else "a")

# %% [markdown]
# **Answer:** equal, at the simplex: there all positives of an anchor are at one place, and inside or outside is the
# same. With one positive and distinct classes in a batch, the loss is known as N-pairs.
#
# (Khosla et al. put a small network between encoder and loss. These floors concern its output; nothing pins the encoder
# below it.)

# %% [markdown]
# **Exercise 9b** (medium, 6 minutes). The floor of an anchor of N-pairs: its batch holds one positive and one point
# of each of $b - 1$ other classes; all $K$ classes sit at a simplex of radius 1, scores are divided by $\tau$.


# %%
def pairs_floor(num_classes, batch_size, temperature):
    """The loss of one anchor at the simplex of K classes: its own class and b − 1 others compete."""
    return ...


lesson.check("9b", pairs_floor)

# %% [markdown]
# ## Alignment and uniformity (Wang & Isola 2020)
#
# With labels: $a \cdot \mathrm{mean}\,\|z_i - z_j\|^2$ over pairs of one class, plus $\log \mathrm{mean}\, e^{-2\|z_i
# - z_j\|^2}$ over *all* pairs, on the unit sphere. The second term pushes points of one class apart as well.

# %%
lesson.predict(
    "9d",
    "As the weight a of alignment goes down from 3, the points of a class",
    [
        "stay at one place for every a > 0",
        "stay at one place down to some a, then spread",
        "spread a little at every a",
    ],
)

# %%


def align_uniform(z, weight):
    """a·alignment + uniformity of labelled unit vectors, and the mean squared distance within classes."""
    square = np.maximum(2 - 2 * z @ z.T, 0)[np.triu_indices(len(z), 1)]
    same = (labels[:, None] == labels)[np.triu_indices(len(z), 1)]
    return weight * square[same].mean() + np.log(np.mean(np.exp(-2 * square))), square[same].mean()


p_in = (POINTS - 1) / (K * POINTS - 1)
q = np.exp(-4 * K / (K - 1))
threshold = 2 * p_in * (1 - q) / (p_in + (1 - p_in) * q)
weights = threshold * np.array(lesson.pick((0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.6), (0.6, 0.9, 1.1, 1.5)))
within = []
for weight in weights:
    _, points = least(lambda x, a=weight: align_uniform(unit(x), a)[0], (len(labels), H), starts)
    within.append(align_uniform(unit(points), weight)[1])
figure = new_figure(6.6, 3.6, "Alignment and uniformity: when do classes collapse?")
axes = figure.subplots()
axes.plot(weights, within, "o-", color=CLASS_COLORS[1], label="found")
axes.axvline(threshold, label="theory: threshold", **THEORY_LINE)
axes.set(xlabel="weight a of alignment", ylabel="mean squared distance in a class")
axes.legend()
lesson.show(figure, "alignment")
collapsed = np.array(within) < 1e-4
print({f"{weight:.3f}": f"{spread:.1e}" for weight, spread in zip(weights, within, strict=True)})
assert np.array_equal(collapsed, weights > threshold)
lesson.replay("9d", "b" if collapsed[-1] and not collapsed[0] else "c" if not collapsed.any() else "a")

# %% [markdown]
# **Answer:** there is a threshold, $t\,p_{in}(1-q)/(p_{in} + p_{out}\,q)$ with $t = 2$, $q = e^{-4K/(K-1)}$ and
# $p_{in}$ the share of pairs that are of one class. Above it classes collapse to a simplex, below they spread. With
# the weight 1 that people use, ten classes of 5,000 do not collapse, a hundred of 500 do.

# %%
for num_classes, points_per_class, expected in ((10, 5000, 1.788), (100, 500, 0.716)):
    p = (points_per_class - 1) / (num_classes * points_per_class - 1)
    far = np.exp(-4 * num_classes / (num_classes - 1))
    found_threshold = 2 * p * (1 - far) / (p + (1 - p) * far)
    print(f"{num_classes} classes of {points_per_class}: threshold {found_threshold:.3f}")
    assert abs(found_threshold - expected) < 1e-3

# %% [markdown]
# **Exercise 9c** (medium, 6 minutes). The threshold for $K$ classes of $n$ points.


# %%
def collapse_threshold(points_per_class, num_classes):
    """The least weight of alignment at which classes collapse, for t = 2."""
    return ...


lesson.check("9c", collapse_threshold)

# %% [markdown]
# ## All of them, on the same points
#
# The cosines of the class means at each optimum, for $K = 4$ classes.

# %%
_, uniform_points = least(lambda x: align_uniform(unit(x), 1.6 * threshold)[0], (len(labels), H), starts)
_, prototypes = least(lambda x: largest(x, 300), (K, H), starts)
_, energetic = least(energy, (K, H), starts)
optima = {
    "fixed head\n(Hoffer)": fixed,
    "energy\n(Liu)": energetic,
    "prototypes\n(Mettes)": prototypes,
    "contrastive\n(Khosla)": geometry.class_means(unit(outside_points), labels),
    "alignment\n(Wang & Isola)": geometry.class_means(unit(uniform_points), labels),
}
figure = new_figure(11, 3.2, "One optimum, five roads: cosines of the class means")
panels = figure.subplots(1, len(optima))
for axes, (name, means) in zip(panels, optima.items(), strict=True):
    image = axes.imshow(unit(means) @ unit(means).T, vmin=-1, vmax=1, cmap="PuOr_r")
    deviation = np.abs(cosines(means) + 1 / (K - 1)).max()
    axes.set(title=name, xticks=[], yticks=[], xlabel=f"off by {deviation:.0e}")
    assert deviation < 2e-2
figure.colorbar(image, ax=panels, shrink=0.8, label="cosine")
lesson.show(figure, "optima")

# %% [markdown]
# The same optimum five times. So what tells losses apart is not *where* they are least, but how they get there: with
# which rate, from which batches, on which labels, and how far in the time that you have.

# %% [markdown]
# ## A loss of your own
#
# A loss is one file with one `Objective`. This one is cross-entropy with a margin: the right class has to win by
# `margin`. Change it – `simplexlab objectives` lists all others – and race it against `ce` and `sc`.

# %%
MY_LOSS = '''\
"""Cross-entropy with a margin."""

import keras

from simplexlab.objectives import Objective, Option


def loss(labels, outputs, margin):
    """−log softmax of the logits (b, K), the right one lowered by `margin`; one value per sample, shape (b,)."""
    right = keras.ops.one_hot(labels, outputs.shape[1], dtype=outputs.dtype)
    return -keras.ops.sum(right * keras.ops.log_softmax(outputs - margin * right), axis=1)


objective = Objective(
    name="margin", sentence="Cross-entropy with a margin.", loss=loss, colour="#CC79A7",
    options=(Option(name="margin", default=1.0, help="Margin of the right class.", minimum=0.0),),
)
'''
file = lesson.folder / "my_loss.py"
lesson.folder.mkdir(parents=True, exist_ok=True)
file.write_text(MY_LOSS, encoding="utf-8")
allow(str(file))  # a file is executed only where its user has named it

# %%
lesson.predict(
    "9e",
    "40 % of the labels flipped: which one fits them first?",
    ["ce", "sc", "your own"],
)

# %%
race = lesson.pick(
    {"iterations": 1500, "evaluate_every": 25, "encoder": "resnet-small", "width": 8, "tolerance": 0.001},
    {
        "iterations": 400,
        "evaluate_every": 10,
        "encoder": "mlp",
        "batch_size": 64,
        "train_size": 200,
        "tolerance": 0.005,
    },
)
levels = lesson.pick((0.0, 0.4), (0.4,))
racers = {"ce": "ce", "sc": "sc", "your own": str(file)}
times = {}
for name, loss in racers.items():
    for level in levels:
        run = lesson.train(
            f"{name.replace(' ', '-')}-{level:g}", loss=loss, corrupt=level, schedule="constant", until_fit=True, **race
        )
        times[name, level] = run.result["time_to_fit"]
        assert run.status.state == "finished"
for level in levels:
    told = {name: times[name, level] or f"not within {race['iterations']}" for name in racers}
    print(f"{level:.0%} flipped: time to fit", "  ".join(f"{name} {time}" for name, time in told.items()))
order = sorted(racers, key=lambda name: times[name, levels[-1]] or np.inf)
assert times[order[0], levels[-1]] is not None
lesson.replay("9e", "abc"[list(racers).index(order[0])])

# %% [markdown]
# **Answer:** read it off – and mind lesson 6: one seed, one schedule, one data set. What would you have to show
# before you call yours faster?

# %% [markdown]
# ## Explain it

# %%
lesson.explain("9.1")
lesson.explain("9.2")
lesson.explain("9.3")

# %%
lesson.end(
    f"""Five losses went to the same simplex of {K} classes. Five vectors in space cannot all be more than 90° apart:
    the best found had a largest cosine of {found[5]:.3f}. Alignment and uniformity collapse classes
    from a weight of {threshold:.2f} on. At {levels[-1]:.0%} flipped labels {order[0]} fitted first.
    Try next: change my_loss.py in the folder of this lesson, and simplexlab train --loss my_loss.py."""
)
