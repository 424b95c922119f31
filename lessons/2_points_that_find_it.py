# %% [markdown]
# # 2 · Points that find it
#
# Goal: see both losses move free points to the regular simplex, and know which forces do it.
#
# You should know: lesson 1, gradients, softmax.
#
# Minutes: 0.2 on two CPU cores (measured)
#
# On the command line: `simplexlab toy ce`, `simplexlab toy sc --temperature 0.3`, `simplexlab figure 1`
#
# The paper studies an *ideal encoder*: one that can put the representation of every image wherever it likes. Then the
# encoder can be left out, and the points themselves are optimised.

# %%
import numpy as np

from simplexlab import geometry, theory
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, class_color, draw_disc, new_figure
from simplexlab.runs import list_geometry, read_geometry, read_labels, read_metrics
from simplexlab.toy import Toy, batch_loss_and_gradient, run_toy

lesson = Lesson(2)
points_per_class = lesson.pick(100, 30)

# %% [markdown]
# ## Two losses, two toys
#
# Three classes in the plane, as in Fig. 1 of the paper.
#
# - `ce`: points in the unit disc and a classifier $W$; the loss is cross-entropy plus $\lambda\|W\|_F^2$.
# - `sc`: points on a circle; the loss is the supervised contrastive loss of one batch that holds all of them.
#
# Each toy writes a run folder, like any training, with a frame of all points every few steps.

# %%
results = {
    loss: run_toy(Toy(loss=loss, points_per_class=points_per_class, run_dir=lesson.run_dir, name=loss))
    for loss in ("ce", "sc")
}
folders = {loss: lesson.folder / "runs" / loss for loss in results}
labels, _ = read_labels(folders["sc"])
for loss, result in results.items():
    print(f"{loss}: loss {result['final_loss']:.6f}, bound {result['bound']:.6f}, excess {result['excess']:.1e}")


def draw_points(axes, loss, step):
    """Draw one frame: sc scaled to the unit circle, weights of ce as arrows of length 1; dashed: a simplex."""
    frame = read_geometry(folders[loss], step)
    scale = results[loss]["norms"]["maximum"] if loss == "sc" else 1.0
    draw_disc(axes, 1.25)
    if step:
        ideal = geometry.align_procrustes(geometry.regular_simplex(3, 2), frame["class_means"])
        ideal /= np.linalg.norm(ideal[0])
        axes.plot(*ideal[[0, 1, 2, 0]].T, **THEORY_LINE | {"linewidth": 1, "zorder": 0})
    for label in range(3):
        points = frame["sample"][frame["sample_labels"] == label] / scale
        axes.plot(*points.T, ".", color=class_color(label), alpha=0.6)
        if "weights" in frame:
            weight = frame["weights"][label] / np.linalg.norm(frame["weights"][label])
            axes.annotate("", weight, (0, 0), arrowprops={"arrowstyle": "->", "color": class_color(label), "lw": 2.5})
    axes.set_title(f"{loss}, step {step}")


# %% [markdown]
# **Predict:** this is where the points start. Nothing tells class 1 where to go, and both losses are blind to
# rotations. Where will the three classes be at the end? Will they be at the same place for both losses?

# %%
figure = new_figure(6, 3.2, "The start")
for axes, loss in zip(figure.subplots(1, 2), results, strict=True):
    draw_points(axes, loss, 0)
lesson.show(figure, "start")

# %%
figure = new_figure(9, 5, "Both losses find the regular simplex")
for row, loss in zip(figure.subplots(2, 4), results, strict=True):
    for axes, step in zip(row, (10, 40, 100, list_geometry(folders[loss])[-1]), strict=True):
        draw_points(axes, loss, step)
lesson.show(figure, "formation")
for result in results.values():
    assert result["excess"] < 1e-3  # the loss is at its bound …
    assert result["class_mean_similarity"]["maximum"] < 1 / 3 + 0.01  # … and γ between classes at 1/3, 120°
    assert result["within_class_similarity"]["minimum"] > 0.99  # every point at its class mean

# %% [markdown]
# **Answer:** each class collapses to one point, and the three points are 120° apart. *How* the triangle is turned
# depends on the start; the losses do not care.
#
# ## The forces
#
# Gradient descent moves a point against the gradient of the loss. For cross-entropy, with $p = \mathrm{softmax}(Wz)$,
#
# $$-\frac{\partial\,\mathrm{CE}}{\partial z} = w_y - \sum_k p_k\,w_k ,$$
#
# a pull to the own weight, a push from all weights. For an anchor $z_i$ of the contrastive loss, with $P$ its
# positives (the *other* points of its class) and $p_k \propto \exp\langle z_i, z_k\rangle$ over all other points,
#
# $$-\frac{\partial\,\mathrm{SC}_i}{\partial z_i} = \frac{1}{|P|}\sum_{j \in P} z_j - \sum_{k \ne i} p_k\,z_k ,$$
#
# a pull to the positives, a push from all others. The lines below are these formulas.

