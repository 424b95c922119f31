"""Every exercise turns plausible wrong answers away, whatever it draws, and lets right ones pass in any shape."""

import math
import time
from fractions import Fraction

import numpy as np
import pytest

from simplexlab import geometry, theory
from simplexlab.course import EXERCISES, QUESTIONS, judge
from simplexlab.course.questions import Choice

norm = np.linalg.norm


def unit(rows):
    return rows / norm(rows, axis=1, keepdims=True)


def softmax(scores):
    weights = np.exp(scores - scores.max())
    return weights / weights.sum()


# Lesson 1
WRONG, RIGHT = {}, {}
WRONG["1a"] = {
    "without its sign": lambda k, r: r**2 / (k - 1),
    "radius not squared": lambda k, r: -r / (k - 1),
    "K for K - 1": lambda k, r: -(r**2) / k,
    "three classes written in": lambda k, r: -(r**2) / 2,
    "radius left out": lambda k, r: -1 / (k - 1),
    "floor division": lambda k, r: -(r**2) // (k - 1),
}
RIGHT["1a"] = {
    "float32": lambda k, r: np.float32(-r * r / (k - 1)),
    "as an array": lambda k, r: np.array(-r * r / (k - 1)),
    "exact": lambda k, r: -(Fraction(str(r)) ** 2) / (k - 1),
}
WRONG["1b"] = {
    "radians": lambda k: np.arccos(-1 / (k - 1)),
    "a third of the circle": lambda k: 360 / k,
    "the sign lost": lambda k: np.degrees(np.arccos(1 / (k - 1))),
    "three classes written in": lambda k: 120.0,
    "the similarity": lambda k: 1 - np.arccos(-1 / (k - 1)) / np.pi,
    "similarity in degrees": lambda k: 180 * geometry.simplex_similarity(k),
    "text": lambda k: f"{np.degrees(np.arccos(-1 / (k - 1)))}",
}
RIGHT["1b"] = {
    "float32": lambda k: np.degrees(np.arccos(np.float32(-1 / (k - 1)))),
    "by math": lambda k: math.degrees(math.acos(-1 / (k - 1))),
}
WRONG["1c"] = {
    "the frame": np.eye,
    "not centred": lambda k: np.eye(k) + 0.5,
    "norms not 1": lambda k: np.eye(k) - 1 / k,
    "in K - 1 dimensions": lambda k: geometry.regular_simplex(k, k - 1),
    "three classes written in": lambda k: geometry.regular_simplex(3, 3),
    "radius 2": lambda k: geometry.regular_simplex(k, k, 2.0),
    "one class less": lambda k: geometry.regular_simplex(k, k)[:-1],
    "text": lambda k: "simplex",
}


def simplex_in_place(k):
    rows = np.eye(k)
    rows -= rows.mean(axis=0)
    rows /= norm(rows, axis=1, keepdims=True)
    return rows


RIGHT["1c"] = {
    "in place": simplex_in_place,
    "lists": lambda k: simplex_in_place(k).tolist(),
    "another simplex": lambda k: -geometry.regular_simplex(k, k),
    "float32": lambda k: simplex_in_place(k).astype(np.float32),
}


def first_class(gap, start=2, strict=False):
    k = start
    while not (0.5 - geometry.simplex_similarity(k) < gap if strict else 0.5 - geometry.simplex_similarity(k) <= gap):
        k += 1
    return k


WRONG["1d"] = {
    "as a float": lambda gap: float(first_class(gap)),
    "one more": lambda gap: first_class(gap) + 1,
    "the last that is too far": lambda gap: first_class(gap) - 1,
    "starting at 3": lambda gap: first_class(gap, 3),
    "small angles": lambda gap: math.floor(1 / (np.pi * gap)),
    "cosine for similarity": lambda gap: math.ceil(1 + 1 / gap),
}
RIGHT["1d"] = {
    "in closed form": lambda gap: math.ceil(1 + 1 / math.sin(math.pi * min(gap, 0.5))),
    "numpy's int": lambda gap: np.int64(first_class(gap)),
}


# Lesson 2
def supcon(z, y, t, *, itself=False, inside=False, mean=False, own_negatives=False, lonely=False):
    z, total = np.asarray(z, float), 0.0
    for i in range(len(z)):
        others = np.arange(len(z)) != i
        positives = others & (y == y[i])
        if not positives.any():
            total += lonely
            continue
        inner = z @ z[i] / t
        seen = np.ones(len(z), bool) if itself else others
        seen = others & (y != y[i]) if own_negatives else seen
        if inside:
            total -= np.log(np.exp(inner[positives]).mean() / np.exp(inner[seen]).sum())
        else:
            total += np.log(np.exp(inner[seen]).sum()) - inner[positives].mean()
    return total / len(z) if mean else total


WRONG["2a"] = {
    "mean over anchors": lambda z, y, t: supcon(z, y, t, mean=True),
    "the anchor among the others": lambda z, y, t: supcon(z, y, t, itself=True),
    "the mean inside of the log": lambda z, y, t: supcon(z, y, t, inside=True),
    "negatives alone below": lambda z, y, t: supcon(z, y, t, own_negatives=True),
    "the lonely anchor counts": lambda z, y, t: supcon(z, y, t, lonely=1.0),
    "no temperature": lambda z, y, t: supcon(z, y, 1.0),
    "temperature multiplied": lambda z, y, t: supcon(z, y, 1 / t),
    "root of the temperature": lambda z, y, t: supcon(z, y, np.sqrt(t)),
    "no sign": lambda z, y, t: -supcon(z, y, t),
    "NaN for the lonely": lambda z, y, t: np.nan,
}


