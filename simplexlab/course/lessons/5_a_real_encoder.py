# %% [markdown]
# # 5 · A real encoder
#
# Goal: train a network on real images with three losses, and find out how far it gets on the way to the simplex.
#
# You should know: lessons 1 to 4, what a convolutional network is.
#
# Minutes: 1.2 on two CPU cores (measured)
#
# On the command line: `simplexlab train --loss ce`, `simplexlab runs show RUN`, `simplexlab figure 7`
#
# Free points can go anywhere. An encoder has to get there by one map from images to representations. The images are
# scikit-learn's 1,797 handwritten digits of 8×8 pixels; 1,400 of them train, 140 of each class.

# %%
import numpy as np

from simplexlab import geometry, objectives
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.runs import list_geometry, read_geometry, read_metrics

lesson = Lesson(5)
settings = lesson.pick(
    {"encoder": "resnet-small", "width": 16, "iterations": 1000, "evaluate_every": 25},
    {"encoder": "mlp", "width": 16, "batch_size": 64, "iterations": 150, "evaluate_every": 15},
)
LOSSES = ("ce", "ce-fix", "sc")

# %% [markdown]
# ## Three runs
#
# - `ce`: cross-entropy, encoder and classifier trained together.
# - `ce-fix`: cross-entropy, the classifier frozen at a regular simplex; only the encoder learns.
# - `sc`: the supervised contrastive loss; there is no classifier at all.
#
# Open a second terminal and watch: `simplexlab tui --run-dir FOLDER`, with the folder that the lesson names at its end.

# %%
runs = {loss: lesson.train(loss, loss=loss, **settings) for loss in LOSSES}
for loss, run in runs.items():
    print(f"{loss:7s} train error {run.result['train_error']:.1%}   test error {run.result['test_error']:.1%}")
    assert run.status.state == "finished"
    assert run.result["test_error"] < 0.1

# %% [markdown]
# ## The schedule
#
# All three follow the schedule of the paper. It starts at a rate of 0.1 and is said to fall "exponentially"; the
# authors' code has $\eta_t = \eta_0\,(1 - t/T)^5$ for a run of $T$ iterations.

# %%
lesson.predict(
    "5a",
    "After 40 % of the iterations, which share of the learning rate is left?",
    ["60 %", "about a quarter", "less than a tenth"],
)

# %%
total = settings["iterations"]
lines = {loss: read_metrics(run.path) for loss, run in runs.items()}
steps = np.array([line["iteration"] for line in lines["ce"]])
share = np.array([line["learning_rate"] for line in lines["ce"]]) / 0.1
assert np.allclose(share, (1 - steps / total) ** 5, atol=1e-6)
left = share[np.argmin(np.abs(steps - 0.4 * total))]
done = np.cumsum((1 - np.arange(total) / total) ** 5)
half = int(np.argmax(done >= done[-1] / 2))
figure = new_figure(6, 3.2, "The learning rate, as a share of the first")
axes = figure.subplots()
axes.plot(np.arange(total), (1 - np.arange(total) / total) ** 5, label="theory: (1 − t/T)⁵", **THEORY_LINE)
axes.plot(steps, share, "o", color=CLASS_COLORS[0], label="recorded")
axes.axvline(half, color=CLASS_COLORS[1], label="half of all rate is spent")
axes.set(xlabel="iteration", ylabel="share of the rate")
axes.legend()
lesson.show(figure, "schedule")
print(
    f"at 40 %: {left:.1%} left; half of Σ η_t is spent after {half} of {total} iterations; Σ η_t/η_0 = {done[-1]:.0f}"
)
assert abs(0.6**5 - 0.078) < 1e-3
assert half < 0.12 * total
assert abs(done[-1] / (total / 6) - 1) < 0.03
lesson.replay("5a", "c" if left < 0.1 else "b" if left < 0.4 else "a")

# %% [markdown]
# **Answer:** 7.8 %. The whole run has as much learning rate as $T/6$ iterations at the full rate, and half of it is
# gone after a ninth of the time. Where curves below are flat, ask whether all has converged or nothing may move any
# more. Lesson 6 comes back to that.

# %% [markdown]
# ## Loss against bound
#
# The bound belongs to the run: for cross-entropy it is Theorem 1 with the *largest* norm of a representation and the
# weights of *this* evaluation, so it moves. For `sc` it is Theorem 2 and does not move.

