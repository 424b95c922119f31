# %% [markdown]
# # 2 · Points that find it
#
# Goal: write both losses down, let them move free points, and see which forces do it.
#
# You should know: lesson 1, gradients, softmax.
#
# Minutes: 0.4 on two CPU cores (measured)
#
# On the command line: `simplexlab toy ce`, `simplexlab toy sc --temperature 0.3`, `simplexlab figure 1`
#
# The paper studies an *ideal encoder*: one that can put the representation of every image wherever it likes. Then the
# encoder can be left out, and the points themselves are optimised.

# %%
import numpy as np

from simplexlab import geometry, objectives, theory
from simplexlab.course import Lesson
from simplexlab.figures.style import CLASS_COLORS, MUTED_COLOR, THEORY_LINE, class_color, draw_disc, new_figure
from simplexlab.runs import list_geometry, read_geometry, read_labels, read_metrics
from simplexlab.toy import PAPER_TOYS, Toy, batch_loss_and_gradient, run_toy

lesson = Lesson(2)
points_per_class = lesson.pick(100, 30)

# %% [markdown]
# ## The two losses
#
# A *representation* $z_n$ is a point in $h$ dimensions, $y_n$ its class.
#
# **Cross-entropy** (`ce`) has a classifier with a row $w_k$ for each class, and is a mean over points:
#
# $$\mathrm{CE} = \frac1N \sum_n -\log \frac{\exp\langle z_n, w_{y_n}\rangle}{\sum_k \exp\langle z_n, w_k\rangle}.$$
#
# The **supervised contrastive loss** (`sc`) has no classifier. It compares the points of a batch with each other. The
# *positives* of an anchor $i$, the set $P_i$, are the other points of its class in the batch. With representations of
# norm 1 and a *temperature* $\tau$,
#
# $$\mathrm{SC} = \sum_{i:\,P_i \ne \emptyset} \;\frac{1}{|P_i|}\sum_{j \in P_i}
# -\log \frac{\exp(\langle z_i, z_j\rangle/\tau)}{\sum_{k \ne i} \exp(\langle z_i, z_k\rangle/\tau)}.$$
#
# This is a *sum* over anchors, as in the paper; many libraries divide it by the batch size. An anchor without a
# positive contributes nothing.
#
# The paper has no temperature: its points lie on a sphere of radius $\rho$. That is the same thing, with
#
# $$\rho = 1/\sqrt\tau, \qquad\text{because}\qquad \langle \rho u, \rho v\rangle = \langle u, v\rangle/\tau .$$
#
# A loss alone says little: is 3.2 good? The **excess** does: the loss minus the least value that it can have under the
# same conditions, its *floor*. Lessons 3 and 4 compute floors.
#
# **Exercise 2a** (hard, 15 minutes). Write SC. Later lessons run your function.


# %%
def sc_loss(z, y, temperature):
    """SC of a batch of unit vectors z (b, h) with labels y (b,), summed over its anchors."""
    return ...


lesson.check("2a", sc_loss)

# %% [markdown]
# A loss is used through its gradient. Here is that of the loss above, by differences, beside the package's exact one.
# The package works on the sphere of radius $\rho$.

# %%
sc_loss = lesson.own("2a")
generator = np.random.default_rng(0)
z = generator.standard_normal((8, 3))
z /= np.linalg.norm(z, axis=1, keepdims=True)
y = np.array([0, 0, 0, 1, 1, 1, 2, 2])
temperature, tiny = 0.5, 1e-5
differences = np.zeros_like(z)
for place in np.ndindex(z.shape):
    moved = [z.copy(), z.copy()]
    moved[0][place] += tiny
    moved[1][place] -= tiny
    differences[place] = (sc_loss(moved[0], y, temperature) - sc_loss(moved[1], y, temperature)) / (2 * tiny)