def supcon_in_place(z, y, t):
    z /= np.sqrt(t)
    total, y = 0.0, y.tolist()
    for i in range(len(y)):
        positives = [j for j in range(len(y)) if j != i and y[j] == y[i]]
        if positives:
            scores = [math.exp(z[k] @ z[i]) for k in range(len(y)) if k != i]
            total -= sum(z[j] @ z[i] - math.log(sum(scores)) for j in positives) / len(positives)
    z[:] = 0
    return total


RIGHT["2a"] = {
    "in place": supcon_in_place,
    "float32": lambda z, y, t: np.float32(supcon(z, y, t)),
    "the package": lambda z, y, t: theory.sc_loss_batch(z / np.sqrt(t), y),
}


def shares(points, anchor, t, keep=False):
    weights = np.exp(points @ points[anchor] / t)
    weights[anchor] = weights[anchor] if keep else 0
    return weights / weights.sum()


WRONG["2b"] = {
    "with the anchor": lambda z, i, t: shares(z, i, t, keep=True),
    "temperature multiplied": lambda z, i, t: shares(z, i, 1 / t),
    "the first point as anchor": lambda z, i, t: shares(z, 0, t),
    "without the anchor's place": lambda z, i, t: np.delete(shares(z, i, t), i),
    "not divided": lambda z, i, t: np.exp(z @ z[i] / t) * (np.arange(len(z)) != i),
    "equal shares": lambda z, i, t: (np.arange(len(z)) != i) / (len(z) - 1),
    "as a column": lambda z, i, t: shares(z, i, t)[:, None],
}


def shares_in_place(z, i, t):
    inner = z @ z[i]
    inner /= t
    z[:] = np.nan
    inner[i] = -np.inf
    return softmax(inner)


RIGHT["2b"] = {
    "in place": shares_in_place,
    "a list": lambda z, i, t: shares(z, i, t).tolist(),
    "float32": lambda z, i, t: shares(z, i, t).astype(np.float32),
}
WRONG["2c"] = {
    "the gradient": lambda z, w, y: softmax(w @ z) @ w - w[y],
    "pull alone": lambda z, w, y: w[y],
    "equal shares": lambda z, w, y: w[y] - w.mean(axis=0),
    "class 0": lambda z, w, y: w[0] - softmax(w @ z) @ w,
    "without itself below": lambda z, w, y: w[y] - np.delete(softmax(w @ z), y) @ np.delete(w, y, axis=0),
    "weights of the scores": lambda z, w, y: w[y] - (w @ z) @ w,
    "one number": lambda z, w, y: float(norm(w[y] - softmax(w @ z) @ w)),
}
RIGHT["2c"] = {
    "a loop": lambda z, w, y: w[y] - sum(p * row for p, row in zip(softmax(w @ z), w, strict=True)),
    "float32": lambda z, w, y: (w[y] - softmax(w @ z) @ w).astype(np.float32),
}
WRONG["2d"] = {
    "the point not a unit vector": lambda f, z: f - (f @ z) * z,
    "the norm not squared": lambda f, z: f - (f @ z) * z / norm(z),
    "the outward part": lambda f, z: (f @ z) * z / (z @ z),
    "the wrong sign": lambda f, z: f + (f @ z) * z / (z @ z),
    "without the sign of the product": lambda f, z: f - abs(f @ z) * z / (z @ z) * (1 if f @ z < 0 else -1),
    "projected on the force": lambda f, z: z - (f @ z) * f / (f @ f),
    "the whole force": lambda f, z: f,
}


def along_in_place(force, point):
    point /= norm(point)
    force -= (force @ point) * point
    return force


RIGHT["2d"] = {
    "in place": along_in_place,
    "a tuple": lambda f, z: tuple(f - (f @ z) * z / (z @ z)),
}


# Lesson 3
def floor(k, exponent):
    return np.log1p((k - 1) * np.exp(-exponent))


WRONG["3a"] = {
    "the root over all": lambda k, r, f: floor(k, r * np.sqrt(k / (k - 1)) * f),
    "without the root": lambda k, r, f: floor(k, r * k / (k - 1) * f),
    "K for K - 1 before the exponential": lambda k, r, f: np.log(1 + k * np.exp(-r * np.sqrt(k) / (k - 1) * f)),
    "three classes written in": lambda k, r, f: floor(3, r * np.sqrt(3) / 2 * f),
    "the sign of the exponent": lambda k, r, f: floor(k, -r * np.sqrt(k) / (k - 1) * f),
    "the norm squared": lambda k, r, f: floor(k, r * np.sqrt(k) / (k - 1) * f**2),
    "in bits": lambda k, r, f: floor(k, r * np.sqrt(k) / (k - 1) * f) / np.log(2),
    "without the radius": lambda k, r, f: floor(k, np.sqrt(k) / (k - 1) * f),
}
RIGHT["3a"] = {
    "by math": lambda k, r, f: math.log(1 + (k - 1) * math.exp(-r * math.sqrt(k) / (k - 1) * f)),
    "float32": lambda k, r, f: np.float32(floor(k, r * np.sqrt(k) / (k - 1) * f)),
}
WRONG["3b"] = {
    "theorem 1 as it is": lambda k, r, w: floor(k, r * np.sqrt(k) / (k - 1) * w),
    "K squared": lambda k, r, w: floor(k, r * k**2 / (k - 1) * w),
    "without K": lambda k, r, w: floor(k, r * w / (k - 1)),
    "orthogonal frame": lambda k, r, w: floor(k, r * w),
    "three classes written in": lambda k, r, w: floor(3, r * 1.5 * w),
    "the sum of the norms": lambda k, r, w: floor(k, r * k * np.sqrt(k) / (k - 1) * w),
}
RIGHT["3b"] = {
    "from theorem 1": lambda k, r, w: theory.ce_bound_frobenius(k, r, np.sqrt(k) * w),
    "as an array": lambda k, r, w: np.array(floor(k, r * k / (k - 1) * w)),
}