# %%
lesson.predict(
    "5b",
    "Which of the three losses gets closest to its bound, as a factor?",
    ["ce", "ce-fix", "sc"],
)
lesson.predict(
    "5c",
    "And the bound of ce itself, from the first evaluation on:",
    ["falls to the end, because norms grow", "falls, then rises again", "hardly moves"],
)

# %%
figure = new_figure(11, 3.8, "Loss against its bound")
panels = figure.subplots(1, 4)
for axes, loss in zip(panels, LOSSES, strict=False):
    axes.plot(steps, [line["loss"] for line in lines[loss]], color=lesson.color(loss), label="loss")
    axes.plot(steps, [line["bound"] for line in lines[loss]], label="theory: bound", **THEORY_LINE)
    axes.set(title=loss, xlabel="iteration", yscale="linear" if objectives.get(loss).sphere else "log")
    axes.legend(fontsize="small")
    assert all(line["imbalance"] == 0 for line in lines[loss])  # balanced labels: the theorems hold
    if not objectives.get(loss).sphere:  # the loss of sc is an estimate from a sample of batches
        assert all(line["loss"] >= line["bound"] for line in lines[loss])
for loss in (loss for loss in LOSSES if not objectives.get(loss).sphere):
    norms = [line["norms"]["maximum"] for line in lines[loss]]
    panels[3].plot(steps, norms, color=lesson.color(loss), label=loss)
panels[3].set(title="largest norm", xlabel="iteration", ylim=(0, None))
panels[3].legend(fontsize="small")
panels[0].set_ylabel("nats")
lesson.show(figure, "bounds")
factor = {loss: run.result["final_loss"] / run.result["bound"] for loss, run in runs.items()}
print({loss: f"{value:.3g} times its bound" for loss, value in factor.items()})
assert factor["sc"] < min(factor["ce"], factor["ce-fix"])
bounds = np.array([line["bound"] for line in lines["ce"]])
print(
    f"bound of ce: {bounds[0]:.2g} at first, least {bounds.min():.1e} after {steps[bounds.argmin()]}, "
    f"{bounds[-1]:.1e} at the end"
)
assert bounds[-1] < bounds[0] / 1000
rises = bounds[-1] > 10 * bounds.min()
if not lesson.fast:
    assert 1e6 < factor["ce"] < 1e9
    assert rises
    assert steps[bounds.argmin()] <= 100
lesson.replay("5b", "abc"[int(np.argmin(list(factor.values())))])
lesson.replay("5c", "b" if rises else "a")

# %% [markdown]
# **Answer:** `sc`, but beware: its bound is a large number, most of it the unavoidable $\log$ of the batch size, so a
# factor near 1 comes easily. The bound of `ce` depends on norms exponentially. In the first steps the norms shoot up
# and the bound falls by many orders of magnitude; then the *longest* representation gets shorter again and the bound
# rises. Points that are shorter than the longest, or a little off their direction, cost a large factor: millions.
# Look at the geometry before you call a loss good or bad.

# %% [markdown]
# **Exercise 5a** (easy, 4 minutes). Class means.
#
# **Exercise 5b** (easy, 4 minutes). The classifier from class means: the class whose (uncentred) mean has the largest
# inner product with the representation.


# %%
def class_means(representations, labels):
    """Mean of each class, shape (K, h), from representations (N, h) and labels 0 … K−1 (N,)."""
    return ...


def classify(representations, means):
    """The predicted labels (N,), whole numbers."""
    return ...


lesson.check("5a", class_means)
lesson.check("5b", classify)

# %% [markdown]
# `sc` has no classifier of its own, and its class means serve as one. How well does the same trick work for the
# others?

# %%
for loss, run in runs.items():
    own = run.result.get("test_error_head")
    line = "no head  " if own is None else f"head {own:.1%}"
    print(f"{loss:7s} test error: {line}   class means {run.result['test_error_class_means']:.1%}")
    assert run.result["test_error_class_means"] < 0.1
assert "test_error_head" not in runs["sc"].result

# %% [markdown]
# ## The geometry: Fig. 7 of the paper
#
# Three distributions of the angular similarity $\gamma$: between class means, between the weights of the classifier,
# and between each representation and its class mean. At the simplex of 10 classes the first two are all 0.4646 and the
# third is 1. The encoder ends in a ReLU.

# %%
lesson.predict(
    "5d",
    "Where do the similarities between class means lie?",
    ["below 0.4646", "on both sides of it, around it", "all above it"],
)
lesson.predict(
    "5e",
    "Which loss brings its class means nearest to the simplex?",
    ["ce", "ce-fix", "sc"],
)

