# %% [markdown]
# # 9 · Other roads to the simplex
#
# Goal: train five more supervised losses on the same images, each beside its own optimum, and race one of your own.
#
# You should know: lessons 1 to 4; lesson 5 for the training.
#
# Minutes: 1.6 on two CPU cores (measured)
#
# On the command line: `simplexlab objectives`, `simplexlab toy prototypes --dimension 3`,
# `simplexlab sweep --preset objectives`, `simplexlab train --loss my_loss.py`
#
# Cross-entropy and the supervised contrastive loss are not alone. Others fix the classifier, spread prototypes, or pull
# and push in other ways. A loss is known by its optimum: where do points go that are free? First that, for five losses
# on free points; then the same five on images; then yours.

# %%
from pathlib import Path

import numpy as np

from simplexlab import objectives, theory
from simplexlab.course import Lesson
from simplexlab.figures import objectives as side_by_side
from simplexlab.figures.style import THEORY_LINE, class_color, draw_disc, new_figure, scientific
from simplexlab.runs import list_geometry, read_geometry, read_metrics
from simplexlab.toy.ideal import IdealToy, run_ideal

lesson = Lesson(9)
CLASSES, POINTS = 3, 4  # of the free points, in three dimensions


def ideal(name, loss, classes=CLASSES, **options):
    """Free points in space under a loss of the table or of a file: the final numbers, and the last configuration."""
    options = {"classes": classes, "dimension": 3, "points_per_class": POINTS, "options": options}
    result = run_ideal(IdealToy(loss=loss, run_dir=lesson.run_dir, name=name, **options))
    frame = read_geometry(Path(lesson.run_dir, name), result["iterations"])
    floor = "" if result["bound"] is None else f", its floor {result['bound']:.8f}"
    print(f"{name:22s} loss {result['final_loss']:.8f}{floor}, after {result['iterations']} iterations")
    return result, {key: value.astype(float) for key, value in frame.items() if value.dtype.kind in "fi"}


def cosines(rows):
    """Cosines of all pairs of rows, as one list."""
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return (rows @ rows.T)[np.triu_indices(len(rows), 1)]


# %% [markdown]
# ## A fixed classifier: Hoffer et al. 2018
#
# "Fix your classifier": the rows of $W$ are orthonormal and never learned, times a scale; representations have norm 1.
# So it is cross-entropy (`ce-orthonormal`) with rows at right angles.

# %%
lesson.predict(
    "9a",
    "The head is fixed at three orthonormal rows in space. How far apart do free points put the three classes?",
    ["90°: each goes onto its row", "less than 90°: towards the middle of all rows", "120°"],
)

# %%
roads = {}
roads["Hoffer"] = ideal("ce-orthonormal", "ce-orthonormal", scale=3.0)
result, frame = roads["Hoffer"]
print(f"cosines of the rows {cosines(frame['weights']).round(4)}, of the class means {cosines(frame['class_means'])}")
assert np.abs(cosines(frame["weights"])).max() < 1e-5
assert abs(result["excess"]) < 1e-8
to_simplex, to_frame = np.abs(cosines(frame["class_means"]) + 1 / 2).max(), np.abs(cosines(frame["class_means"])).max()
lesson.replay("9a", "c" if to_simplex < 1e-2 else "a" if to_frame < 1e-2 else "b")

# %% [markdown]
# **Answer:** 120°, a regular simplex. What all rows have in common adds the same to every score, and a softmax does not
# see it. So only the rows minus their mean matter, and a centred orthogonal frame is a simplex (lesson 1).

# %% [markdown]
# **Exercise 9a** (hard, 8 minutes). The floor of this loss, from Corollary 1 of lesson 3. (Rows of norm $r$, points
# in the ball of radius $\rho$, $K \le h$.)


# %%
def fixed_frame_floor(num_classes, radius, row_norm):
    """The least CE under a fixed head of K orthogonal rows of norm `row_norm`."""
    return ...


lesson.check("9a", fixed_frame_floor)