def bisect(radius, decay, k, *, factor=None, sides=2, rounds=100, high=None):
    factor = k * radius / (k - 1) if factor is None else factor
    low, high = 0.0, radius / decay if high is None else high
    for _ in range(rounds):
        x = (low + high) / 2
        smaller = sides * decay * x < radius / (math.exp(min(factor * x, 700)) + k - 1)
        low, high = (x, high) if smaller else (low, x)
    return x


WRONG["3c"] = {
    "λ for 2λ": lambda r, d, k: bisect(r, d, k, sides=1),
    "too few halvings": lambda r, d, k: bisect(r, d, k, rounds=8),
    "the factor of theorem 1": lambda r, d, k: bisect(r, d, k, factor=np.sqrt(k) * r / (k - 1)),
    "three classes written in": lambda r, d, k: bisect(r, d, 3) if k != 3 else bisect(r, d, 4),
    "an interval too short": lambda r, d, k: bisect(r, d, k, high=0.1),
    "norm of the whole matrix": lambda r, d, k: np.sqrt(k) * bisect(r, d, k),
    "decay and radius exchanged": lambda r, d, k: bisect(d, r, k),
}
RIGHT["3c"] = {
    "bisection": bisect,
    "float32": lambda r, d, k: np.float32(bisect(r, d, k)),
}


def place(k, n, r, f, points=None, weights=None, scale=1.0):
    simplex = geometry.regular_simplex(k, k)
    labels = np.repeat(np.arange(k), n)
    points = simplex if points is None else points
    return scale * r * points[labels], labels, f / np.sqrt(k) * (simplex if weights is None else weights)


WRONG["3d"] = {
    "points not on the sphere": lambda k, n, r, f: place(k, n, r, f, scale=0.9),
    "points outside": lambda k, n, r, f: place(k, n, r, f, scale=1.1),
    "weights too long": lambda k, n, r, f: (*place(k, n, r, f)[:2], f * geometry.regular_simplex(k, k)),
    "points at the frame": lambda k, n, r, f: place(k, n, r, f, points=np.eye(k)),
    "weights turned around": lambda k, n, r, f: place(k, n, r, f, weights=-geometry.regular_simplex(k, k)),
    "one class alone": lambda k, n, r, f: (place(k, n, r, f)[0], np.zeros(k * n, int), place(k, n, r, f)[2]),
    "three classes of four": lambda k, n, r, f: place(3, 4, 1.0, 3.0),
    "weights missing": lambda k, n, r, f: place(k, n, r, f)[:2],
    "one number": lambda k, n, r, f: 0.0,
}
RIGHT["3d"] = {
    "labels as floats": lambda k, n, r, f: (lambda z, y, w: (z, y.astype(float), w))(*place(k, n, r, f)),
    "lists": lambda k, n, r, f: [part.tolist() for part in place(k, n, r, f)],
    "float32": lambda k, n, r, f: [part.astype(np.float32) for part in place(k, n, r, f)],
    "in K - 1 dimensions": lambda k, n, r, f: (
        r * np.repeat(geometry.regular_simplex(k, k - 1), n, axis=0),
        np.repeat(np.arange(k), n),
        f / np.sqrt(k) * geometry.regular_simplex(k, k - 1),
    ),
}

# Lesson 4
comb = math.comb
WRONG["4a"] = {
    "subsets": lambda n, b: comb(n, b),
    "words": lambda n, b: n**b,
    "one too many": lambda n, b: comb(n + b, b),
    "the two exchanged": lambda n, b: comb(n + b - 1, n),
    "as a float": lambda n, b: float(comb(n + b - 1, b)),
    "order counted": lambda n, b: math.perm(n + b - 1, b),
}
RIGHT["4a"] = {
    "bars for stars": lambda n, b: comb(n + b - 1, n - 1),
    "numpy's int": lambda n, b: np.int64(comb(n + b - 1, b)),
    "by factorials": lambda n, b: math.factorial(n + b - 1) // math.factorial(b) // math.factorial(n - 1),
}


def of_counts(counts, gap, least=2, size=None, mean=False):
    b = sum(counts) if size is None else size
    value = sum(n * np.log(n - 1 + (b - n) * np.exp(-gap)) for n in counts if n >= least)
    return value / b if mean else value


WRONG["4b"] = {
    "counts of 1 as well": lambda c, r: of_counts(c, len(c) / (len(c) - 1) * r**2, least=1),
    "classes that are there": lambda c, r: of_counts(c, (k := sum(n > 1 for n in c)) / max(k - 1, 1e-9) * r**2),
    "b of the pairs alone": lambda c, r: of_counts(c, len(c) / (len(c) - 1) * r**2, size=sum(n for n in c if n > 1)),
    "radius not squared": lambda c, r: of_counts(c, len(c) / (len(c) - 1) * r),
    "radius for temperature": lambda c, r: of_counts(c, len(c) / (len(c) - 1) / r),
    "orthogonal frame": lambda c, r: of_counts(c, r**2),
    "mean over anchors": lambda c, r: of_counts(c, len(c) / (len(c) - 1) * r**2, mean=True),
    "three classes written in": lambda c, r: of_counts(c, 1.5 * r**2),
}
RIGHT["4b"] = {
    "float32": lambda c, r: np.float32(of_counts(c, len(c) / (len(c) - 1) * r**2)),
    "an array": lambda c, r: np.asarray(of_counts(c, len(c) / (len(c) - 1) * r**2)),
}


