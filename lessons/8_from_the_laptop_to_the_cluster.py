# %% [markdown]
# # 8 · From the laptop to the cluster
#
# Goal: run the same experiment on two replicas and two workers with the same numbers, and read a full CIFAR report.
#
# You should know: lessons 4 and 5.
#
# Minutes: 0.6 on two CPU cores (measured)
#
# On the command line: `simplexlab train --devices cpu:2`, `simplexlab launch --workers 2 -- train --loss sc`,
# `simplexlab train --devices gpu:0`, `simplexlab report SWEEP`
#
# Several devices share the work of one step: each *replica* takes its share of the batch, and their gradients are
# added. For cross-entropy that is all there is to it. For the contrastive loss it is not.

# %%
import shutil

import numpy as np

from simplexlab import theory
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.runs import list_geometry, read_geometry, read_metrics, read_run
from simplexlab.toy import batch_loss_and_gradient

lesson = Lesson(8)

# %% [markdown]
# ## One run, three ways
#
# The same 64 images a step, drawn from the seed and the step number alone, so that every replica can pick its share
# without being told: on one device; on two replicas in one process (`cpu:2` stands for two GPUs); by two worker
# processes, each of which could be on another machine. Double precision, so that rounding does not blur the
# comparison.
#
# **Exercise 8a** (2 lines). Replica $r$ of $R$ takes an equal share of the batch, in order. From which position to
# which?


# %%
def share_of_replica(batch_size, replicas, replica):
    """(first, stop): the replica takes positions first … stop − 1 of the batch."""
    return ...


lesson.check("8a", share_of_replica)

# %%
iterations, every = lesson.pick((200, 10), (12, 3))
options = ["--loss", "sc", "--encoder", "mlp", "--width", "8", "--batch-size", "64", "--precision", "float64"]
options += ["--iterations", str(iterations), "--evaluate-every", str(every), "--run-dir", lesson.run_dir]
lesson.command("train", *options, "--devices", "cpu", "--name", "one-device")
lesson.command("train", *options, "--devices", "cpu:2", "--name", "two-replicas")
lesson.command("launch", "--workers", "2", "--", "train", *options, "--devices", "cpu", "--name", "two-workers")
names = ["one-device", "two-replicas", "two-workers"]
if shutil.which("nvidia-smi"):
    lesson.command("train", *options, "--devices", "gpu:0", "--name", "gpu")
    names.append("gpu")
else:
    print("There is no GPU here; with one, --devices gpu:0 would be the fourth curve.")

# %% [markdown]
# **Predict:** the loss curves of the three runs: equal to two digits, to six, or to the last one?

# %%
curves = {}
figure = new_figure(7, 3.6, "The same run on one device, two replicas, two workers")
axes = figure.subplots()
for index, name in enumerate(names):
    run = read_run(lesson.folder / "runs" / name)
    lines = read_metrics(run.path)
    curves[name] = np.array([line["loss"] for line in lines])
    steps = [line["iteration"] for line in lines]
    axes.plot(steps, curves[name], "os^v"[index], markersize=16 - 4 * index, color=CLASS_COLORS[index], label=name)
    assert run.status.state == "finished"
axes.axhline(lines[-1]["bound"], label="theory: Theorem 2", **THEORY_LINE)
axes.set(xlabel="iteration", ylabel="sc loss of a batch (nats)")
axes.legend()
lesson.show(figure, "replicas")
differences = {name: np.max(np.abs(curves[name] / curves["one-device"] - 1)) for name in names[1:3]}
for name, difference in differences.items():
    print(f"{name}: at most {difference:.1e} away from one device, relative")
    assert difference < 1e-6

# %% [markdown]
# **Answer:** to six digits and far more. At most the order of additions differs. In single precision such differences
# grow with the steps, as they do in any training.
#
# ## What must be global
#
# Two things see the whole batch: batch normalisation, and the contrastive loss. An anchor needs *all* its positives
# and negatives, also those on other replicas. A loss that each replica computes on its own share runs without any
# error, and is another loss. Here are both, on the representations of the run above.
#
# **Exercise 8b** (3 lines). The wrong loss: cut the batch into equal shares, take the loss of each share as if it
# were the whole batch, and add them up. `theory.sc_loss_batch(points, labels)` is the loss of one batch, summed over
# its anchors.