# %%
fixed_frame_floor = lesson.own("9a")
print(f"at scale 3 it gives {fixed_frame_floor(3, 1.0, 3.0):.8f}")
assert np.isclose(fixed_frame_floor(3, 1.0, 3.0), result["bound"])

# %% [markdown]
# ## Directions that are spread: Liu et al. 2018, Mettes et al. 2019
#
# Liu et al. add an energy to cross-entropy (`ce-mhe`): the mean over pairs of $\|w_i - w_j\|^{-s}$ over the
# *directions* of the rows, so that they repel each other. Mettes et al. (`prototypes`) place one prototype for each
# class before training, so that the *largest* cosine between two is least, and then pull each point to its own. For
# $K \le h + 1$ both have the simplex. And beyond?

# %%
lesson.predict(
    "9b",
    "Three dimensions. From K = 4 to K = 5 vectors, the least largest cosine goes from −0.333 to",
    ["about −0.25", "0", "about 0.1"],
)

# %%
numbers = np.arange(2, 9)
placed = {int(number): cosines(theory.spread_directions(int(number), 3)[0]).max() for number in numbers}
proven = [theory.least_largest_cosine(int(number), 3).bound for number in numbers]
figure = new_figure(6.6, 3.6, "How far apart K prototypes can be in three dimensions")
axes = figure.subplots()
axes.plot(numbers, -1 / (numbers - 1), label="simplex, −1/(K−1)", **THEORY_LINE)
axes.plot(numbers, proven, label="theory: no K are farther apart", **THEORY_LINE | {"linestyle": ":"})
axes.plot(numbers, list(placed.values()), "o", color=lesson.color("prototypes"), label="the prototypes")
axes.set(xlabel="prototypes K", ylabel="cosine of the nearest two", xticks=numbers)
axes.legend(loc="lower right", fontsize="small")
lesson.show(figure, "prototypes")
for number, bound in zip(placed, proven, strict=True):
    print(f"K = {number}: {placed[number]:+.4f}, proven at least {bound:+.4f}")
    assert abs(placed[number] - bound) < 1e-3
assert np.allclose(proven[:3], [-1, -1 / 2, -1 / 3])
lesson.replay("9b", "b" if abs(placed[5]) < 0.05 else "a" if placed[5] < 0 else "c")

# %% [markdown]
# **Answer:** to 0, at once, and it stays there up to $K = 2h$ (Rankin 1955): no five vectors of space have all pairs
# at more than 90°. The sixth costs nothing: $\pm$ the axes.

# %% [markdown]
# **Exercise 9b** (medium, 5 minutes). The least largest cosine for $K \le 2h$.


# %%
def largest_cosine(num_classes, dimension):
    """The least that the largest cosine of K vectors in h dimensions can be, K ≤ 2h."""
    return ...


lesson.check("9b", largest_cosine)

# %%
roads["Liu"] = ideal("ce-mhe", "ce-mhe")
roads["Mettes"] = ideal("prototypes", "prototypes")
for name in ("Liu", "Mettes"):
    result, frame = roads[name]
    assert abs(result["excess"]) < 1e-8
    assert np.allclose(cosines(frame["weights"]), -1 / 2, atol=1e-3)

# %% [markdown]
# ## Positives inside or outside of the logarithm: Khosla et al. 2020
#
# SC as you know it, "out", is a mean over positives of $-\log$. Khosla et al. (`supcon`) also write a variant "in",
# $-\log$ of the mean. By Jensen, "in" is never larger on the same points.

# %%
lesson.predict(
    "9c",
    "And their least values, over free points?",
    ["in is below out", "they are equal", "in has no least value"],
)

# %%
generator = np.random.default_rng(0)
for _ in range(100):  # the scores of some positives; all else is the same in both
    scores = generator.uniform(-2, 2, 5)
    assert -np.log(np.mean(np.exp(scores))) <= np.mean(-scores)
roads["Khosla"] = ideal("supcon", "supcon", supcon_form="out")
inside, _ = ideal("supcon, in", "supcon", supcon_form="in")
outside, frame = roads["Khosla"]
assert abs(outside["excess"]) < 1e-6
assert abs(inside["excess"]) < 1e-6
apart = abs(inside["final_loss"] - outside["final_loss"])
print(f"in and out end {apart:.0e} apart")
lesson.replay("9c", "b" if apart < 1e-5 else "a")

