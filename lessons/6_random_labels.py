# %% [markdown]
# # 6 · Random labels
#
# Goal: measure how long each loss takes to fit labels that are partly wrong, and understand why sc takes longest.
#
# You should know: lesson 5.
#
# Minutes: 6 on two CPU cores (measured)
#
# On the command line: `simplexlab sweep --preset class`, `simplexlab figure 8 SWEEP`
#
# A network can fit labels that are pure noise (Zhang et al. 2017). The two losses share their optimum, so if they
# differ, it is in the way there. The paper's experiment: flip a share of the labels, and count the iterations until
# the train error on the *flipped* labels is 0 – the *time to fit*.

# %%
import numpy as np

from simplexlab.course import Lesson
from simplexlab.data import corrupt_labels, load
from simplexlab.figures import time_to_fit as figure_8
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.runs import read_metrics
from simplexlab.sweep.curves import time_to_fit

lesson = Lesson(6)
LOSSES = lesson.pick(("ce", "ce-fix", "sc"), ("ce", "sc"))
corruptions = lesson.pick((0.0, 0.2, 0.4, 0.6, 0.8), (0.0, 0.3, 0.6))

# %% [markdown]
# ## Flipped labels
#
# `--corrupt p` moves exactly $\lfloor pN \rfloor$ labels, each to a different class drawn uniformly. Every loss sees
# the same flipped labels, because they depend on the seed alone.
#
# **Exercise 6a** (1 or 2 lines). How many labels are moved? Beware of `0.29 * 100`.
#
# **Exercise 6b** (1 line). At which $p$ do the labels carry no information on the images at all? (Not at 1!)


# %%
def moved_labels(num_labels, fraction):
    """⌊pN⌋ as an int, also where the product is a rounding error below a whole number."""
    return ...


def pure_noise(num_classes):
    """The fraction p at which every class is as likely as any other, whatever the image."""
    return ...


lesson.check("6a", moved_labels)
lesson.check("6b", pure_noise)

# %% [markdown]
# ## Wrong labels and wrong pairs
#
# Cross-entropy asks each point to go to its label: at corruption $p$, a share $1-p$ of these requests makes sense.
# The contrastive loss asks each *pair* of points with the same label to come together. Such a pair makes sense if the
# two images really are of one class.
#
# **Predict:** at $p = 0.5$, half of the points ask for the right thing. What share of the pairs does?

# %%
true = load("digits").y_train
levels = np.linspace(0, 0.9, 10)
right_points, right_pairs = [], []
for level in levels:
    given, _ = corrupt_labels(true, level, "flip", seed=0)
    table = np.zeros((10, 10))
    np.add.at(table, (given, true), 1)  # how many points have this given and this true label
    given_pairs = np.sum(table.sum(axis=1) * (table.sum(axis=1) - 1))
    right_points.append(np.mean(given == true))
    right_pairs.append(np.sum(table * (table - 1)) / given_pairs)
smooth = np.linspace(0, 0.9, 100)
figure = new_figure(6, 3.6, "What makes sense after corruption")
axes = figure.subplots()
axes.plot(smooth, 1 - smooth, label="theory: points, 1 − p", **THEORY_LINE | {"linestyle": ":"})
axes.plot(smooth, (1 - smooth) ** 2 + smooth**2 / 9, label="theory: pairs, (1−p)² + p²/(K−1)", **THEORY_LINE)
axes.plot(levels, right_points, "o", color=CLASS_COLORS[0], label="points with their true label")
axes.plot(levels, right_pairs, "s", color=CLASS_COLORS[1], label="pairs of one true class")
axes.set(xlabel="corruption p", ylabel="share", ylim=(0, 1.02))
axes.legend()
lesson.show(figure, "pairs")
assert np.allclose(right_points, 1 - levels, atol=1e-3)
assert np.allclose(right_pairs, (1 - levels) ** 2 + levels**2 / 9, atol=0.02)

# %% [markdown]
# **Answer:** about 28 %. The share of sensible pairs falls with the *square*. The paper argues that this is why the
# time to fit of SC grows faster than linearly: the number of attraction terms grows quadratically with the points of
# a class.
#
# **Exercise 6c** (2 lines). The share of right pairs for $K$ classes: a point with given label $y$ is truly of class
# $y$ with probability $1-p$, and of each other class with probability $p/(K-1)$.


# %%
def right_pair_share(fraction, num_classes):
    """Probability that two points with the same given label have the same true label."""
    return ...


lesson.check("6c", right_pair_share)

# %% [markdown]
# ## Time to fit
#
# One run for each loss and corruption, each evaluated often. The fit of `ce` and `ce-fix` is judged by their own
# head, that of `sc` by its class means. A run that never fits is *censored*: we know only that its time is longer
# than the run. Leaving such runs out would make SC look better than it is.
#
# **Predict:** draw the curves of `ce` and `sc` on paper before you run the cell. Linear? Steeper? Is there a
# corruption at which `sc` no longer fits?

# %%
settings = lesson.pick(
    {"batch_size": 128, "iterations": 2000, "evaluate_every": 20, "tolerance": 0.001},
    {"batch_size": 64, "iterations": 200, "evaluate_every": 10, "tolerance": 0.005, "schedule": "constant"},
)  # the tolerance is one image
settings |= {"encoder": "resnet-small", "width": 8}
if lesson.fast:  # 200 images, so that a minute is enough
    digits = load("digits")
    rows = np.concatenate([np.flatnonzero(digits.y_train == label)[:20] for label in range(10)])
    lesson.folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        lesson.folder / "few.npz",
        x_train=digits.x_train[rows], y_train=digits.y_train[rows], x_test=digits.x_test, y_test=digits.y_test,
    )  # fmt: skip
    settings["dataset"] = str(lesson.folder / "few.npz")