def multisets(n, b):
    return comb(n + b - 1, b)


WRONG["4c"] = {
    "N - n for b - l": lambda k, n, b, c: k * multisets(n, c) * multisets(k * n - n, k * n - n),
    "b for b - l": lambda k, n, b, c: k * multisets(n, c) * multisets(k * n - n, b),
    "N for N - n": lambda k, n, b, c: k * multisets(n, c) * multisets(k * n, b - c),
    "one class alone": lambda k, n, b, c: multisets(n, c) * multisets(k * n - n, b - c),
    "subsets": lambda k, n, b, c: k * comb(n, c) * comb(k * n - n, b - c),
    "three classes written in": lambda k, n, b, c: 3 * multisets(n, c) * multisets(2 * n, b - c),
    "as a float": lambda k, n, b, c: float(k * multisets(n, c) * multisets(k * n - n, b - c)),
}
RIGHT["4c"] = {
    "bars for stars": lambda k, n, b, c: k * comb(n + c - 1, n - 1) * comb(k * n - n + b - c - 1, b - c),
    "numpy's int": lambda k, n, b, c: np.int64(k * multisets(n, c) * multisets(k * n - n, b - c)),
}


def by_law(k, b, t, *, gap=None, size=None, factor=None, share=None):
    gap = k / (k - 1) / t if gap is None else gap
    size, share = b if size is None else size, 1 / k if share is None else share
    law = [comb(size, n) * share**n * (1 - share) ** (size - n) for n in range(size + 1)]
    value = sum(law[n] * n * np.log(n - 1 + (b - n) * np.exp(-gap)) for n in range(2, size + 1))
    return (k if factor is None else factor) * value


WRONG["4d"] = {
    "an anchor's": lambda k, b, t: by_law(k, b, t) / b,
    "one class alone": lambda k, b, t: by_law(k, b, t, factor=1),
    "orthogonal frame": lambda k, b, t: by_law(k, b, t, gap=1 / t),
    "radius for temperature": lambda k, b, t: by_law(k, b, t, gap=k / (k - 1) * t**2),
    "b - 1 draws": lambda k, b, t: by_law(k, b, t, size=b - 1),
    "three classes written in": lambda k, b, t: by_law(3, b, t) if k != 3 else by_law(4, b, t),
    "equal counts": lambda k, b, t: b * np.log(b / k - 1 + (b - b / k) * np.exp(-k / (k - 1) / t)),
    "all multisets": lambda k, b, t: theory.sc_bound(k, b, temperature=t, samples_per_class=20),
}
RIGHT["4d"] = {
    "by hand": by_law,
    "the package": lambda k, b, t: theory.sc_bound(k, b, temperature=t, sampling="iid"),
    "float32": lambda k, b, t: np.float32(by_law(k, b, t)),
}


# Lesson 5
def means_of(z, y):
    return np.array([z[y == k].mean(axis=0) for k in range(y.max() + 1)])


WRONG["5a"] = {
    "centred": lambda z, y: means_of(z, y) - means_of(z, y).mean(axis=0),
    "sums": lambda z, y: np.array([z[y == k].sum(axis=0) for k in range(y.max() + 1)]),
    "divided by N": lambda z, y: np.array([z[y == k].sum(axis=0) for k in range(y.max() + 1)]) / len(z),
    "one row too few": lambda z, y: means_of(z, y)[:-1],
    "over the other axis": lambda z, y: np.array([z[y == k].mean(axis=1).sum() for k in range(y.max() + 1)]),
    "of unit length": lambda z, y: unit(means_of(z, y)),
    "median": lambda z, y: np.array([np.median(z[y == k], axis=0) for k in range(y.max() + 1)]) + 1e-3,
    "transposed": lambda z, y: means_of(z, y).T,
}


def means_in_place(z, y):
    found = np.zeros((y.max() + 1, z.shape[1]))
    for k in range(len(found)):
        found[k] = z[y == k].mean(axis=0)
        z[y == k] = 0
    y[:] = 0
    return found


RIGHT["5a"] = {
    "in place": means_in_place,
    "a list of arrays": lambda z, y: list(means_of(z, y)),
    "a dictionary's values": lambda z, y: list({k: z[y == k].mean(axis=0) for k in sorted(set(y.tolist()))}.values()),
}
WRONG["5b"] = {
    "nearest mean": lambda z, m: np.argmin(norm(z[:, None] - m, axis=2), axis=1),
    "cosine": lambda z, m: np.argmax(z @ unit(m).T, axis=1),
    "the other axis": lambda z, m: np.argmax(z @ m.T, axis=0),
    "smallest": lambda z, m: np.argmin(z @ m.T, axis=1),
    "floats": lambda z, m: np.argmax(z @ m.T, axis=1).astype(float),
    "without the sign": lambda z, m: np.argmax(np.abs(z @ m.T), axis=1),
    "scores": lambda z, m: z @ m.T,
    "as a column": lambda z, m: np.argmax(z @ m.T, axis=1)[:, None],
}
RIGHT["5b"] = {
    "a list": lambda z, m: [int(np.argmax(m @ point)) for point in z],
    "int32": lambda z, m: np.argmax(z @ m.T, axis=1).astype(np.int32),
    "centred means, which decide alike": lambda z, m: np.argmax(z @ (m - m.mean(axis=0)).T, axis=1),
    "unsigned": lambda z, m: np.argmax(z @ m.T, axis=1).astype(np.uint8),
}


def cosine(x, y):
    return x @ y / (norm(x) * norm(y))