# %% [markdown]
# **Answer:** equal, at the simplex: there all positives of an anchor are at one place, and inside or outside is the
# same. With one positive and distinct classes in a batch, the loss is known as N-pairs.
#
# (Khosla et al. put a small network between encoder and loss. These floors concern its output; nothing pins the encoder
# below it.)

# %% [markdown]
# **Exercise 9c** (medium, 6 minutes). The floor of an anchor of N-pairs: its batch holds one positive and one point
# of each of $b - 1$ other classes; all $K$ classes sit at a simplex of radius 1, scores are divided by $\tau$.


# %%
def pairs_floor(num_classes, batch_size, temperature):
    """The loss of one anchor at the simplex of K classes: its own class and b − 1 others compete."""
    return ...


lesson.check("9c", pairs_floor)

# %% [markdown]
# ## Alignment and uniformity: Wang & Isola 2020
#
# With labels (`align-uniform`): $a \cdot \mathrm{mean}\,\|z_i - z_j\|^2$ over pairs of one class, plus
# $\log \mathrm{mean}\, e^{-2\|z_i - z_j\|^2}$ over *all* pairs, on the unit sphere. The second term pushes points of
# one class apart as well.

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
threshold = theory.collapse_threshold(CLASSES, POINTS)
weights = threshold * np.array(lesson.pick((0.5, 0.7, 0.85, 0.95, 1.05, 1.2, 1.6), (0.7, 0.95, 1.3)))
within = []
for weight in weights:
    result, frame = ideal(f"align-uniform {weight:.2f}", "align-uniform", weight=float(weight))
    within.append(result["alignment"])
    if weight > threshold:
        assert abs(result["excess"]) < 1e-8
roads["Wang & Isola"] = result, frame
figure = new_figure(6.6, 3.6, "Alignment and uniformity: when do classes collapse?")
axes = figure.subplots()
axes.plot(weights, within, "o-", color=lesson.color("align-uniform"), label="free points")
axes.axvline(threshold, label="theory: threshold", **THEORY_LINE)
axes.set(xlabel="weight a of alignment", ylabel="mean squared distance\nin a class", ylim=(0, None))
axes.legend()
lesson.show(figure, "alignment")
collapsed = np.array(within) < 1e-4
assert np.array_equal(collapsed, weights > threshold)
lesson.replay("9d", "b" if collapsed[-1] and not collapsed[0] else "c" if not collapsed.any() else "a")

# %% [markdown]
# **Answer:** there is a threshold, $t\,p_{in}(1-q)/(p_{in} + p_{out}\,q)$ with $t = 2$, $q = e^{-4K/(K-1)}$ and
# $p_{in}$ the share of pairs that are of one class. Above it classes collapse to a simplex, below they spread.
# (Spread classes want $N - 1$ dimensions: in three, free points stay above their floor.)

# %% [markdown]
# **Exercise 9d** (medium, 6 minutes). The threshold for $K$ classes of $n$ points.


# %%
def collapse_threshold(points_per_class, num_classes):
    """The least weight of alignment at which classes collapse, for t = 2."""
    return ...


lesson.check("9d", collapse_threshold)

# %%
collapse_threshold = lesson.own("9d")
assert np.isclose(collapse_threshold(POINTS, CLASSES), threshold)
for name, points_per_class, num_classes in (("CIFAR10", 5000, 10), ("CIFAR100", 500, 100), ("our digits", 140, 10)):
    least = collapse_threshold(points_per_class, num_classes)
    print(f"{name}: {num_classes} classes of {points_per_class} collapse from a = {least:.3f} on")
assert collapse_threshold(500, 100) < 1 < collapse_threshold(140, 10) < collapse_threshold(5000, 10) < 3

# %% [markdown]
# ## One optimum, five roads

