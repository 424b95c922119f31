# %% [markdown]
# # 8 · From the laptop to the cluster
#
# Goal: run the same experiment on two replicas and two workers with the same numbers, and read a full CIFAR report.
#
# You should know: lessons 4 and 5.
#
# Minutes: 0.7 on two CPU cores (measured)
#
# On the command line: `simplexlab train --devices cpu:2`, `simplexlab launch --workers 2 -- train --loss sc`,
# `simplexlab train --devices gpu:0`, `simplexlab report SWEEP`
#
# Several devices share the work of one step: each *replica* takes its share of the batch, and their gradients are
# added. For cross-entropy that is all there is to it. What about the contrastive loss?

# %%
import shutil

import numpy as np

from simplexlab import theory
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure
from simplexlab.runs import list_geometry, read_geometry, read_metrics, read_run
from simplexlab.toy import batch_loss_and_gradient

lesson = Lesson(8)
sc_loss = lesson.own("2a")
sc_floor = lesson.own("4d")
TEMPERATURE = 0.1  # unit vectors at τ = 0.1 are a sphere of radius ρ = 1/√τ = 3.16

# %% [markdown]
# ## One run, three ways
#
# The same 64 images a step, drawn from the seed and the step number alone, so that every replica can pick its share
# without being told: on one device; on two replicas in one process (`cpu:2` stands for two GPUs); by two worker
# processes, each of which could be on another machine. Double precision, so that rounding does not blur the
# comparison.

# %%
iterations, every = lesson.pick((200, 10), (12, 3))
same = {"loss": "sc", "encoder": "mlp", "width": 8, "batch_size": 64, "precision": "float64"}
same |= {"iterations": iterations, "evaluate_every": every, **lesson.pick({}, {"evaluate_at": "interval"})}
options = [word for name, value in same.items() for word in (f"--{name.replace('_', '-')}", str(value))]
options += ["--run-dir", lesson.run_dir]
lesson.train("one-device", devices="cpu", **same)
lesson.command("train", *options, "--devices", "cpu:2", "--name", "two-replicas")
lesson.command("launch", "--workers", "2", "--", "train", *options, "--devices", "cpu", "--name", "two-workers")
names = ["one-device", "two-replicas", "two-workers"]
if shutil.which("nvidia-smi"):
    lesson.command("train", *options, "--devices", "gpu:0", "--name", "gpu")
    names.append("gpu")
else:
    print("There is no GPU here; with one, --devices gpu:0 would be the fourth curve.")

# %%
lesson.predict(
    "8a",
    "How well do the loss curves of one device, two replicas and two workers agree?",
    ["to two digits: each sees other images", "to about three digits", "to six digits or more"],
)

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
largest = max(differences.values())
lesson.replay("8a", "c" if largest < 1e-6 else "b" if largest < 1e-2 else "a")

# %% [markdown]
# **Answer:** to six digits and far more. At most the order of additions differs.

# %% [markdown]
# ## Each replica on its own?
#
# Suppose that each replica computes the contrastive loss of its own share of the batch, as if it were the whole batch,
# and the losses are added. The program runs without any error. Below, representations of the run above.
#
# **Exercise 8a** (medium, 6 minutes). Write this loss. Your `sc_loss` of lesson 2 is there if you solved it, the
# package's otherwise.


# %%
def per_replica_loss(z, y, temperature, replicas):
    """Sum over equal shares of the batch, in order, of `sc_loss` of each share; z are unit vectors (b, h)."""
    return ...


lesson.check("8a", per_replica_loss)

# %%
path = lesson.folder / "runs" / "one-device"
frame = read_geometry(path, list_geometry(path)[-1])
order = np.random.default_rng(0).permutation(len(frame["sample"]))[:256]
points, labels = frame["sample"][order].astype(float), frame["sample_labels"][order]
directions = points / np.linalg.norm(points, axis=1, keepdims=True)
points = directions / np.sqrt(TEMPERATURE)  # what was recorded, free of rounding: on the sphere of radius ρ
right_loss, right_gradient = batch_loss_and_gradient(points, labels)
assert np.isclose(right_loss, sc_loss(directions, labels, TEMPERATURE))


def split(replicas):
    """The shares of the batch: directions, points, labels of each."""
    return zip(*(np.split(array, replicas) for array in (directions, points, labels)), strict=True)