# %%
def per_replica_loss(points, labels, replicas):
    """Sum over the shares of the batch of the loss of each share on its own."""
    return ...


lesson.check("8b", per_replica_loss)

# %%
path = lesson.folder / "runs" / "one-device"
frame = read_geometry(path, list_geometry(path)[-1])
order = np.random.default_rng(0).permutation(len(frame["sample"]))[:256]
points, labels = frame["sample"][order].astype(float), frame["sample_labels"][order]
right_loss, right_gradient = batch_loss_and_gradient(points, labels)
assert np.isclose(right_loss, theory.sc_loss_batch(points, labels))


def wrong_loss_and_gradient(replicas):
    """Each share on its own: the sum of their losses, and the gradient for every point."""
    parts = [
        batch_loss_and_gradient(*share)
        for share in zip(np.split(points, replicas), np.split(labels, replicas), strict=True)
    ]
    return sum(loss for loss, _ in parts), np.concatenate([gradient for _, gradient in parts])


# %% [markdown]
# **Predict:** with more replicas, does the wrong loss grow or shrink? And does its gradient at least point the right
# way?

# %%
replicas = np.array([1, 2, 4, 8, 16, 32])
wrong = [wrong_loss_and_gradient(count) for count in replicas]
cosines = [
    np.vdot(gradient, right_gradient) / np.linalg.norm(gradient) / np.linalg.norm(right_gradient)
    for _, gradient in wrong
]
figure = new_figure(9, 3.8, "The loss of a batch of 256, global and per replica")
left, right = figure.subplots(1, 2)
left.axhline(right_loss / 256, color=CLASS_COLORS[2], label="right: global")
left.plot(replicas, [loss / 256 for loss, _ in wrong], "o", color=CLASS_COLORS[1], label="wrong: per replica")
floors = [theory.sc_bound(10, 256 // count, temperature=0.1, sampling="iid", reduction="mean") for count in replicas]
left.plot(replicas, floors, label="theory: floor for b/R", **THEORY_LINE)
left.set(xscale="log", xlabel="replicas R", ylabel="loss per anchor (nats)", xticks=replicas, ylim=(0, None))
right.plot(replicas, cosines, "o-", color=CLASS_COLORS[1])
right.axhline(1, label="right: 1", **THEORY_LINE)
right.set(xscale="log", xlabel="replicas R", ylabel="cosine of the gradients", xticks=replicas, ylim=(0, 1.05))
for axes in (left, right):
    axes.set_xticklabels(replicas)
    axes.minorticks_off()
    axes.legend()
lesson.show(figure, "wrong_loss")
assert np.isclose(wrong[0][0], right_loss)
assert np.all(np.diff([loss for loss, _ in wrong]) < 0)  # ever smaller
assert np.all(np.diff(floors) < 0)
assert cosines[-1] < cosines[1] < 1 - 1e-6  # and ever further from the right direction

# %% [markdown]
# **Answer:** it shrinks, so a wrong curve even looks *better*; its floor shrinks with it. The gradient turns away:
# with few points on a replica many anchors have no positive at all. For cross-entropy nothing of this happens: a mean
# of means of equal shares is the mean.

# %%
weights = frame["class_means"].astype(float)
shares = [theory.ce_loss(*share, weights) for share in zip(np.split(points, 8), np.split(labels, 8), strict=True)]
assert np.isclose(np.mean(shares), theory.ce_loss(points, labels, weights))

# %% [markdown]
# **Exercise 8c** (1 line). In a share of $s$ points from $K$ equal classes, how many positives does an anchor have on
# average? (The anchor is one of the $s$.)


# %%
def expected_positives(share, num_classes):
    """Mean number of other points of the anchor's class in its share."""
    return ...


lesson.check("8c", expected_positives)

# %% [markdown]
# ## Reading a CIFAR report
#
# `simplexlab sweep --preset paper` repeats the paper's runs on GPUs, and `simplexlab report` makes one page of a
# sweep. These are the numbers that the paper and its authors' code give for CIFAR10 with augmentation ($b = 256$,
# $\tau = 0.1$):
#
# | loss | theory | reached, 100k iterations | 500k iterations |
# |---|---|---|---|
# | CE | 7.64e-5 | 2.48e-4 | – |
# | SC | 824.487 | 824.731 | 824.523 |
#
# **Predict:** is 824.731 good? What would you want to know before you answer? Could 824.523 be an encoder that ends
# in a ReLU?

# %%
reported = {"100k iterations": 824.731, "500k iterations": 824.523}
lines = {
    "simplex, multisets (paper)": theory.sc_bound(10, 256, temperature=0.1, samples_per_class=5000),
    "simplex, i.i.d. (as trained)": theory.sc_bound(10, 256, temperature=0.1, sampling="iid"),
    "orthogonal frame, i.i.d.": theory.sc_bound(10, 256, temperature=0.1, sampling="iid", features="nonnegative"),
}
figure = new_figure(9, 3.2, "SC on CIFAR10: reported losses among their floors")
axes = figure.subplots()
for index, (name, value) in enumerate(lines.items()):
    axes.axvline(value, label=f"theory: {name}", **THEORY_LINE | {"linestyle": ("-", "--", ":")[index]})
axes.plot(list(reported.values()), range(len(reported)), "o", color=CLASS_COLORS[1])
axes.set(yticks=range(len(reported)), ylim=(-0.7, 1.7), xlabel="mean loss of a batch (nats)", xlim=(824.42, 824.78))
axes.set_yticklabels(reported)
axes.ticklabel_format(axis="x", useOffset=False)
axes.legend(loc="upper right", fontsize="small")
lesson.show(figure, "cifar")
counts = np.random.default_rng(0).multinomial(256, np.full(10, 0.1), size=20_000)
deviation = theory.composition_value(counts, 0.1**-0.5).std()
print(f"standard deviation of a batch loss at the simplex, from its label counts alone: {deviation:.2f}")
simplex, trained, frame_bound = lines.values()
assert abs(simplex - 824.487) < 1e-3
assert abs(trained - 824.464) < 1e-3
assert abs(frame_bound - 824.537) < 1e-3
assert trained < simplex < reported["500k iterations"] < frame_bound < reported["100k iterations"]
assert 2 < deviation < 2.2

# %% [markdown]
# **Answer:** 824.731 is 0.001 nats per anchor above the floor: very good. But the last digits mean little without
# their story. The floor depends on how batches are drawn. 824.523 is *below* the orthogonal frame, which no ReLU
# encoder can beat in the mean; but a batch loss has a standard deviation of 2.1 from its label counts alone, so the
# mean of a few thousand batches is not known to 0.01. This is why `simplexlab` reports the paired excess with its
# standard error.
#
# **Exercise 8d** (1 line). Over how many independent batches must a mean be taken for a standard error of `error`?


# %%
def batches_needed(deviation, error):
    """The smallest whole number of batches n with deviation / √n ≤ error."""
    return ...


lesson.check("8d", batches_needed)

# %%
result = read_run(path).result
lesson.end(
    f"""Two replicas stayed within {differences["two-replicas"]:.0e} of one device, two workers within
    {differences["two-workers"]:.0e}. The loss per replica, on 32 of them, would have shown {wrong[-1][0] / 256:.2f}
    nats per anchor in place of {right_loss / 256:.2f}, with a gradient at cosine {cosines[-1]:.2f} to the right one. A
    mean over 128 batches knows the loss of CIFAR10 to {deviation / np.sqrt(128):.2f} only, nearly the whole gap of
    0.24; the paired excess of the small run above has a standard error of {result["excess_standard_error"]:.2f} at an
    excess of {result["excess"]:.1f}.
    Try next: simplexlab doctor on the machine with the GPUs, then simplexlab sweep --preset paper."""
)