# %%
figure = new_figure(11, 2.9, "Free points at the optimum of each loss, seen along the axis of the triangle")
for axes, (name, (_, frame)) in zip(figure.subplots(1, 5), roads.items(), strict=True):
    means = frame["class_means"]
    plane = np.linalg.svd(means - means.mean(axis=0))[2][:2]  # the plane of the three class means
    draw_disc(axes, 1.25)
    for label in range(CLASSES):
        own = frame["sample"][frame["sample_labels"] == label] @ plane.T / np.linalg.norm(means[0])
        axes.plot(*own.T, "o", color=class_color(label))
        if "weights" in frame:
            arrow = frame["weights"][label] @ plane.T / np.linalg.norm(frame["weights"][label])
            style = {"arrowstyle": "->", "color": class_color(label), "lw": 2.5}
            axes.annotate("", arrow, (0, 0), arrowprops=style)
    deviation = np.abs(cosines(means) + 1 / 2).max()
    axes.set_title(f"{name}\ncosines −1/2 ± {scientific(deviation)}", fontsize="medium")
    axes.set(xticks=[], yticks=[])
    assert deviation < 2e-2
lesson.show(figure, "optima")

# %% [markdown]
# Arrows: rows of the classifier. Those of Hoffer are at right angles in space; what is seen of them in this plane is
# their centred part.
#
# The same optimum five times. So what tells losses apart is not *where* they are least, but how they get there: on
# which images, with which rate, from which batches, and how far in the time that you have.
#
# ## The same five on images
#
# The digits of lesson 5, 140 of each class, and a small encoder without a last ReLU, so that the simplex can be had.
# All with one recipe that none was tuned for. `align-uniform` runs twice: with the usual weight 1, and with 3.

# %%
lesson.predict(
    "9e",
    "The threshold for ten classes of 140 is above. Under which weight do the classes of align-uniform collapse?",
    ["under both", "under 3 alone", "under neither"],
)
lesson.predict(
    "9f",
    "Which has the smallest share of its first excess left at the end?",
    ["Hoffer", "Liu", "Mettes", "Khosla", "Wang & Isola"],
)

# %%
recipe = {"dataset": "digits", "batch_size": 128, "tolerance": lesson.pick(0.001, 0.05)}
recipe |= lesson.pick(
    {"encoder": "resnet-small-preact", "width": 8, "iterations": 400, "evaluate_every": 20},
    {"encoder": "mlp", "width": 8, "dimension": 32, "iterations": 120, "evaluate_every": 20, "evaluate_at": "interval"},
)
racers = {
    "ce-orthonormal": ("ce-orthonormal", {}),
    "ce-mhe": ("ce-mhe", {}),
    "prototypes": ("prototypes", {}),
    "supcon": ("supcon", {}),
    "align-uniform-1": ("align-uniform", {"weight": 1.0}),
    "align-uniform-3": ("align-uniform", {"weight": 3.0}),
}
runs = {
    name: lesson.train(f"digits-{name}", loss=loss, options=options, **recipe)
    for name, (loss, options) in racers.items()
}
beside = side_by_side.objectives(list(runs.values()))
figure, caption = side_by_side.draw(beside)
lesson.show(figure, "images")
print("\n".join(beside["panels"][0]["words"]))
rows = {row["runs"][0].removeprefix("digits-"): row for row in beside["panels"][0]["rows"]}
exact = ("ce-orthonormal", "ce-mhe", "prototypes", "align-uniform-1", "align-uniform-3")
for name in exact:  # supcon is measured on a sample of batches
    assert min(line["excess"] for line in read_metrics(runs[name].path)) > -1e-6
light, heavy = rows["align-uniform-1"], rows["align-uniform-3"]
assert light["within_optimum"] < 0.9 < heavy["within_optimum"]
assert light["within"] < heavy["within"]
if not lesson.fast:
    assert abs(light["within"] - light["within_optimum"]) < 0.06
    assert heavy["collapsed"]
    assert not light["collapsed"]
lesson.replay("9e", "a" if light["collapsed"] else "b" if heavy["collapsed"] else "c")
left = {name: row["excess_left"] for name, row in rows.items()}
best = min(left, key=left.get)
lesson.replay("9f", dict(zip(runs, "abcdee", strict=True))[best])

