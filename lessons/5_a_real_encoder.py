# %% [markdown]
# # 5 · A real encoder
#
# Goal: train a network on real images with three losses, and see how far it gets on the way to the simplex.
#
# You should know: lessons 1 to 4, what a convolutional network is.
#
# Minutes: 0.8 on two CPU cores (measured)
#
# On the command line: `simplexlab train --loss ce`, `simplexlab runs show RUN`, `simplexlab figure 7`
#
# Free points can go anywhere. An encoder has to get there by one map from images to representations. The images are
# scikit-learn's 1,797 handwritten digits of 8×8 pixels; 1,400 of them train, 140 of each class.

# %%
import numpy as np

from simplexlab import geometry
from simplexlab.course import Lesson
from simplexlab.figures import distributions
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.runs import list_geometry, read_geometry, read_metrics

lesson = Lesson(5)
settings = lesson.pick(
    {"encoder": "resnet-small", "width": 16, "iterations": 1000, "evaluate_every": 50},
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
# Open a second terminal and watch: `simplexlab tui --run-dir lessons/output/5/runs`.

# %%
runs = {loss: lesson.train(loss, loss=loss, **settings) for loss in LOSSES}
for loss, run in runs.items():
    print(f"{loss:7s} train error {run.result['train_error']:.1%}   test error {run.result['test_error']:.1%}")
    assert run.status.state == "finished"
    assert run.result["test_error"] < 0.1

# %% [markdown]
# ## Loss against bound
#
# The bound belongs to the run: for cross-entropy it is Theorem 1 with the norms of *this* encoder and *these*
# weights, so it moves while they grow. For `sc` it is Theorem 2 and does not move.
#
# **Predict:** which of the three losses gets closest to its bound, as a factor? Does the bound of `ce` rise or fall?

# %%
figure = new_figure(10, 3.6, "Loss against its bound")
for axes, (loss, run) in zip(figure.subplots(1, 3), runs.items(), strict=True):
    lines = read_metrics(run.path)[1:]  # the first one is the untrained network
    steps = [line["iteration"] for line in lines]
    axes.plot(steps, [line["loss"] for line in lines], color=CLASS_COLORS[0], label="loss")
    axes.plot(steps, [line["bound"] for line in lines], label="theory: simplex", **THEORY_LINE)
    if loss == "sc":
        axes.plot(steps, [line["frame_bound"] for line in lines], ":", color=CLASS_COLORS[1], label="orthogonal frame")
    axes.set(title=loss, xlabel="iteration", yscale="linear" if loss == "sc" else "log")
    axes.legend(fontsize="small")
    assert all(line["imbalance"] == 0 for line in lines)  # balanced labels: the theorems hold
    if loss != "sc":  # the loss of sc is an estimate from a sample of batches
        assert all(line["loss"] >= line["bound"] for line in lines)
figure.axes[0].set_ylabel("nats")
lesson.show(figure, "bounds")
factor = {loss: run.result["final_loss"] / run.result["bound"] for loss, run in runs.items()}
print({loss: f"{value:.3g} times its bound" for loss, value in factor.items()})
assert factor["sc"] < min(factor["ce"], factor["ce-fix"])
bounds = [line["bound"] for line in read_metrics(runs["ce"].path)]
assert bounds[-1] < bounds[0] / 1000

# %% [markdown]
# **Answer:** `sc`, but beware: its bound is a large number, most of it the unavoidable $\log$ of the batch size, so a
# factor near 1 comes easily. The bound of `ce` falls by orders of magnitude, because it depends on the norms
# exponentially. So points that are shorter than the longest, or a little off their direction, cost a large factor.
# Look at the geometry before you call a loss good or bad.
#
# **Exercise 5a** (2 to 4 lines). Class means.
#
# **Exercise 5b** (1 line). The classifier from class means: the class whose (uncentred) mean has the largest inner
# product with the representation.


# %%
def class_means(representations, labels):
    """Mean of each class, shape (K, h), from representations (N, h) and labels 0 … K−1 (N,)."""
    return ...


def classify(representations, means):
    """The predicted labels (N,)."""
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
# and between each representation and its class mean.
#
# **Predict:** at the simplex of 10 classes the first two are all 0.4646 and the third is 1. The encoder ends in a
# ReLU. On which side of 0.4646 will the class means be?

# %%
figure, _ = distributions.draw(distributions.distributions(list(runs.values())))
lesson.show(figure, "distributions")
for loss, run in runs.items():
    between, within = run.result["class_mean_similarity"], run.result["within_class_similarity"]
    print(f"{loss:7s} γ between class means {between['mean']:.3f}, within classes {within['mean']:.3f}")
    assert between["minimum"] >= geometry.ORTHOGONAL_SIMILARITY > geometry.simplex_similarity(10)
    assert within["mean"] > 0.85
fixed = runs["ce-fix"].result["weight_similarity"]
assert abs(fixed["minimum"] - geometry.simplex_similarity(10)) < 1e-5
assert abs(fixed["maximum"] - geometry.simplex_similarity(10)) < 1e-5

# %% [markdown]
# **Answer:** above. Representations of a ReLU encoder are never negative, so no two class means can be more than 90°
# apart: $\gamma \ge 0.5$. Lesson 7 takes this wall away. The weights may be negative; those of `ce-fix` are a simplex
# by construction.
#
# **Exercise 5c** (2 lines). The angular similarity of two vectors.


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
# **Predict:** which comes first: points gathering within their class (NC1), or class means taking their places (NC2)?

# %%
figure = new_figure(9, 3.6, "Collapse while the encoder trains (optimum: 0)")
first = {}
for axes, (key, title) in zip(
    figure.subplots(1, 2),
    {"nc1": "NC1: spread within classes", "nc2": "NC2: class means to a simplex"}.items(),
    strict=True,
):
    for index, (loss, run) in enumerate(runs.items()):
        lines = read_metrics(run.path)
        axes.plot(
            [line["iteration"] for line in lines],
            [line[key] for line in lines],
            color=CLASS_COLORS[index],
            label=loss,
        )
        first[loss, key] = lines[-1][key] / lines[0][key]
        assert lines[-1][key] < lines[0][key]
    axes.axhline(0, **THEORY_LINE)
    axes.set(title=title, xlabel="iteration")
    axes.legend()
figure.axes[0].set_yscale("log")
lesson.show(figure, "collapse")
assert all(first[loss, "nc1"] < first[loss, "nc2"] for loss in LOSSES)

# %% [markdown]
# **Answer:** NC1 falls by far the larger factor. Getting a digit near its class mean is what fits the labels; moving
# the last class means apart changes the loss little.
#
# The class means themselves are in the run folder, with a sample of representations, for every evaluation.

# %%
final = list_geometry(runs["sc"].path)[-1]
frame = read_geometry(runs["sc"].path, final)
means = frame["class_means"].astype(float)
cosines = means @ means.T / np.outer(np.linalg.norm(means, axis=1), np.linalg.norm(means, axis=1))
figure = new_figure(6.4, 4.4, "sc: cosines of the class means, digits 0 to 9")
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
# **Exercise 5d** (3 lines). The excess of a run with cross-entropy: its loss minus Theorem 1, with $\rho$ the
# *largest* norm of a representation. `theory.ce_loss` and `theory.ce_bound_frobenius` help (`from simplexlab import
# theory`).


# %%
def excess(representations, labels, weights):
    """Cross-entropy of representations (N, h) and weights (K, h), minus the bound of Theorem 1."""
    return ...


lesson.check("5d", excess)

# %%
ce, sc = runs["ce"].result, runs["sc"].result
lesson.end(
    f"""Trained on digits, ce ended with a test error of {ce["test_error"]:.1%} at {factor["ce"]:.3g} times its bound,
    and sc with {sc["test_error"]:.1%} at {factor["sc"]:.3f} times. Class means are
    {ce["class_mean_similarity"]["mean"]:.3f} (ce) and {sc["class_mean_similarity"]["mean"]:.3f} (sc) similar, where the
    simplex has 0.465 and the ReLU allows no less than 0.5. Points within a class are
    {ce["within_class_similarity"]["mean"]:.3f} and {sc["within_class_similarity"]["mean"]:.3f} similar to their mean,
    where 1 is collapse.
    Try next: simplexlab train --loss sc --iterations 5000, and see which of these numbers still move."""
)