# %%
anchor = 0
points = read_geometry(folders["sc"], 10)["sample"].astype(float)
kinds = read_geometry(folders["sc"], 10)["sample_labels"]
others = np.arange(len(points)) != anchor
inner = points[others] @ points[anchor]
shares = np.exp(inner - inner.max())
shares /= shares.sum()
pull = points[others & (kinds == kinds[anchor])].mean(axis=0)
push = -shares @ points[others]


def anchor_loss(position):
    """SC loss of the anchor alone, at another position of it."""
    inner = points[others] @ position
    return np.log(np.exp(inner - inner.max()).sum()) + inner.max() - inner[(kinds == kinds[anchor])[others]].mean()


step = 1e-6
slopes = [
    (anchor_loss(points[anchor] + step * e) - anchor_loss(points[anchor] - step * e)) / (2 * step) for e in np.eye(2)
]
assert np.allclose(pull + push, -np.array(slopes), atol=1e-6)

# %% [markdown]
# The anchor also acts on all others, and they on it as anchors of their own; the package's gradient holds all of
# that.
#
# **Predict:** below, the anchor is the large dot. Will the push point away from the centre, or away from something
# else?

# %%
_, gradient = batch_loss_and_gradient(points, kinds)
radius = np.linalg.norm(points[anchor])
figure = new_figure(5.6, 4.4, "Forces on one point")
axes = figure.subplots()
draw_disc(axes, 1.4)
for label in range(3):
    axes.plot(*(points[kinds == label] / radius).T, ".", color=class_color(label), alpha=0.5)
start = points[anchor] / radius
axes.plot(*start, "o", color=class_color(kinds[anchor]), markersize=14)
total = -gradient[anchor]
for name, force, color in (
    ("pull of the positives", pull / radius, CLASS_COLORS[2]),
    ("push of all others", push / radius, CLASS_COLORS[4]),
    ("all forces, scaled", total / np.linalg.norm(total), "black"),
):
    axes.annotate("", start + 0.8 * force, start, arrowprops={"arrowstyle": "->", "color": color, "lw": 3})
    axes.plot([], [], color=color, label=name)
axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
lesson.show(figure, "forces")

# %% [markdown]
# **Answer:** away from where most of the *weight* is: the nearest points, of whatever class, because
# $p_k \propto \exp\langle z_i, z_k\rangle$ favours them. At the simplex, pull and push still do not vanish: they cancel
# along the circle, and the rest points outwards, where the circle holds the point back.

# %%
last = read_geometry(folders["sc"], list_geometry(folders["sc"])[-1])["sample"].astype(float)
_, gradient = batch_loss_and_gradient(last, kinds)
outward = last / np.linalg.norm(last, axis=1, keepdims=True)
along = gradient - np.sum(gradient * outward, axis=1, keepdims=True) * outward
assert np.abs(along).max() < 0.02 * np.linalg.norm(gradient, axis=1).max()
assert np.all(np.sum(-gradient * outward, axis=1) > 0)

# %% [markdown]
# **Exercise 2a** (2 lines). The pull on a point of the contrastive loss: the mean of its positives.
#
# **Exercise 2b** (4 lines). The shares $p_k$ of the push for unit vectors at temperature $\tau$:
# $p_k \propto \exp(\langle z_i, z_k\rangle/\tau)$ over $k \ne i$, and 0 at $k = i$.
#
# **Exercise 2c** (3 lines). The force of cross-entropy on a point.
#
# **Exercise 2d** (2 lines). After a step, points of `ce` may have left the ball. Put those, and only those, back on
# its surface.


# %%
def pull_of_positives(points, labels, anchor):
    """Mean of the other points with the label of the anchor, shape (h,)."""
    return ...


def push_shares(points, anchor, temperature):
    """Shares p_k of the push on the anchor, shape (N,), 0 for the anchor itself."""
    return ...


def force_of_cross_entropy(point, weights, label):
    """−∂CE/∂z of one point, shape (h,); weights (K, h)."""
    return ...


def back_to_ball(points, radius):
    """The points (N, h), those outside of the ball moved to its surface."""
    return ...