# %%
lesson.predict(
    "8b",
    "With more replicas, what does this loss do?",
    ["it grows: less is compared", "it stays: a sum of sums is a sum", "it shrinks"],
)
lesson.predict(
    "8c",
    "And does its gradient at least point where the right one points?",
    ["yes, it is only shorter", "less and less", "no, from two replicas on it is unrelated"],
)

# %%
replicas = np.array([1, 2, 4, 8, 16, 32])
wrong = [sum(sc_loss(part, kinds, TEMPERATURE) for part, _, kinds in split(count)) for count in replicas]
gradients = [np.concatenate([batch_loss_and_gradient(part, kinds)[1] for _, part, kinds in split(n)]) for n in replicas]
cosines = [
    np.vdot(gradient, right_gradient) / np.linalg.norm(gradient) / np.linalg.norm(right_gradient)
    for gradient in gradients
]
floors = [sc_floor(10, 256 // int(count), TEMPERATURE) / (256 // count) for count in replicas]
figure = new_figure(9, 3.8, "The loss of a batch of 256, global and per replica")
left, right = figure.subplots(1, 2)
left.axhline(right_loss / 256, color=CLASS_COLORS[2], label="right: global")
left.plot(replicas, np.array(wrong) / 256, "o", color=CLASS_COLORS[1], label="wrong: per replica")
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
assert np.isclose(wrong[0], right_loss)
shrinks = bool(np.all(np.diff(wrong) < 0))
assert shrinks
assert np.all(np.diff(floors) < 0)
assert cosines[-1] < cosines[1] < 1 - 1e-6  # and ever further from the right direction
lesson.replay("8b", "c" if shrinks else "a")
lesson.replay("8c", "b" if cosines[1] > 0.5 else "c")

# %% [markdown]
# **Answer:** it shrinks, so a wrong curve even looks *better*; its floor shrinks with it. The gradient turns away:
# with few points on a replica many anchors have no positive at all. So the loss has to see the whole batch, and batch
# normalisation too. For cross-entropy nothing of this happens: a mean of means of equal shares is the mean.

# %%
weights = frame["class_means"].astype(float)
shares = [theory.ce_loss(part, kinds, weights) for _, part, kinds in split(8)]
assert np.isclose(np.mean(shares), theory.ce_loss(points, labels, weights))

# %% [markdown]
# **Exercise 8b** (easy, 3 minutes). In a share of $s$ points from $K$ equal classes, drawn independently, how many
# positives does an anchor have on average? (The anchor is one of the $s$.)
#
# **Exercise 8c** (medium, 4 minutes). Which share of the anchors has no positive at all?


# %%
def expected_positives(share, num_classes):
    """Mean number of other points of the anchor's class in its share."""
    return ...


def lonely_share(share, num_classes):
    """Probability that an anchor is the only one of its class in its share."""
    return ...


lesson.check("8b", expected_positives)
lesson.check("8c", lonely_share)

# %%
lonely = np.mean([np.mean([(kinds == kind).sum() == 1 for kind in kinds]) for _, _, kinds in split(32)])
print(f"32 replicas, 8 points each: {lonely:.0%} of the anchors are alone; in theory {0.9**7:.0%}")
assert abs(lonely - 0.9**7) < 0.12  # four standard errors of 256 anchors

# %% [markdown]
# ## Reading a CIFAR report
#
# `simplexlab sweep --preset paper` repeats the paper's runs on GPUs, and `simplexlab report` makes one page of a
# sweep. These are the numbers that the paper gives for CIFAR10 with augmentation ($b = 256$, $\tau = 0.1$, so
# $\rho = 3.16$). The loss of SC was estimated from 1,000 batches.
#
# | loss | theory | reached, 100k iterations | 500k iterations |
# |---|---|---|---|
# | CE | 7.64e-5 | 2.48e-4 | 2.27e-4 |
# | SC | 824.487 | 824.731 | 824.523 |

# %%
lesson.predict(
    "8d",
    "The floor of a ReLU encoder is 824.537 (the orthogonal frame). SC reached 824.523. What do you make of it?",
    ["the encoder does not end in a ReLU", "the floor is wrong", "1,000 batches do not know the loss that well"],
)

# %%
reported = {"100k iterations": 824.731, "500k iterations": 824.523}
lines = {
    "simplex, multisets (paper)": theory.sc_bound(10, 256, temperature=TEMPERATURE, samples_per_class=5000),
    "simplex, i.i.d. (as trained)": sc_floor(10, 256, TEMPERATURE),
    "orthogonal frame, i.i.d.": theory.sc_bound(
        10, 256, temperature=TEMPERATURE, sampling="iid", features="nonnegative"
    ),
}
counts = np.random.default_rng(0).multinomial(256, np.full(10, 0.1), size=20_000)
deviation = theory.composition_value(counts, TEMPERATURE**-0.5).std()
error = deviation / np.sqrt(1000)
figure = new_figure(9, 3.6, "SC on CIFAR10: reported losses among their floors")
axes = figure.subplots()
for index, (name, value) in enumerate(lines.items()):
    axes.axvline(value, label=f"theory: {name}", **THEORY_LINE | {"linestyle": ("-", "--", ":")[index]})
axes.errorbar(
    list(reported.values()),
    range(2),
    xerr=error,
    fmt="o",
    color=CLASS_COLORS[1],
    capsize=8,
    label="± one standard error",
)
axes.set(yticks=range(2), ylim=(-0.7, 2.6), xlabel="mean loss of a batch (nats)", xlim=(824.4, 824.85))
axes.set_yticklabels(reported)
axes.ticklabel_format(axis="x", useOffset=False)
axes.legend(loc="upper right", fontsize="small")
lesson.show(figure, "cifar")
simplex, trained, frame_bound = lines.values()
price = frame_bound - trained
print(f"deviation of a batch loss at the simplex, from its label counts alone: {deviation:.2f} nats")
print(f"standard error of 1,000 batches {error:.3f}; the price of the ReLU {price:.3f}")
assert abs(simplex - 824.487) < 1e-3
assert abs(trained - 824.464) < 1e-3
assert abs(frame_bound - 824.537) < 1e-3
assert trained < simplex < reported["500k iterations"] < frame_bound < reported["100k iterations"]
assert 2 < deviation < 2.2
assert abs(error - 0.067) < 2e-3
assert abs(price - 0.073) < 1e-3
assert round((reported["100k iterations"] - frame_bound) / 256, 3) == 0.001  # a little above, for each anchor
assert frame_bound - reported["500k iterations"] < error  # below the frame, by less than one standard error
lesson.replay("8d", "c")

# %% [markdown]
# **Answer:** 824.731 is 0.001 nats per anchor above the floor: very good. But the last digits mean little without
# their story. The floor depends on how batches are drawn. And 1,000 batches know their mean to ±0.067 only – their
# label counts alone see to that –, which is about the whole price of the ReLU, 0.073. So 824.523 says neither that a
# ReLU was beaten nor that it was not. This is why `simplexlab` reports the paired excess with its standard error. (CE
# at 500k is
# 2.27e-4, hardly less than at 100k: where both losses stand still, a schedule may have ended.)

# %% [markdown]
# **Exercise 8d** (easy, 4 minutes). Over how many independent batches must a mean be taken for a standard error of at
# most `error`?


# %%
def batches_needed(deviation, error):
    """The smallest whole number of batches n with deviation / √n ≤ error."""
    return ...


lesson.check("8d", batches_needed)

# %% [markdown]
# ## Explain it

# %%
lesson.explain("8.1")
lesson.explain("8.2")
lesson.explain("8.3")

# %%
result = read_run(path).result
lesson.end(
    f"""Two replicas stayed within {differences["two-replicas"]:.0e} of one device, two workers within
    {differences["two-workers"]:.0e}. The loss per replica, on 32 of them, would have shown {wrong[-1] / 256:.2f}
    nats per anchor in place of {right_loss / 256:.2f}, with a gradient at cosine {cosines[-1]:.2f} to the right one. A
    mean over 1,000 batches knows the loss of CIFAR10 to {error:.2f} only, about the price of a ReLU; the paired excess
    of the small run above has a standard error of {result["excess_standard_error"]:.2f} at an excess of
    {result["excess"]:.1f}.
    Try next: simplexlab doctor on the machine with the GPUs, then simplexlab sweep --preset paper."""
)