WRONG["5c"] = {
    "without the clip": lambda x, y: 1 - np.arccos(cosine(x, y)) / np.pi,
    "the cosine": cosine,
    "without its sign": lambda x, y: 1 - np.arccos(np.clip(abs(cosine(x, y)), -1, 1)) / np.pi,
    "the angle": lambda x, y: np.arccos(np.clip(cosine(x, y), -1, 1)) / np.pi,
    "over 2π": lambda x, y: 1 - np.arccos(np.clip(cosine(x, y), -1, 1)) / (2 * np.pi),
    "not divided by the norms": lambda x, y: 1 - np.arccos(np.clip(x @ y, -1, 1)) / np.pi,
    "half of 1 + cosine": lambda x, y: (1 + cosine(x, y)) / 2,
}


def similarity_in_place(x, y):
    x /= norm(x)
    y /= norm(y)
    return 1 - math.acos(max(-1.0, min(1.0, float(x @ y)))) / math.pi


RIGHT["5c"] = {
    "in place": similarity_in_place,
    "by chords": lambda x, y: (
        1 - 2 * np.arctan2(norm(x / norm(x) - y / norm(y)), norm(x / norm(x) + y / norm(y))) / np.pi
    ),
}


def above(z, y, w, radius=None, frobenius=None, k=None):
    radius = norm(z, axis=1).max() if radius is None else radius
    frobenius = norm(w) if frobenius is None else frobenius
    return theory.ce_loss(z, y, w) - theory.ce_bound_frobenius(k or len(w), radius, frobenius)


WRONG["5d"] = {
    "mean norm": lambda z, y, w: above(z, y, w, radius=norm(z, axis=1).mean()),
    "norm of the whole matrix of points": lambda z, y, w: above(z, y, w, radius=norm(z)),
    "largest singular value": lambda z, y, w: above(z, y, w, frobenius=norm(w, 2)),
    "largest row": lambda z, y, w: above(z, y, w, frobenius=norm(w, axis=1).max()),
    "the loss": lambda z, y, w: theory.ce_loss(z, y, w),
    "a ratio": lambda z, y, w: theory.ce_loss(z, y, w) / (theory.ce_loss(z, y, w) - above(z, y, w)),
    "the wrong way round": lambda z, y, w: -above(z, y, w),
    "sum for mean": lambda z, y, w: above(z, y, w) + (len(y) - 1) * theory.ce_loss(z, y, w),
    "h for K": lambda z, y, w: above(z, y, w, k=w.shape[1]) if w.shape[1] != len(w) else 0.0,
}
RIGHT["5d"] = {
    "the package": above,
    "float32": lambda z, y, w: above(z.astype(np.float32), y, w.astype(np.float32)),
}

# Lesson 6
WRONG["6a"] = {
    "one": lambda k: 1.0,
    "one half": lambda k: 0.5,
    "share of a class": lambda k: 1 / k if k > 2 else 0.4,
    "among the others": lambda k: 1 - 1 / (k - 1),
    "ten classes": lambda k: 0.9,
    "percent": lambda k: 100 * (1 - 1 / k),
}
RIGHT["6a"] = {
    "as a fraction": lambda k: Fraction(k - 1, k),
    "float32": lambda k: np.float32((k - 1) / k),
}
WRONG["6b"] = {
    "right pairs alone": lambda p, k: (1 - p) ** 2,
    "points": lambda p, k: 1 - p,
    "any two wrong ones": lambda p, k: (1 - p) ** 2 + p**2,
    "K for K - 1": lambda p, k: (1 - p) ** 2 + p**2 / k,
    "ten classes": lambda p, k: (1 - p) ** 2 + p**2 / 9,
    "squared below": lambda p, k: (1 - p) ** 2 + (p / (k - 1)) ** 2,
}
RIGHT["6b"] = {
    "a sum over classes": lambda p, k: (1 - p) ** 2 + (k - 1) * (p / (k - 1)) ** 2,
    "float32": lambda p, k: np.float32((1 - p) ** 2 + p * p / (k - 1)),
}


def fit(iterations, errors, tolerance, compare=lambda e, t: e <= t, last=False, otherwise=None):
    found = [i for i, e in zip(iterations, errors, strict=True) if compare(e, tolerance)]
    return (found[-1] if last else found[0]) if found else otherwise


WRONG["6c"] = {
    "below the tolerance": lambda i, e, t: fit(i, e, t, lambda e, t: e < t),
    "error exactly 0": lambda i, e, t: fit(i, e, 0.0),
    "the budget where it never fits": lambda i, e, t: fit(i, e, t, otherwise=i[-1]),
    "infinity where it never fits": lambda i, e, t: fit(i, e, t, otherwise=np.inf),
    "the last time": lambda i, e, t: fit(i, e, t, last=True),
    "the position": lambda i, e, t: fit(range(len(e)), e, t),
    "as a float": lambda i, e, t: (lambda it: None if it is None else float(it))(fit(i, e, t)),
    "the smallest error": lambda i, e, t: i[int(np.argmin(e))] if min(e) <= t else None,
    "text": lambda i, e, t: str(fit(i, e, t)),
}


def fit_in_place(iterations, errors, tolerance):
    while errors:
        iteration = iterations.pop(0)
        if errors.pop(0) <= tolerance:
            return iteration
    return None


RIGHT["6c"] = {
    "in place": fit_in_place,
    "numpy's int": lambda i, e, t: (lambda it: None if it is None else np.int64(it))(fit(i, e, t)),
}


def steps(iteration, total, power=5, shift=0):
    return sum((1 - (t + shift) / total) ** power for t in range(iteration))


