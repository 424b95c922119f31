# %% [markdown]
# # 1 · The regular simplex
#
# Goal: find out how far apart K classes can be, with and without negative coordinates, and prove it.
#
# You should know: vectors, inner products, the rank of a matrix.
#
# Minutes: 0.1 on two CPU cores (measured)
#
# On the command line: `simplexlab figure 3`, `simplexlab geometry FILE.npz`
#
# Run the cells in order. A *prediction* is asked before the picture that answers it; commit yourself, the lesson keeps
# your answer and shows it beside what came. *Exercises* are short functions whose body is `return ...`; write your
# lines, run the cell, and the check below it tells whether you are right. `lesson.hint("1a")` gives a hint. The lesson
# also runs as it is, as a script.

# %%
import numpy as np

from simplexlab import geometry
from simplexlab.course import Lesson
from simplexlab.figures import simplices
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure

lesson = Lesson(1)

# %% [markdown]
# ## As far apart as possible
#
# A classifier that has to tell K classes apart would like to have them far from each other. Put each class at one point
# of a sphere. Two classes sit at opposite poles.

# %%
lesson.predict(
    "1a",
    "A third class comes to two that sit at opposite poles. What do the first two do?",
    [
        "they stay: the third goes in between, 90° from both",
        "they move towards each other, until all three are equally far apart",
        "one of them makes room, the other stays",
    ],
)
lesson.predict(
    "1b",
    "And a fourth? Can all four be equally far from each other?",
    ["yes, in the plane of the first three", "only outside of that plane", "no, not in any space"],
)

# %%
numbers = simplices.simplices()
figure, caption = simplices.draw(numbers)
lesson.show(figure, "simplices")
for simplex in numbers["simplices"]:
    print(f"K = {simplex['classes']}: inner product {simplex['inner_product']:.3f}, {simplex['angle_degrees']:.1f}°")
    measured = np.array(simplex["vertices"])
    assert np.allclose(measured[0] @ measured[1], simplex["inner_product"])
pair, three = (np.array(simplex["vertices"]) for simplex in numbers["simplices"][:2])
assert pair[0] @ pair[1] < three[0] @ three[1] < 0  # the first two are nearer than they were, and more than 90° apart
assert np.linalg.matrix_rank(numbers["simplices"][2]["vertices"]) == 3
lesson.replay("1a", "b")
lesson.replay("1b", "b")

# %% [markdown]
# **Answer:** the third class cannot stay on the line of the first two. All three share a plane at 120°, and the first
# two have moved towards each other. The fourth leaves the plane: a tetrahedron, 109.5°. Each further class costs the
# others some angle.

# %% [markdown]
# ## What a regular simplex is
#
# Definition 3 of the paper: points $\zeta_1, \dots, \zeta_K$ are the vertices of a regular simplex inscribed in the
# sphere of radius $\rho$ if
#
# - (S1) $\sum_i \zeta_i = 0$: the centre is the origin,
# - (S2) $\|\zeta_i\| = \rho$: all norms are equal,
# - (S3) $\langle\zeta_i, \zeta_j\rangle = d$ for all $i \ne j$: all inner products are equal.
#
# The package makes one in closed form, and measures how far any points are from each of the three.

# %%
vertices = geometry.regular_simplex(num_classes=3, dimension=2)
print(vertices.round(4))
print(geometry.simplex_deviation(vertices))
off_diagonal = ~np.eye(3, dtype=bool)
assert np.allclose(vertices.sum(axis=0), 0)  # (S1)
assert np.allclose(np.linalg.norm(vertices, axis=1), 1)  # (S2)
assert np.ptp((vertices @ vertices.T)[off_diagonal]) < 1e-12  # (S3)

# %% [markdown]
# The three conditions leave no choice for $d$. The sum is 0, so its squared norm is 0; that norm holds $K$ squared
# norms and $K(K-1)$ inner products, so
#
# $$0 = \Big\|\sum_i \zeta_i\Big\|^2 = K\rho^2 + K(K-1)\,d .$$
#
# **Exercise 1a** (easy, 3 minutes). Solve it for $d$.


# %%
def inner_product(num_classes, radius):
    """⟨ζ_i, ζ_j⟩ for i ≠ j at a regular simplex of K vertices on the sphere of this radius."""
    return ...


lesson.check("1a", inner_product)

# %% [markdown]
# ## Why it is best
#
# Take *any* unit vectors $u_1, \dots, u_K$. The squared norm of their sum is not negative:
#
# $$0 \le \Big\|\sum_i u_i\Big\|^2 = K + K(K-1)\cdot(\text{mean cosine}).$$
#
# So the mean cosine is at least $-1/(K-1)$, and the largest cosine – of the two classes that are nearest to each
# other – is at least as large as the mean. It is $-1/(K-1)$ only if no cosine is above the mean, so all are equal, and
# the sum is 0: a regular simplex. Nothing else keeps the nearest two classes as far apart.
#
# The mean alone does not tell: it takes its least value at *every* configuration whose sum is 0.