loss, gradient = batch_loss_and_gradient(z / np.sqrt(temperature), y)
print(f"loss {sc_loss(z, y, temperature):.6f}, the package's {loss:.6f}")
print(f"largest difference of the gradients: {np.abs(differences - gradient / np.sqrt(temperature)).max():.0e}")
assert np.isclose(sc_loss(z, y, temperature), loss)
assert np.allclose(differences, gradient / np.sqrt(temperature), atol=1e-6)  # the chain rule gives the factor 1/√τ

# %% [markdown]
# ## Two toys
#
# Three classes in the plane, as in Fig. 1 of the paper.
#
# - `ce`: points in the unit disc and a classifier $W$; the loss is cross-entropy plus $\lambda\|W\|_F^2$.
# - `sc`: points on a circle; the loss is SC of one batch that holds all of them.
#
# Each toy writes a run folder, like any training, with a frame of all points every few steps. This is where the points
# start. Nothing tells class 1 where to go, and both losses are blind to rotations.

# %%
results = {
    loss: run_toy(Toy(loss=loss, points_per_class=points_per_class, run_dir=lesson.run_dir, name=loss))
    for loss in PAPER_TOYS
}
folders = {loss: lesson.folder / "runs" / loss for loss in results}
labels, _ = read_labels(folders["sc"])


def draw_points(axes, loss, step):
    """Draw one frame: sc scaled to the unit circle, weights of ce as arrows of length 1; dashed: a simplex."""
    frame = read_geometry(folders[loss], step)
    scale = results[loss]["norms"]["maximum"] if objectives.get(loss).sphere else 1.0
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


figure = new_figure(6, 3.2, "The start")
for axes, loss in zip(figure.subplots(1, 2), results, strict=True):
    draw_points(axes, loss, 0)
lesson.show(figure, "start")

# %%
lesson.predict(
    "2a",
    "Where are the points of one class at the end?",
    ["spread over a third of the circle or disc", "at one place", "around a centre, the nearer the lower the loss"],
)
lesson.predict(
    "2b",
    "Is class 0 at the same place under both losses?",
    ["yes: the optimum is the same", "the same triangle, turned by some angle", "no, the triangles have other angles"],
)

# %%
figure = new_figure(9, 5, "Both losses while they run")
for row, loss in zip(figure.subplots(2, 4), results, strict=True):
    for axes, step in zip(row, (10, 40, 100, list_geometry(folders[loss])[-1]), strict=True):
        draw_points(axes, loss, step)
lesson.show(figure, "formation")
directions = []
for loss, result in results.items():
    print(f"{loss}: loss {result['final_loss']:.6f}, bound {result['bound']:.6f}, excess {result['excess']:.1e}")
    assert result["excess"] < 1e-3  # the loss is at its bound …
    assert result["class_mean_similarity"]["maximum"] < 1 / 3 + 0.01  # … and γ between classes at 1/3, 120°
    assert result["within_class_similarity"]["minimum"] > 0.99  # every point at its class mean
    directions.append(read_geometry(folders[loss], list_geometry(folders[loss])[-1])["class_means"][0].astype(float))
turned = 180 * (1 - float(geometry.angular_similarity(*directions)))
print(f"class 0 lies in two directions that are {turned:.0f}° apart")
assert turned > 1
lesson.replay("2a", "b")
lesson.replay("2b", "b" if turned > 1 else "a")

# %% [markdown]
# **Answer:** each class collapses to one point, and the three points are 120° apart. *How* the triangle is turned
# depends on the start; the losses do not care.

# %% [markdown]
# ## The forces
#
# Gradient descent moves a point against the gradient of the loss. For cross-entropy, with $p = \mathrm{softmax}(Wz)$,
#
# $$-\frac{\partial\,\mathrm{CE}}{\partial z} = w_y - \sum_k p_k\,w_k ,$$
#
# a pull to the own weight, a push from all weights. For an anchor $z_i$ on the sphere of radius $\rho$, with
# $p_k \propto \exp\langle z_i, z_k\rangle$ over all other points,
#
# $$-\frac{\partial\,\mathrm{SC}_i}{\partial z_i} = \frac{1}{|P_i|}\sum_{j \in P_i} z_j - \sum_{k \ne i} p_k\,z_k ,$$
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