# %% [markdown]
# **Answer:** read it off. A share of the excess compares a run with its own start and its own floor; that is all that
# it compares. The floor of `ce-orthonormal` belongs to the scale that it has learned, that of `supcon` to the output
# of its projection head, that of `prototypes` is 0; and a run can have hardly any excess left while its class means are
# far from a simplex, because the last degrees are worth so little to the loss.

# %%
scale = np.linalg.norm(read_geometry(runs["ce-orthonormal"].path, recipe["iterations"])["weights"], axis=1).mean()
bound = runs["ce-orthonormal"].result["bound"]
print(f"ce-orthonormal learned the scale {scale:.2f}")
print(f"its floor is {fixed_frame_floor(10, 1.0, scale):.3g} by exercise 9a and {bound:.3g} by the table")
assert np.isclose(fixed_frame_floor(10, 1.0, scale), bound, rtol=0.02)  # the scale is kept in few digits

# %% [markdown]
# ## A loss of your own
#
# A loss is one file with one `Objective`. This one is cross-entropy with a margin: the right class has to win by
# `margin`. It gets labels and logits and returns one value for each sample. Change it, and run on from here: keep
# `margin`, or replace it by an option of your own. (A loss of representations has `head="none"`; see
# `simplexlab objectives`.)

# %%
MY_LOSS = '''\
"""Cross-entropy in which the right class has to win by a margin."""

from keras import ops

from simplexlab.objectives import Objective, Option


def loss(labels, logits, margin):
    """−log softmax of the logits (b, K), the right one lowered by the margin: one value per sample, shape (b,)."""
    right = ops.one_hot(labels, logits.shape[1], dtype=logits.dtype)
    logits = logits - margin * right
    return ops.logsumexp(logits, axis=1) - ops.sum(right * logits, axis=1)


objective = Objective(
    name="my-loss", title="Mine", sentence="Cross-entropy with a margin.", loss=loss, colour="#CC79A7", marker="p",
    options=(Option(name="margin", default=1.0, help="Margin of the right class.", minimum=0.0),),
)
'''
file = lesson.folder / "my_loss.py"
file.write_text(MY_LOSS, encoding="utf-8")
objectives.allow(str(file))  # a file is executed only where its user has named it

# %% [markdown]
# Before any training: what is its least value? Go through the proof of lesson 3 with $m$ added to the scores of all
# wrong classes.
#
# **Exercise 9e** (medium, 8 minutes). The floor of cross-entropy with a margin $m$, for $\|z\| \le \rho$, a classifier
# of norm $\|W\|_F$ and $K$ equal classes.


# %%
def my_floor(num_classes, radius, frobenius, margin):
    """The least mean of −log(exp(s_y − m) / (exp(s_y − m) + Σ_k≠y exp(s_k))) over points with scores s = W·z."""
    return ...


lesson.check("9e", my_floor)

# %% [markdown]
# Free points tell whether that is the floor of what is in the file.

# %%
my_floor = lesson.own("9e")
margin = objectives.get(str(file)).resolve({}).get("margin", 0.0)
result, frame = ideal("mine", str(file))
told = my_floor(CLASSES, 1.0, np.sqrt(CLASSES), margin)  # the toy: points in the unit ball, ‖W‖_F = √K
is_floor = bool(np.isclose(result["final_loss"], told, rtol=1e-6))
print(f"free points reach {result['final_loss']:.8f}, the floor of exercise 9e is {told:.8f}")
if not is_floor:  # as the file comes, it is
    print("They differ: it is the floor of another loss, and no excess of yours is drawn below.")

# %% [markdown]
# Now the race: the five, `ce`, and yours, on the same images with the same recipe.

# %%
lesson.predict(
    "9g",
    "Which of these is first to fit the labels, up to one image of 1,400?",
    ["ce", "Hoffer's fixed rows", "yours", "none: two at the same evaluation, or nobody fits"],
)