# %%
generator = np.random.default_rng(0)
for num_classes in (3, 5, 10):
    pairs = np.triu_indices(num_classes, 1)
    for _ in range(1000):
        anything = generator.standard_normal((num_classes, 4))
        anything /= np.linalg.norm(anything, axis=1, keepdims=True)
        cosines = (anything @ anything.T)[pairs]
        assert cosines.max() >= cosines.mean() >= -1 / (num_classes - 1) - 1e-12
opposite = np.concatenate([np.eye(5), -np.eye(5)])  # five pairs of opposite vectors
cosines = (opposite @ opposite.T)[np.triu_indices(10, 1)]
print(f"five opposite pairs: mean cosine {cosines.mean():.4f}, −1/9 = {-1 / 9:.4f}; largest cosine {cosines.max():g}")
assert np.isclose(cosines.mean(), -1 / 9)
assert cosines.max() > -1 / 9 + 0.1

# %% [markdown]
# ## How many dimensions it takes
#
# The Gram matrix of the vertices has $\rho^2$ on its diagonal and $-\rho^2/(K-1)$ elsewhere. Its rank is $K - 1$: the
# only direction it sends to 0 is $(1, \dots, 1)$, because of (S1). Vectors in $h$ dimensions have a Gram matrix of
# rank at most $h$, so $K - 1 \le h$. In the plane, four points cannot have equal inner products.

# %%
for num_classes in (2, 3, 4, 10):
    gram = np.where(np.eye(num_classes) == 1, 1.0, -1 / (num_classes - 1))
    assert np.linalg.matrix_rank(gram) == num_classes - 1
try:
    geometry.regular_simplex(num_classes=4, dimension=2)
except ValueError as error:
    print(f"Four classes in the plane: {error}")
else:
    raise AssertionError("a simplex of four vertices in the plane")
square = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
print(f"The square: {geometry.simplex_deviation(square)}")
assert geometry.simplex_deviation(square).centre == geometry.simplex_deviation(square).norm == 0
assert geometry.simplex_deviation(square).inner_product > 0.5  # neighbours have 0, opposite corners −1

# %% [markdown]
# ## Without negative coordinates
#
# Many encoders end in a ReLU: none of their outputs is negative. Then no inner product is negative either, for it is a
# sum of products of such numbers. So the largest cosine is at least 0, and it is 0 only if no two vectors have a
# positive coordinate in common: an *orthogonal frame*, $K$ vectors at right angles, in at least $K$ dimensions. Under a
# ReLU that is the best there is.

# %%
for _ in range(1000):
    outputs = np.maximum(generator.standard_normal((5, 8)), 0)  # a ReLU
    assert (outputs @ outputs.T).min() >= 0
frame = geometry.orthogonal_frame(num_classes=5, dimension=8)
assert np.all(frame >= 0)
assert np.allclose(frame @ frame.T, np.eye(5))
overlap = frame.copy()
overlap[0, np.argmax(frame[1])] += 0.1  # one coordinate in common
assert (overlap @ overlap.T)[0, 1] > 0

# %% [markdown]
# ## More and more classes
#
# The paper measures similarity as an angle (its Eq. 7): $\gamma(x, y) = 1 - \arccos(\cos(x, y))/\pi$. It is 1 for the
# same direction, 0.5 for a right angle – the orthogonal frame – and 0 for opposite directions.

# %%
lesson.predict(
    "1c",
    "As K grows, where does the simplex go, beside the orthogonal frame?",
    ["away from it", "towards it", "it keeps its distance"],
)

# %%
classes = np.array([2, 3, 4, 5, 7, 10, 20, 50, 100])
measured = []
for num_classes in classes:
    vertices = geometry.regular_simplex(num_classes, num_classes - 1)
    measured.append(geometry.angular_similarity(vertices[0], vertices[1]))
figure = new_figure(6, 3.2, "Similarity of two classes at the optimum")
axes = figure.subplots()
smooth = np.geomspace(2, 100, 200)
axes.plot(smooth, 1 - np.arccos(-1 / (smooth - 1)) / np.pi, label="theory: 1 − arccos(−1/(K−1))/π", **THEORY_LINE)
axes.plot(classes, measured, "o", color=CLASS_COLORS[0], label="measured on the vertices")
axes.axhline(geometry.ORTHOGONAL_SIMILARITY, color=CLASS_COLORS[1], label="orthogonal frame")
axes.set(xscale="log", xlabel="classes K", ylabel="angular similarity γ", xticks=[2, 3, 5, 10, 20, 50, 100])
axes.set_xticklabels([2, 3, 5, 10, 20, 50, 100])
axes.minorticks_off()
axes.legend(loc="lower right")
lesson.show(figure, "similarity")
assert np.allclose(measured, [geometry.simplex_similarity(num_classes) for num_classes in classes])
assert np.all(np.diff(measured) > 0)
assert max(measured) < 0.5
lesson.replay("1c", "b" if measured[-1] > measured[0] else "a")

