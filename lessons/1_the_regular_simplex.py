# %% [markdown]
# # 1 · The regular simplex
#
# Goal: know the configuration at which cross-entropy and the supervised contrastive loss are smallest.
#
# You should know: vectors, inner products, the rank of a matrix.
#
# Minutes: 0.1 on two CPU cores (measured)
#
# On the command line: `simplexlab figure 3`, `simplexlab geometry FILE.npz`
#
# Run the cells in order. Exercises are short functions whose body is `return ...`; write your lines, run the cell,
# and the check below it tells whether you are right. The lesson also runs as it is: `python
# lessons/1_the_regular_simplex.py`.

# %%
import numpy as np

from simplexlab import geometry
from simplexlab.course import Lesson
from simplexlab.figures import simplices
from simplexlab.figures.style import CLASS_COLORS, THEORY_LINE, new_figure

lesson = Lesson(1)

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
assert np.allclose(vertices.sum(axis=0), 0)  # (S1)
assert np.allclose(np.linalg.norm(vertices, axis=1), 1)  # (S2)
assert np.allclose((vertices @ vertices.T)[~np.eye(3, dtype=bool)], -1 / 2)  # (S3)

# %% [markdown]
# The three conditions leave no choice for $d$. The sum is 0, so its squared norm is 0; that norm holds $K$ squared
# norms and $K(K-1)$ inner products, so
#
# $$0 = \Big\|\sum_i \zeta_i\Big\|^2 = K\rho^2 + K(K-1)\,d .$$
#
# **Exercise 1a** (1 line). Solve it for $d$.


# %%
def inner_product(num_classes, radius):
    """⟨ζ_i, ζ_j⟩ for i ≠ j at a regular simplex of K vertices on the sphere of this radius."""
    return ...


lesson.check("1a", inner_product)

# %% [markdown]
# ## What it looks like
#
# **Predict:** two classes sit at opposite poles. Where does the third class go, and what happens to the first two?
# And where does a fourth one go?

# %%
numbers = simplices.simplices()
figure, caption = simplices.draw(numbers)
lesson.show(figure, "simplices")
for simplex in numbers["simplices"]:
    print(f"K = {simplex['classes']}: inner product {simplex['inner_product']:.3f}, {simplex['angle_degrees']:.1f}°")
    measured = np.array(simplex["vertices"])
    assert np.allclose(measured[0] @ measured[1], simplex["inner_product"])

# %% [markdown]
# **Answer:** the third class cannot stay on the line of the first two. All three share a plane at 120°, and the first
# two move towards each other. The fourth leaves the plane: a tetrahedron, 109.5°. Each further class costs the others
# some angle.
#
# **Exercise 1b** (2 lines). The angle between two vertices, in degrees.


# %%
def angle(num_classes):
    """Angle between two vertices of a regular simplex, in degrees."""
    return ...


lesson.check("1b", angle)

# %% [markdown]
# ## Why K ≤ h + 1
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
# ## More and more classes
#
# The paper measures similarity as an angle (its Eq. 7): $\gamma(x, y) = 1 - \arccos(\cos(x, y))/\pi$. It is 1 for the
# same direction, 0.5 for a right angle, 0 for opposite directions.
#
# The *orthogonal frame* – $K$ vectors at right angles – is the best that an encoder can do whose outputs are never
# negative, such as one that ends in a ReLU. It has $\gamma = 0.5$.
#
# **Predict:** as $K$ grows, does the simplex move away from the orthogonal frame, or towards it? Could you see the
# difference at $K = 100$?

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

# %% [markdown]
# **Answer:** towards it. From 0 at $K = 2$ the similarity rises to 0.4646 at $K = 10$ and 0.4968 at $K = 100$. The
# paper therefore sees the limit of its ReLU encoders on CIFAR10 but not on CIFAR100.

# %%
assert round(geometry.simplex_similarity(10), 4) == 0.4646
assert round(geometry.simplex_similarity(100), 4) == 0.4968

# %% [markdown]
# **Exercise 1c** (3 lines). A simplex is a centred orthogonal frame. Take the $K$ unit vectors, subtract their mean,
# and scale every row to norm 1.
#
# **Exercise 1d** (4 lines). From how many classes on is the simplex within `gap` of the orthogonal frame?


# %%
def simplex_from_frame(num_classes):
    """Vertices of a regular simplex of radius 1, one a row, shape (K, K)."""
    return ...


def classes_needed(gap):
    """The smallest K ≥ 2 with 0.5 − γ(K) ≤ gap."""
    return ...


lesson.check("1c", simplex_from_frame)
lesson.check("1d", classes_needed)

# %% [markdown]
# ## Centring hides the difference
#
# Papers on *neural collapse* centre the class means before they look at them.
#
# **Predict:** below are the cosines of the class means of a simplex and of an orthogonal frame, as they are and
# centred. Which of the four matrices are equal?

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

# %% [markdown]
# **Answer:** three of them. Only the frame as it is looks different. `simplexlab` therefore shows both pictures, and
# tells in its table whether an encoder can reach the simplex at all.

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