lesson.check("2a", pull_of_positives)
lesson.check("2b", push_shares)
lesson.check("2c", force_of_cross_entropy)
lesson.check("2d", back_to_ball)

# %% [markdown]
# ## What temperature changes
#
# The temperature $\tau$ does not change the optimum: it is the simplex at any $\tau$. It changes the way there.
#
# **Predict:** at which temperature does the triangle get regular first: 0.1, 0.3 or 1?

# %%
temperatures = (0.1, 0.3, 1.0)
for temperature in temperatures:
    run_toy(
        Toy(
            loss="sc",
            temperature=temperature,
            points_per_class=points_per_class,
            run_dir=lesson.run_dir,
            name=f"sc-temperature-{temperature}",
        )
    )
figure = new_figure(9, 3.4, "Temperature: who pushes, and how fast the simplex forms")
left, right = figure.subplots(1, 2)
angles = np.linspace(0, 180, 181)
final_gap = {}
for index, temperature in enumerate(temperatures):
    name = f"sc-temperature-{temperature}"
    push = np.exp((np.cos(np.radians(angles)) - 1) / temperature)
    left.plot(angles, push, color=CLASS_COLORS[index], label=f"τ = {temperature:g}")
    lines = read_metrics(lesson.folder / "runs" / name)
    between = [line["class_mean_similarity"]["maximum"] for line in lines]
    right.plot([line["iteration"] for line in lines], between, color=CLASS_COLORS[index])
    final_gap[temperature] = between[-1] - 1 / 3
left.set(xlabel="angle to the anchor (degrees)", ylabel="push relative to 0°", title="share of a point in the push")
right.axhline(1 / 3, label="theory: 1/3", **THEORY_LINE)
right.set(xlabel="step", ylabel="largest γ between classes", title="nearest two classes")
left.legend()
right.legend()
lesson.show(figure, "temperature")
assert final_gap[1.0] < final_gap[0.3] < final_gap[0.1]

# %% [markdown]
# **Answer:** at $\tau = 1$. At a low temperature only the nearest points push. Once a class has collapsed, its own
# points get nearly all of the push, and classes 90° apart hardly feel each other: the last degrees to 120° take very
# long. Low temperatures are popular all the same, because with real images it is the nearest points that one
# confuses.
#
# ## What λ changes
#
# $\lambda$ sets how long the weights get. Corollary 2 says how long: all norms are $r_W(\rho, \lambda)$.
#
# **Predict:** ten times $\lambda$ – how much shorter do the weights get: ten times, or less?

# %%
decays = lesson.pick((0.003, 0.01, 0.03, 0.1, 0.2), (0.01, 0.1))
norms = []
for decay in decays:
    name = f"ce-weight-decay-{decay}"
    toy = Toy(loss="ce", weight_decay=decay, points_per_class=points_per_class, run_dir=lesson.run_dir, name=name)
    norms.append(run_toy(toy)["weight_norm"])
figure = new_figure(6, 3.4, "λ sets the length of the weights")
axes = figure.subplots()
smooth = np.geomspace(0.002, 0.22, 100)
curve = [theory.optimal_weight_norm(1.0, decay, 3) for decay in smooth]
axes.plot(smooth, curve, label="theory: $r_W$(1, λ)", **THEORY_LINE)
axes.plot(decays, norms, "o", color=CLASS_COLORS[1], label="toys")
axes.set(xscale="log", xlabel="λ", ylabel="norm of a weight", ylim=(0, None))
axes.legend()
lesson.show(figure, "weight_norm")
for decay, norm in zip(decays, norms, strict=True):
    assert abs(norm / theory.optimal_weight_norm(1.0, decay, 3) - 1) < 0.05
shorter = norms[decays.index(0.01)] / norms[decays.index(0.1)]
assert 1 < shorter < 10

# %%
lesson.end(
    f"""Free points under cross-entropy ended {results["ce"]["excess"]:.0e} above their bound, under the contrastive
    loss {results["sc"]["excess"]:.0e} above theirs, both at the regular simplex. At temperature 0.1 the nearest
    two classes were still {final_gap[0.1]:.2f} too similar after {results["sc"]["iterations"]} steps, at temperature 1
    only {final_gap[1.0]:.0e}. Weights under λ = 0.01 are {shorter:.1f} times as long as under λ = 0.1.
    Try next: four classes in the plane and in space, simplexlab toy sc --classes 4 --dimension 3; press the keys of the
    time slider to see the points move."""
)