# %%
titles = {
    "class_mean_similarity": "γ between class means",
    "weight_similarity": "γ between weights",
    "within_class_similarity": "γ within classes",
}
optima = geometry.optimum(10)
figure = new_figure(11, 3.8, "Angular similarities at the end (box: half of the pairs or points)")
for axes, (key, title) in zip(figure.subplots(1, 3), titles.items(), strict=True):
    for place, loss in enumerate(LOSSES):
        spread, color = runs[loss].result[key], lesson.color(loss)
        if spread is not None:  # sc has no weights
            ends = {"whislo": spread["q05"], "q1": spread["q25"], "med": spread["q50"], "q3": spread["q75"]}
            lines_of_box = {
                f"{part}props": {"color": color, "linewidth": 2} for part in ("median", "whisker", "cap", "box")
            }
            box = {**ends, "whishi": spread["q95"], "fliers": []}
            axes.bxp([box], positions=[place], widths=0.5, **lines_of_box)
        else:
            axes.text(place, 0.02, "none", ha="center", color=color, transform=axes.get_xaxis_transform())
    axes.axhline(optima[key], label="theory: simplex", **THEORY_LINE)
    if key == "class_mean_similarity":
        axes.axhline(0.5, label="theory: ReLU floor", **THEORY_LINE | {"linestyle": ":"})
        axes.legend(fontsize="small")
    axes.set(title=title, xticks=range(3), xlim=(-0.6, 2.6))
    axes.set_xticklabels(LOSSES)
lesson.show(figure, "distributions")
mean_similarity, worst = {}, {}
for loss, run in runs.items():
    between, within = run.result["class_mean_similarity"], run.result["within_class_similarity"]
    mean_similarity[loss], worst[loss] = between["mean"], between["maximum"]
    print(
        f"{loss:7s} γ between class means {between['minimum']:.3f} to {between['maximum']:.3f}, "
        f"mean {between['mean']:.3f};"
        f" within classes {within['mean']:.3f}"
    )
    assert between["minimum"] >= geometry.ORTHOGONAL_SIMILARITY > geometry.simplex_similarity(10)
    assert within["mean"] > 0.85
fixed = runs["ce-fix"].result["weight_similarity"]
assert abs(fixed["minimum"] - geometry.simplex_similarity(10)) < 1e-5
assert abs(fixed["maximum"] - geometry.simplex_similarity(10)) < 1e-5
order = sorted(LOSSES, key=mean_similarity.get)
print(f"from near to far: {', '.join(order)}; on CIFAR10 the paper has sc before ce-fix and ce")
if lesson.fast:
    print("(--fast trains a small perceptron for 150 steps: its order is not that of a trained network)")
else:
    assert order == ["sc", "ce-fix", "ce"]
lesson.replay("5d", "c")
lesson.replay("5e", "abc"[LOSSES.index(order[0])])

# %% [markdown]
# **Answer:** above. Representations of a ReLU encoder are never negative, so no two class means can be more than 90°
# apart: $\gamma \ge 0.5$. Lesson 7 takes this wall away. The weights may be negative; those of `ce-fix` are a simplex
# by construction. `sc` comes nearest, as in the paper.

# %% [markdown]
# **Exercise 5c** (medium, 6 minutes). The angular similarity of two vectors, any two but 0.


# %%
def angular_similarity(x, y):
    """γ(x, y) = 1 − arccos(cos(x, y)) / π."""
    return ...


lesson.check("5c", angular_similarity)

# %% [markdown]
# ## Collapse
#
# *Neural collapse* has four parts, each a number that goes to 0: NC1, points fall onto their class mean; NC2, the
# centred class means become a simplex; NC3, weights align with them; NC4, the classifier acts like the nearest class
# mean.
#
# "Which comes first" needs a measure. NC1 falls by a larger factor, but that says nothing of *when*. Take how much of
# its way, from the first value to the last, each number has gone; and when it has gone 90 % of it.

# %%
lesson.predict(
    "5f",
    "Which has gone 90 % of its way first: points gathering in their class (NC1), or class means taking places (NC2)?",
    ["NC1", "NC2", "both at the same evaluation"],
)


# %%
def ninety(values, steps):
    """First iteration from which on a number has gone 90 % of its way."""
    way = (values[0] - values) / (values[0] - values[-1])
    behind = np.flatnonzero(way < 0.9)
    return int(steps[behind[-1] + 1])