# %%
runs["ce"] = lesson.train("digits-ce", loss="ce", **recipe)
runs["mine"] = lesson.train("digits-mine", loss=str(file), **recipe)
lines = {name: read_metrics(run.path) for name, run in runs.items()}
excess = {name: [line["excess"] for line in own] for name, own in lines.items()}
if is_floor:
    norms = [line["norms"]["maximum"] for line in lines["mine"]]
    frobenius = [
        np.linalg.norm(read_geometry(runs["mine"].path, step)["weights"].astype(float))
        for step in list_geometry(runs["mine"].path)
    ]
    floors = [my_floor(10, radius, norm, margin) for radius, norm in zip(norms, frobenius, strict=True)]
    excess["mine"] = [line["loss"] - floor for line, floor in zip(lines["mine"], floors, strict=True)]
    assert min(excess["mine"]) > -1e-6
figure = new_figure(11, 4.2, "The race: five roads, ce and yours")
errors, shares = figure.subplots(1, 2)
for name, own in lines.items():
    objective = objectives.get(str(file) if name == "mine" else racers.get(name, (name,))[0])
    style = {"color": objective.colour, "marker": objective.marker, "markersize": 5}
    if name == "align-uniform-3":
        style |= {"markerfacecolor": "white", "linewidth": 1}
    steps = [line["iteration"] for line in own]
    title = objective.title + {"align-uniform-1": ", a = 1", "align-uniform-3": ", a = 3"}.get(name, "")
    errors.plot(steps, [max(line["train_error"], 2e-4) for line in own], label=title, **style)
    if None not in excess[name]:
        shares.plot(steps, np.maximum(np.array(excess[name]) / excess[name][0], 1e-4), **style)
errors.axhline(recipe["tolerance"], label="tolerance: fitted", **THEORY_LINE)
errors.set(ylabel="training error (0: at the bottom)", yscale="log")
shares.set(ylabel="share of the excess left", yscale="log")
for axes in (errors, shares):
    axes.set(xlabel="iteration", xscale="log", xlim=(1, None))
figure.legend(loc="outside right center", fontsize="small")
lesson.show(figure, "race")
times = {name: run.result["time_to_fit"] for name, run in runs.items()}
for name, time in sorted(times.items(), key=lambda it: np.inf if it[1] is None else it[1]):
    share = None if excess[name][-1] is None else excess[name][-1] / excess[name][0]
    told = "no floor known" if share is None else f"{share:.2%} of its excess left"
    fitted = f"not fitted within {recipe['iterations']}" if time is None else f"fitted after {time}"
    print(f"{name:16s} {fitted}, {told}, test error {runs[name].result['test_error']:.1%}")
entrants = {"a": times["ce"], "b": times["ce-orthonormal"], "c": times["mine"]}
earliest = min((time for time in entrants.values() if time is not None), default=None)
ahead = [letter for letter, time in entrants.items() if time is not None and time == earliest]
lesson.replay("9g", ahead[0] if len(ahead) == 1 else "d")

# %% [markdown]
# **Answer:** read it off – and mind lesson 6: one seed, one schedule, one recipe, evaluations 20 iterations apart. What
# would you have to show before you call yours faster?

# %% [markdown]
# ## Explain it

# %%
lesson.explain("9.1")
lesson.explain("9.2")
lesson.explain("9.3")

# %%
earliest = min((time for time in times.values() if time is not None), default=None)
first = [name for name, time in times.items() if time is not None and time == earliest]
lesson.end(
    f"""Five losses on free points went to the same simplex. Five vectors in space cannot all be more than 90° apart:
    the largest cosine of the best five is {placed[5]:.3f}. With {CLASSES} classes of {POINTS} points alignment and
    uniformity collapse them from a weight of {threshold:.2f} on, the digits from {collapse_threshold(140, 10):.2f} on.
    On images {best} had the smallest share of its excess left, {left[best]:.2%}; first to fit:
    {", ".join(first) or "none"}.
    Try next: change my_loss.py, then simplexlab sweep --losses ce,my_loss.py --corruptions 0,0.4 and
    simplexlab figure objectives on its folder."""
)