WRONG["6d"] = {
    "the integral": lambda i, t: t / 6 * (1 - (1 - i / t) ** 6),
    "counted from 1": lambda i, t: steps(i, t, shift=1),
    "linear": lambda i, t: steps(i, t, power=1),
    "not summed": lambda i, t: (1 - i / t) ** 5,
    "one step more": lambda i, t: steps(i, t) + (1 - i / t) ** 5 + 1e-3,
    "iterations": lambda i, t: i,
    "share of the whole": lambda i, t: steps(i, t) / max(steps(t, t), 1),
}
RIGHT["6d"] = {
    "by numpy": lambda i, t: np.sum((1 - np.arange(i) / t) ** 5),
    "by a loop": steps,
}

# Lesson 7
WRONG["7a"] = {
    "theorem 1": lambda k, r, f: floor(k, r * np.sqrt(k) / (k - 1) * f),
    "K for K - 1": lambda k, r, f: floor(k, r * f / np.sqrt(k)),
    "without the root": lambda k, r, f: floor(k, r * f / (k - 1)),
    "rows at the frame": lambda k, r, f: floor(k, r * f / np.sqrt(k)) if k > 2 else 1.0,
    "three classes written in": lambda k, r, f: floor(3, r * f / np.sqrt(2)),
    "the root above": lambda k, r, f: floor(k, r * f * np.sqrt(k - 1)) if k > 2 else 1.0,
    "the root over K / (K - 1)": lambda k, r, f: floor(k, r * f * np.sqrt(k / (k - 1))),
}
RIGHT["7a"] = {
    "by math": lambda k, r, f: math.log(1 + (k - 1) * math.exp(-r * f / math.sqrt(k - 1))),
    "float32": lambda k, r, f: np.float32(floor(k, r * f / np.sqrt(k - 1))),
}


def similarities(means):
    i, j = np.triu_indices(len(means), 1)
    return geometry.angular_similarity(means[i], means[j]), geometry.simplex_similarity(len(means))


def deviation(means, best=None, of=lambda it: np.abs(it).max()):
    found, simplex = similarities(means)
    return of(found - (simplex if best is None else best))


WRONG["7b"] = {
    "the mean": lambda m: deviation(m, of=lambda it: abs(it.mean())),
    "mean of the sizes": lambda m: deviation(m, of=lambda it: np.abs(it).mean()),
    "with its sign": lambda m: deviation(m, of=lambda it: it[np.argmax(np.abs(it))] - 1e-3),
    "the largest alone": lambda m: deviation(m, of=np.max),
    "of the frame": lambda m: deviation(m, best=0.5),
    "centred means": lambda m: deviation(m - m.mean(axis=0)),
    "cosines": lambda m: np.abs((unit(m) @ unit(m).T)[np.triu_indices(len(m), 1)] + 1 / (len(m) - 1)).max(),
    "with itself": lambda m: np.abs(geometry.angular_similarity(m[:, None], m[None]) - similarities(m)[1]).max(),
}
RIGHT["7b"] = {
    "in place": lambda m: (m.__itruediv__(norm(m, axis=1, keepdims=True)), deviation(m))[1],
    "float32": lambda m: np.float32(deviation(m)),
}
WRONG["7c"] = {
    "K - 1": lambda k: np.cos(2 * np.pi / (k - 1)),
    "half": lambda k: np.cos(np.pi / k),
    "degrees": lambda k: np.cos(360 / k),
    "the simplex": lambda k: -1 / (k - 1) if k > 3 else 0.0,
    "sine": lambda k: np.sin(2 * np.pi / k),
    "the angle": lambda k: 2 * np.pi / k,
    "without its sign": lambda k: abs(np.cos(2 * np.pi / k)),
}
RIGHT["7c"] = {
    "by math": lambda k: math.cos(math.radians(360 / k)),
    "float32": lambda k: np.float32(np.cos(2 * np.pi / k)),
}
WRONG["7d"] = {
    "theorem 1": lambda k, r, f: floor(k, r * np.sqrt(k) / (k - 1) * f),
    "without the root": lambda k, r, f: floor(k, r * f * k / (k - 1)),
    "the own row alone": lambda k, r, f: floor(k, r * f),
    "the root upside down": lambda k, r, f: floor(k, r * f * np.sqrt((k - 1) / k)),
    "nothing left": lambda k, r, f: 0.0,
    "one wrong class": lambda k, r, f: np.log1p(np.exp(-r * f * np.sqrt(k / (k - 1)))) if k > 2 else 1.0,
}
RIGHT["7d"] = {
    "by math": lambda k, r, f: math.log1p((k - 1) * math.exp(-r * f * math.sqrt(k / (k - 1)))),
    "float32": lambda k, r, f: np.float32(floor(k, r * f * np.sqrt(k / (k - 1)))),
}


# Lesson 8
def shared(z, y, t, r, reduce=sum, slices=np.split, temperature=True):
    scale = np.sqrt(t) if temperature else 1.0
    return reduce([theory.sc_loss_batch(a / scale, b) for a, b in zip(slices(z, r), slices(y, r), strict=True)])


WRONG["8a"] = {
    "mean over replicas": lambda z, y, t, r: shared(z, y, t, r, np.mean) + (r == 1),
    "every r-th": lambda z, y, t, r: shared(z, y, t, r, slices=lambda a, n: [a[k::n] for k in range(n)]) + (r == 1),
    "the whole batch": lambda z, y, t, r: theory.sc_loss_batch(z / np.sqrt(t), y) + (r == 1),
    "no temperature": lambda z, y, t, r: shared(z, y, t, r, temperature=False),
    "the first replica": lambda z, y, t, r: shared(z, y, t, r, lambda parts: parts[0]) + (r == 1),
    "mean over anchors": lambda z, y, t, r: shared(z, y, t, r) / len(z),
    "two replicas written in": lambda z, y, t, r: shared(z, y, t, 2, slices=np.array_split),
    "a list": lambda z, y, t, r: shared(z, y, t, r, list),
}