# %% [markdown]
# **Answer:** towards it. From 0 at $K = 2$ the similarity rises to 0.4646 at $K = 10$ and 0.4968 at $K = 100$. So a
# picture can tell simplex and frame apart on CIFAR10, with ten classes, and hardly on CIFAR100.

# %%
assert round(geometry.simplex_similarity(10), 4) == 0.4646
assert round(geometry.simplex_similarity(100), 4) == 0.4968

# %% [markdown]
# **Exercise 1b** (easy, 3 minutes). The angle between two vertices, in degrees.
#
# **Exercise 1d** (medium, 6 minutes). From how many classes on is the simplex within `gap` of the orthogonal frame?


# %%
def angle(num_classes):
    """Angle between two vertices of a regular simplex, in degrees."""
    return ...


def classes_needed(gap):
    """The smallest K ≥ 2 with 0.5 − γ(K) ≤ gap."""
    return ...


lesson.check("1b", angle)
lesson.check("1d", classes_needed)

# %% [markdown]
# ## Centring
#
# Papers on *neural collapse* subtract the mean of all class means from each of them before they look at them. Below
# are the cosines of the class means of a simplex and of an orthogonal frame, as they are and centred: four matrices.

# %%
lesson.predict(
    "1d",
    "Simplex and frame, each as it is and centred: which of the four matrices of cosines are equal?",
    [
        "the two of the simplex, and the two of the frame",
        "all but the frame as it is",
        "all but the simplex as it is",
        "all four differ",
    ],
)

# %%
num_classes = 5
configurations = {
    "regular simplex": geometry.regular_simplex(num_classes, num_classes),
    "orthogonal frame": geometry.orthogonal_frame(num_classes, num_classes),
}
labels = np.repeat(np.arange(num_classes), 3)
found = {name: geometry.statistics(means[labels], labels) for name, means in configurations.items()}
figure = new_figure(6.4, 6, "Cosines of class means")
panels = figure.subplots(2, 2)
for row, (name, statistics) in zip(panels, found.items(), strict=True):
    for axes, matrix, how in zip(row, (statistics.gram, statistics.centred_gram), ("as it is", "centred"), strict=True):
        image = axes.imshow(matrix, vmin=-1, vmax=1, cmap="PuOr_r")
        axes.set(title=f"{name},\n{how}: {matrix[0, 1]:.2f}", xticks=range(5), yticks=range(5))
figure.colorbar(image, ax=panels, shrink=0.7, label="cosine")
lesson.show(figure, "centring")
simplex, frame = found.values()
assert np.allclose(simplex.gram, simplex.centred_gram)
assert np.allclose(simplex.gram, frame.centred_gram)
assert np.allclose(frame.gram, np.eye(num_classes))
assert max(simplex.nc2, frame.nc2) < 1e-12  # NC2, which centres, cannot tell the two apart
lesson.replay("1d", "b")

# %% [markdown]
# **Answer:** three of them are equal. Only the frame as it is looks different: a centred orthogonal frame *is* a
# regular simplex. `simplexlab` therefore shows both matrices, and its tables hold the optimum of a ReLU encoder beside
# that of a free one.

# %% [markdown]
# **Exercise 1c** (medium, 6 minutes). Make a simplex that way: take the $K$ unit vectors, subtract their mean, and
# scale every row to norm 1. Lesson 3 goes on with your function.


# %%
def simplex_from_frame(num_classes):
    """Vertices of a regular simplex of radius 1, one a row, shape (K, K)."""
    return ...


lesson.check("1c", simplex_from_frame)

# %% [markdown]
# ## Explain it

# %%
lesson.explain("1.1")
lesson.explain("1.2")
lesson.explain("1.3")

# %%
gap = 0.5 - geometry.simplex_similarity(10)
lesson.end(
    f"""A regular simplex of 3 classes has inner product {numbers["simplices"][1]["inner_product"]:g}, and from 4
    classes on it needs a third dimension. With 10 classes its similarity is
    {geometry.simplex_similarity(10):.4f}, only {gap:.4f} below the orthogonal frame that a ReLU encoder can reach.
    Centring turns one into the other: their NC2 is {simplex.nc2:.0e} and {frame.nc2:.0e}.
    Try next: which configuration of five points in the plane would you choose, and what does simplex_deviation say of
    it?"""
)