figure = new_figure(9, 3.8, "Collapse while the encoder trains (optimum: 0)")
when = {}
titles = {"nc1": "NC1: spread within classes", "nc2": "NC2: class means to a simplex"}
for axes, (key, title) in zip(figure.subplots(1, 2), titles.items(), strict=True):
    for loss in LOSSES:
        values = np.array([line[key] for line in lines[loss]])
        when[loss, key] = ninety(values, steps), ninety(np.log(values), steps)
        axes.plot(steps, values, color=lesson.color(loss), label=loss)
        axes.plot(when[loss, key][0], values[steps == when[loss, key][0]], "o", color=lesson.color(loss))
        assert values[-1] < values[0]
    axes.set(title=f"{title} (dot: 90 %)", xlabel="iteration", yscale="log")
    axes.legend()
lesson.show(figure, "collapse")
for loss in LOSSES:
    (first, first_log), (second, second_log) = when[loss, "nc1"], when[loss, "nc2"]
    print(
        f"{loss:7s} 90 % of the way: NC1 after {first}, NC2 after {second}; in logarithms {first_log} and {second_log}"
    )
earlier = [when[loss, "nc1"][0] < when[loss, "nc2"][0] for loss in LOSSES]
later = [when[loss, "nc1"][0] > when[loss, "nc2"][0] for loss in LOSSES]
if not lesson.fast:
    assert all(earlier)
lesson.replay("5f", "a" if all(earlier) else "b" if all(later) else "c")

# %% [markdown]
# **Answer:** NC1. Getting a digit near its class mean is what fits the labels; moving the last class means apart
# changes the loss little. In logarithms the two are closer together: "first" depends on the measure, and on a
# schedule that soon lets nothing move.

# %% [markdown]
# The class means themselves are in the run folder, with a sample of representations, for every evaluation.

# %%
final = list_geometry(runs["sc"].path)[-1]
frame = read_geometry(runs["sc"].path, final)
means = frame["class_means"].astype(float)
cosines = means @ means.T / np.outer(np.linalg.norm(means, axis=1), np.linalg.norm(means, axis=1))
figure = new_figure(6.4, 4.8, "sc: cosines of the class means, digits 0 to 9")
axes = figure.subplots()
image = axes.imshow(cosines, vmin=-1, vmax=1, cmap="PuOr_r")
axes.set(xticks=range(10), yticks=range(10), title=f"theory: simplex {-1 / 9:.2f}, orthogonal frame 0")
figure.colorbar(image, label="cosine")
lesson.show(figure, "class_means")
assert cosines.min() > -1e-6
pairs = [(cosines[i, j], i, j) for i in range(10) for j in range(i)]
nearest = max(pairs)
print(f"the nearest two classes: {nearest[2]} and {nearest[1]}, cosine {nearest[0]:.2f}")

# %% [markdown]
# **Exercise 5d** (medium, 8 minutes). The excess of a run with cross-entropy: its loss minus Theorem 1, with $\rho$
# the *largest* norm of a representation. `theory.ce_loss` helps (`from simplexlab import theory`), and so does your
# floor of lesson 3.

# %%
floor_by_frobenius = lesson.own("3a")


def excess(representations, labels, weights):
    """Cross-entropy of representations (N, h) and weights (K, h), minus the bound of Theorem 1."""
    return ...


lesson.check("5d", excess)

# %% [markdown]
# ## Explain it

# %%
lesson.explain("5.1")
lesson.explain("5.2")
lesson.explain("5.3")

# %%
ce, sc = runs["ce"].result, runs["sc"].result
lesson.end(
    f"""Trained on digits, ce ended with a test error of {ce["test_error"]:.1%} at {factor["ce"]:.3g} times its bound,
    and sc with {sc["test_error"]:.1%} at {factor["sc"]:.3f} times. Class means are
    {ce["class_mean_similarity"]["mean"]:.3f} (ce) and {sc["class_mean_similarity"]["mean"]:.3f} (sc) similar, where the
    simplex has 0.465 and the ReLU allows no less than 0.5. Points within a class are
    {ce["within_class_similarity"]["mean"]:.3f} and {sc["within_class_similarity"]["mean"]:.3f} similar to their mean,
    where 1 is collapse.
    Try next: simplexlab train --loss sc --schedule constant, and see which of these numbers still move."""
)