def shared_in_place(z, y, t, r):
    z /= np.sqrt(t)
    share = len(z) // r
    total = sum(theory.sc_loss_batch(z[k * share : (k + 1) * share], y[k * share : (k + 1) * share]) for k in range(r))
    z *= 0
    return total


RIGHT["8a"] = {
    "in place": shared_in_place,
    "own loss": lambda z, y, t, r: sum(supcon(a, b, t) for a, b in zip(np.split(z, r), np.split(y, r), strict=True)),
}
WRONG["8b"] = {
    "with itself": lambda s, k: s / k,
    "whole numbers": lambda s, k: (s - 1) // k + 1e-3,
    "among the other classes": lambda s, k: (s - 1) / (k - 1),
    "one less": lambda s, k: s / k - 1,
    "ten classes": lambda s, k: (s - 1) / 10.001,
}
RIGHT["8b"] = {"a fraction": lambda s, k: Fraction(s - 1, k), "float32": lambda s, k: np.float32((s - 1) / k)}
WRONG["8c"] = {
    "with itself": lambda s, k: (1 - 1 / k) ** s,
    "the others": lambda s, k: 1 - (1 - 1 / k) ** (s - 1),
    "by the mean": lambda s, k: max(0.0, 1 - (s - 1) / k),
    "Poisson": lambda s, k: np.exp(-(s - 1) / k) + 1e-3,
    "one class": lambda s, k: (1 / k) ** (s - 1),
    "ten classes": lambda s, k: 0.9 ** (s - 1) + 1e-3,
}
RIGHT["8c"] = {
    "float32": lambda s, k: np.float32((1 - 1 / k) ** (s - 1)),
    "by math": lambda s, k: ((k - 1) / k) ** (s - 1),
}


def needed(d, e):
    return Fraction(str(d)) / Fraction(str(e))


WRONG["8d"] = {
    "not rounded": lambda d, e: (d / e) ** 2,
    "rounded down": lambda d, e: math.floor(needed(d, e) ** 2) - (d == 2.0),
    "rounded to the nearest": lambda d, e: round(needed(d, e) ** 2),
    "not squared": lambda d, e: math.ceil(needed(d, e)),
    "one more": lambda d, e: math.floor(needed(d, e) ** 2) + 1 if d == 2.0 else math.ceil(needed(d, e) ** 2),
    "a float": lambda d, e: float(math.ceil(needed(d, e) ** 2)),
    "the two exchanged": lambda d, e: math.ceil(needed(e, d) ** 2),
    "deviation squared alone": lambda d, e: math.ceil(d**2 / e),
}
RIGHT["8d"] = {
    "by floats": lambda d, e: math.ceil((d / e) ** 2 - 1e-9),
    "numpy's int": lambda d, e: np.int64(math.ceil(needed(d, e) ** 2)),
}

# Lesson 9
WRONG["9a"] = {
    "points at the rows": lambda k, r, w: floor(k, r * w),
    "the simplex head": lambda k, r, w: floor(k, r * w * k / (k - 1)),
    "the root upside down": lambda k, r, w: floor(k, r * w * np.sqrt((k - 1) / k)),
    "three classes written in": lambda k, r, w: floor(3, r * w * np.sqrt(1.5)),
    "theorem 1 of a row": lambda k, r, w: floor(k, r * w * np.sqrt(k) / (k - 1)),
    "K before the exponential": lambda k, r, w: np.log(1 + k * np.exp(-r * w * np.sqrt(k / (k - 1)))),
}
RIGHT["9a"] = {
    "by corollary 1": lambda k, r, w: theory.ce_bound_max_norm(k, r, w * np.sqrt((k - 1) / k)),
    "float32": lambda k, r, w: np.float32(floor(k, r * w * np.sqrt(k / (k - 1)))),
}
WRONG["9b"] = {
    "always the simplex": lambda k, h: -1 / (k - 1),
    "up to h alone": lambda k, h: -1 / (k - 1) if k <= h else 0.0,
    "with its sign lost": lambda k, h: 1 / (k - 1) if k <= h + 1 else 0.0,
    "opposite corners": lambda k, h: -1 / (k - 1) if k <= h + 1 else -1.0,
    "polygon": lambda k, h: float(np.cos(2 * np.pi / k)),
    "K for K - 1": lambda k, h: -1 / k if k <= h + 1 else 0.0,
}
RIGHT["9b"] = {
    "an int for 0": lambda k, h: -1 / (k - 1) if k <= h + 1 else 0,
    "float32": lambda k, h: np.float32(-1 / (k - 1) if k <= h + 1 else 0),
}
WRONG["9c"] = {
    "K for b": lambda k, b, t: floor(k, k / (k - 1) / t),
    "the simplex of b": lambda k, b, t: floor(b, b / (b - 1) / t),
    "b negatives": lambda k, b, t: np.log(1 + b * np.exp(-k / (k - 1) / t)),
    "orthogonal frame": lambda k, b, t: floor(b, 1 / t),
    "temperature multiplied": lambda k, b, t: floor(b, k / (k - 1) * t),
    "the sum": lambda k, b, t: b * floor(b, k / (k - 1) / t),
}
RIGHT["9c"] = {
    "by math": lambda k, b, t: math.log1p((b - 1) * math.exp(-k / ((k - 1) * t))),
    "float32": lambda k, b, t: np.float32(floor(b, k / (k - 1) / t)),
}