slopes = [
    (anchor_loss(points[anchor] + tiny * e) - anchor_loss(points[anchor] - tiny * e)) / (2 * tiny) for e in np.eye(2)
]
assert np.allclose(pull + push, -np.array(slopes), atol=1e-6)

# %% [markdown]
# The points cannot leave their circle. So what a force does is its part *along* the circle; the rest, outwards or
# inwards, the circle holds.
#
# **Exercise 2d** (easy, 5 minutes). Take a force apart: what is left of it along the sphere?


# %%
def along_the_sphere(force, point):
    """The part of the force (h,) at right angles to the point (h,), which may have any norm but 0."""
    return ...


lesson.check("2d", along_the_sphere)

# %%
lesson.predict(
    "2c",
    "The push on an anchor, early on: away from what?",
    ["from the centre of the circle", "from the points near to it, of whatever class", "from the other classes alone"],
)

# %%
radius = np.linalg.norm(points[anchor])
unit, tangent = points[anchor] / radius, np.array([-points[anchor, 1], points[anchor, 0]]) / radius
arrows = {"pull of the positives": (pull, "black"), "push of all others": (push, MUTED_COLOR)}
figure = new_figure(9.4, 4.2, "Forces on one point (large) after 10 steps")
left, right = figure.subplots(1, 2, width_ratios=(1, 1))
draw_disc(left, 1.3)
for label in range(3):
    left.plot(*(points[kinds == label] / radius).T, ".", color=class_color(label), alpha=0.5)
left.plot(*unit, "o", color=class_color(kinds[anchor]), markersize=14)
for force, color in arrows.values():
    left.annotate("", unit + force / radius, unit, arrowprops={"arrowstyle": "->", "color": color, "lw": 3})
parts = {"along": tangent, "outwards": unit}
for place, (name, (force, color)) in enumerate({**arrows, "sum": (pull + push, THEORY_LINE["color"])}.items()):
    values = [force @ direction / radius for direction in parts.values()]
    hatch = "//" if name == "sum" else None
    positions = np.arange(2) + 0.25 * (place - 1)
    right.bar(positions, values, 0.22, label=name, color="white" if hatch else color, hatch=hatch, edgecolor="black")