runs = {
    (loss, level): lesson.train(f"{loss}-{level:g}", loss=loss, corrupt=level, **settings)
    for level in corruptions
    for loss in LOSSES
}

# %%
numbers = time_to_fit(list(runs.values()))
figure, _ = figure_8.draw(numbers)
lesson.show(figure, "time_to_fit")
total = settings["iterations"]
times = {key: run.result["time_to_fit"] for key, run in runs.items()}
for loss in LOSSES:
    row = [f"> {total}" if times[loss, level] is None else f"{times[loss, level]}" for level in corruptions]
    print(f"{loss:7s}", "  ".join(f"{level:.0%}: {word}" for level, word in zip(corruptions, row, strict=True)))
at_least = {key: total if time is None else time for key, time in times.items()}
assert times["ce", 0.0] is not None
assert times["sc", 0.0] is not None
growth = {loss: at_least[loss, corruptions[-1]] / at_least[loss, 0.0] for loss in LOSSES}
assert at_least["sc", corruptions[-1]] > at_least["ce", corruptions[-1]]

# %% [markdown]
# **Answer:** more wrong labels take longer for every loss, and at the highest corruption `sc` takes longest, or does
# not fit at all (an arrow: censored). How clear the growth *exponents* of the legend are depends on the number of
# runs: one seed gives wide intervals. `simplexlab sweep --preset class` takes three seeds.
#
# **Exercise 6d** (3 to 5 lines). The time to fit from a list of evaluations: the first iteration whose train error is
# at most the tolerance, or `None` if the run is censored.


# %%
def first_fit(iterations, errors, tolerance):
    """First iteration with error ≤ tolerance, or None."""
    return ...


lesson.check("6d", first_fit)

# %% [markdown]
# ## Does the order depend on how "fitted" is judged?
#
# "Zero training error" hides two choices: how many wrong points are let pass, and which classifier judges. Each run
# has recorded the train error of its class means as well, so that nothing needs to be run again.
#
# **Predict:** judged by class means, does `ce` fit earlier or later than by its own head?


# %%
def time_by(run, key, tolerance):
    """Time to fit of a run by one of its recorded train errors, infinite where censored."""
    fitted = [line["iteration"] for line in read_metrics(run.path) if line[key] <= tolerance]
    return min(fitted, default=np.inf)


judges = {
    "own judge, one image": ("train_error", settings["tolerance"]),
    "own judge, 1 %": ("train_error", 0.01),
    "own judge, 5 %": ("train_error", 0.05),
    "class means, 1 %": ("train_error_class_means", 0.01),
    "class means, 5 %": ("train_error_class_means", 0.05),
}
figure = new_figure(9, 3.8, "Time to fit by five judges")
orders = {}
for axes, level in zip(figure.subplots(1, 2, sharey=True), (0.0, corruptions[-1]), strict=True):
    for index, loss in enumerate(LOSSES):
        found = np.array([time_by(runs[loss, level], *judge) for judge in judges.values()])
        places = np.arange(len(judges)) + 0.15 * (index - 1)
        axes.plot(np.where(np.isfinite(found), found, np.nan), places, "o", color=CLASS_COLORS[index], label=loss)
        axes.plot(np.where(np.isfinite(found), np.nan, total), places, ">", color=CLASS_COLORS[index])
        orders[loss, level] = found
    axes.axvline(total, color="#BBBBBB", linewidth=1)
    axes.set(title=f"{level:.0%} flipped (arrow: never)", xlabel="iterations", xlim=(0, 1.05 * total))
    axes.set_yticks(range(len(judges)))
    axes.set_yticklabels(judges)
figure.axes[0].legend(loc="upper right")
lesson.show(figure, "judges")
for found in orders.values():
    assert found[0] >= found[1] >= found[2]  # who lets more pass is content earlier
    assert found[3] >= found[4]
level = corruptions[-1]
slower = orders["sc", level] > orders["ce", level]
print(f"sc is slower than ce at {level:.0%} by {slower.sum()} of {len(judges)} judges")
ce_by_means = orders["ce", level][3] >= orders["ce", level][1]
print(f"ce by class means at 1 %: {'not earlier' if ce_by_means else 'earlier'} than by its head")

# %% [markdown]
# **Answer:** read it off your own picture; the lines above say it in words. A comparison of losses is worth as much
# as the sentence that says how it was judged.

# %%
told = {loss: f"more than {total}" if times[loss, level] is None else times[loss, level] for loss in LOSSES}
lesson.end(
    f"""At {level:.0%} flipped labels ce took {told["ce"]} iterations to fit and sc {told["sc"]}, after
    {at_least["ce", 0.0]} and {at_least["sc", 0.0]} with clean labels. That is a factor of {growth["ce"]:.1f} against
    {"at least " if times["sc", level] is None else ""}{growth["sc"]:.1f}, while the share of pairs that make sense fell
    to {(1 - level) ** 2 + level**2 / 9:.0%}. By {slower.sum()} of {len(judges)} judges sc is the slower one.
    Try next: simplexlab sweep --preset class, then simplexlab figure 8 on its folder; watch the curve fill in with
    simplexlab tui."""
)