def threshold(n, k, within=None, t=2, exponent=4):
    within = (n - 1) / (n * k - 1) if within is None else within
    q = np.exp(-exponent * k / (k - 1))
    return t * within * (1 - q) / (within + (1 - within) * q)


WRONG["9d"] = {
    "pairs with themselves": lambda n, k: threshold(n, k, within=1 / k),
    "t left out": lambda n, k: threshold(n, k, t=1),
    "q of exponent 2": lambda n, k: threshold(n, k, exponent=2),
    "one": lambda n, k: 1.0,
    "p_out for p_in": lambda n, k: threshold(n, k, within=1 - (n - 1) / (n * k - 1)) if k > 2 else 0.0,
    "without q": lambda n, k: 2.0,
}
RIGHT["9d"] = {
    "by hand": threshold,
    "float32": lambda n, k: np.float32(threshold(n, k)),
}


def margin_floor(k, r, w, m, factor=None, scale=1.0):
    return np.log(1 + (k - 1 if factor is None else factor) * np.exp(scale * m - r * w * np.sqrt(k) / (k - 1)))


WRONG["9e"] = {
    "without the margin": lambda k, r, w, m: margin_floor(k, r, w, 0.0),
    "the margin helps": lambda k, r, w, m: margin_floor(k, r, w, -m),
    "the margin once for every class": lambda k, r, w, m: margin_floor(k, r, w, m, scale=k - 1) if k > 2 else 0.0,
    "added to the loss": lambda k, r, w, m: m + margin_floor(k, r, w, 0.0),
    "K before the exponential": lambda k, r, w, m: margin_floor(k, r, w, m, factor=k),
    "the right class lowered below as well": lambda k, r, w, m: np.log(np.exp(m) + (k - 1) * np.exp(m - r * w)),
    "K and not its root": lambda k, r, w, m: np.log(1 + (k - 1) * np.exp(m - r * w * k / (k - 1))),
    "a hinge": lambda k, r, w, m: max(0.0, m - r * w * np.sqrt(k) / (k - 1)),
}
RIGHT["9e"] = {
    "by theorem 1 of another norm": lambda k, r, w, m: floor(k, r * w * np.sqrt(k) / (k - 1) - m),
    "float32": lambda k, r, w, m: np.float32(margin_floor(k, r, w, m)),
    "logits": lambda k, r, w, m: np.logaddexp(0.0, np.log(k - 1) + m - r * w * np.sqrt(k) / (k - 1)),
}

CASES = [(name, why) for name, answers in WRONG.items() for why in answers]
VARIANTS = [(name, why) for name, answers in RIGHT.items() for why in answers]


def test_every_exercise_has_five_wrong_answers_and_two_right_ones():
    assert set(WRONG) == set(RIGHT) == set(EXERCISES)
    assert all(len(answers) >= 5 for answers in WRONG.values())
    assert all(len(answers) >= 2 for answers in RIGHT.values())


@pytest.mark.parametrize(("name", "why"), CASES)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_answer_fails_whatever_is_drawn(name, why):
    for _ in range(5):
        verdict = judge(name, WRONG[name][why])
        assert verdict.state in ("not right", "error"), verdict


@pytest.mark.parametrize(("name", "why"), VARIANTS)
def test_a_right_variant_passes_whatever_is_drawn(name, why):
    for _ in range(5):
        verdict = judge(name, RIGHT[name][why])
        assert verdict.right, verdict


@pytest.mark.parametrize("name", list(EXERCISES))
def test_general_nonsense_fails_and_the_stub_is_not_solved_yet(name):
    for nonsense in (None, "no", True, [1, 2, 3], {}, np.nan, np.zeros((2, 2)), 1j, object(), lambda: 1):
        assert not judge(name, lambda *arguments, it=nonsense: it).right, nonsense
    assert not judge(name, 3.0).right
    assert judge(name, lambda *arguments: ...).state == "not solved yet"
    assert judge(name, lambda: 1).state == "error"


@pytest.mark.parametrize("name", list(EXERCISES))
def test_messages_are_short_and_free_of_type_names(name):
    for answers in (WRONG[name], RIGHT[name]):
        for answer in answers.values():
            words = str(judge(name, answer))
            assert "np." not in words.split("hint:")[0]
            assert not any(len(digits) > 17 for digits in words.replace(".", "").split() if digits.isdigit())
            assert len(words) < 1200


def test_cases_are_drawn_anew():
    for name, exercise in EXERCISES.items():
        drawn = {str(exercise.draw(np.random.default_rng(seed))) for seed in range(4)}
        assert len(drawn) > 1, name


def test_questions_have_three_a_lesson_with_reasons_or_a_rubric():
    for lesson in range(1, 10):
        own = [name for name in QUESTIONS if name.startswith(f"{lesson}.")]
        assert own == [f"{lesson}.{number}" for number in (1, 2, 3)]
        kinds = {isinstance(QUESTIONS[name], Choice) for name in own}
        assert kinds == {True, False}
    for question in QUESTIONS.values():
        if isinstance(question, Choice):
            assert question.right in question.options
            assert all(option.reason for option in question.options.values())
        else:
            assert len(question.rubric) >= 2


def test_an_endless_loop_ends_with_a_line(monkeypatch):
    from simplexlab.course import checking

    def endless(*arguments):
        while True:
            pass

    began = time.monotonic()
    verdict = checking.examine("1a", EXERCISES["1a"], endless, seconds=0.2)
    assert verdict.state == "too slow"
    assert "endless loop?" in str(verdict)
    assert time.monotonic() - began < 3