right.axhline(0, color="black", linewidth=1)
right.set(xticks=range(2), xticklabels=["along the circle", "outwards"], ylabel="force / ρ")
right.legend(fontsize="small")
lesson.show(figure, "forces")
nearest = np.argsort(-inner)[: len(inner) // 4]
print(f"the nearest quarter of the points has {shares[nearest].sum():.0%} of the push")
assert shares[nearest].sum() > 0.4  # more than their share, whatever their class
assert {int(kind) for kind in kinds[others][nearest]} != {int(kinds[anchor])}
lesson.replay("2c", "b")

# %% [markdown]
# **Answer:** away from where most of the *weight* is: the nearest points, of whatever class, because
# $p_k \propto \exp\langle z_i, z_k\rangle$ favours them.

# %% [markdown]
# At the simplex, pull and push do not vanish: they cancel along the circle, and the rest points outwards, where the
# circle holds the point back. (As an anchor each point also acts on all others, and they on it; the package's gradient
# holds all of that.)

# %%
last = read_geometry(folders["sc"], list_geometry(folders["sc"])[-1])["sample"].astype(float)
_, gradient = batch_loss_and_gradient(last, kinds)
outward = last / np.linalg.norm(last, axis=1, keepdims=True)
along = gradient - np.sum(gradient * outward, axis=1, keepdims=True) * outward
assert np.abs(along).max() < 0.02 * np.linalg.norm(gradient, axis=1).max()
assert np.all(np.sum(-gradient * outward, axis=1) > 0)

# %% [markdown]
# **Exercise 2b** (medium, 6 minutes). The shares $p_k$ of the push for unit vectors at temperature $\tau$:
# $p_k \propto \exp(\langle z_i, z_k\rangle/\tau)$ over $k \ne i$, and 0 at $k = i$.
#
# **Exercise 2c** (medium, 6 minutes). The force of cross-entropy on a point.


# %%
def push_shares(points, anchor, temperature):
    """Shares p_k of the push on the anchor, shape (N,), 0 for the anchor itself."""
    return ...


def force_of_cross_entropy(point, weights, label):
    """−∂CE/∂z of one point, shape (h,); weights (K, h)."""
    return ...


lesson.check("2b", push_shares)
lesson.check("2c", force_of_cross_entropy)

# %% [markdown]
# ## What temperature changes
#
# The temperature $\tau$ does not change where the least loss is: at the simplex, for any $\tau$. It changes the way
# there.

# %%
lesson.predict(
    "2d",
    "At which temperature is the triangle regular first?",
    ["τ = 0.1", "τ = 0.3", "τ = 1"],
)

# %%
temperatures = (0.1, 0.3, 1.0)
for temperature in temperatures:
    run_toy(
        Toy(
            loss="sc",
            temperature=temperature,
            points_per_class=points_per_class,
            evaluate_every=lesson.pick(10, 50),
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
lesson.replay("2d", "abc"[int(np.argmin(list(final_gap.values())))])

# %% [markdown]
# **Answer:** at $\tau = 1$. At a low temperature only the nearest points push. Once a class has collapsed, its own
# points get nearly all of the push, and classes 90° apart hardly feel each other: the last degrees to 120° take very
# long.

# %%
collapsed = np.array([[1, 0]] * points_per_class + [[0, 1]] * points_per_class, float)  # two classes 90° apart
lesson_shares = {temperature: np.exp((collapsed @ collapsed[0] - 1) / temperature) for temperature in temperatures}
for temperature, weights in lesson_shares.items():
    weights[0] = 0
    print(
        f"τ = {temperature:g}: the other class has {weights[points_per_class:].sum() / weights.sum():.2%} of the push"
    )
low, _, high = (weights[points_per_class:].sum() / weights.sum() for weights in lesson_shares.values())
assert low < 1e-3 < 0.2 < high

# %% [markdown]
# ## What λ changes
#
# $\lambda$ sets how long the weights get.

# %%
lesson.predict(
    "2e",
    "Ten times λ: how much shorter do the weights get?",
    ["ten times, or more", "√10 times, about 3.2", "less than three times"],
)

# %%
decays = lesson.pick((0.003, 0.01, 0.03, 0.1, 0.2), (0.01, 0.1))
norms = []
for decay in decays:
    name = f"ce-weight-decay-{decay}"
    every = lesson.pick(10, 50)
    options = {"points_per_class": points_per_class, "evaluate_every": every, "run_dir": lesson.run_dir, "name": name}
    norms.append(run_toy(Toy(loss="ce", weight_decay=decay, **options))["weight_norm"])
figure = new_figure(6, 3.4, "λ and the length of the weights")
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
print(f"λ = 0.01 against 0.1: weights {shorter:.2f} times as long")
lesson.replay("2e", "a" if shorter >= 10 else "c" if shorter < 3 else "b")

# %% [markdown]
# **Answer:** less than three times, the less the smaller λ is: the norm grows like $\log(1/\lambda)$. Corollary 2 of
# lesson 3 gives the curve.

# %% [markdown]
# ## Explain it

# %%
lesson.explain("2.1")
lesson.explain("2.2")
lesson.explain("2.3")

# %%
lesson.end(
    f"""Free points under cross-entropy ended {results["ce"]["excess"]:.0e} above their bound, under the contrastive
    loss {results["sc"]["excess"]:.0e} above theirs, both at the regular simplex. At temperature 0.1 the nearest
    two classes were still {final_gap[0.1]:.2f} too similar after {results["sc"]["iterations"]} steps, at temperature 1
    only {final_gap[1.0]:.0e}. Weights under λ = 0.01 are {shorter:.1f} times as long as under λ = 0.1.
    Try next: four classes in the plane and in space, simplexlab toy sc --classes 4 --dimension 3; press the keys of the
    time slider to see the points move."""
)
