"""Label smoothing, squared error, orthonormal rows, prototypes: losses, heads, floors, runs."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab import theory
from simplexlab.errors import UsageError
from simplexlab.losses import PrototypeDistance, SmoothedCrossEntropy, SquaredError
from simplexlab.models import OrthonormalHead, fixed_head
from simplexlab.objectives import Known, get


def smoothed(label, numbers, smoothing=0.1):
    size = len(numbers)
    shares = np.exp(numbers) / np.exp(numbers).sum()
    targets = [(1 - smoothing) * (k == label) + smoothing / size for k in range(size)]
    return -sum(target * np.log(share) for target, share in zip(targets, shares, strict=True))


def squared(label, numbers):
    return sum((number - (k == label)) ** 2 for k, number in enumerate(numbers)) / 2


def distance(label, numbers):
    return (1 - numbers[label]) ** 2


LOSSES = [(SmoothedCrossEntropy, smoothed), (SquaredError, squared), (PrototypeDistance, distance)]


class TestLosses:
    @pytest.mark.parametrize(("loss", "definition"), LOSSES)
    @settings(deadline=None, max_examples=25)
    @given(seed=st.integers(0, 10**6), classes=st.integers(2, 6), size=st.integers(1, 8), scale=st.floats(0.1, 20))
    def test_they_are_their_definitions(self, loss, definition, seed, classes, size, scale):
        generator = np.random.default_rng(seed)
        numbers, labels = scale * generator.normal(size=(size, classes)), generator.integers(0, classes, size)
        expected = [definition(label, row) for label, row in zip(labels, numbers, strict=True)]
        found = loss(reduction=None, dtype="float64")(labels, numbers).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)
        assert float(loss(dtype="float64")(labels[:, None], numbers)) == pytest.approx(np.mean(expected))

    def test_smoothing_is_that_of_keras(self):
        generator = np.random.default_rng(0)
        numbers, labels = generator.normal(size=(9, 5)), generator.integers(0, 5, 9)
        known = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.3, reduction=None)
        expected = known(np.eye(5)[labels], numbers).numpy()
        np.testing.assert_allclose(SmoothedCrossEntropy(0.3, reduction=None)(labels, numbers), expected, rtol=1e-5)

    @pytest.mark.parametrize(("loss", "_"), LOSSES)
    @pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
    def test_gradients_are_finite_in_any_precision(self, loss, _, dtype):
        numbers = tf.cast(tf.constant([[300.0, -300.0, 0.0], [-300.0, 300.0, 0.0]]), dtype)
        with tf.GradientTape() as tape:
            tape.watch(numbers)
            value = loss(reduction=None)(np.array([0, 0]), numbers)
        assert value.dtype == "float32"
        assert np.isfinite(value).all()
        assert np.isfinite(tf.cast(tape.gradient(value, numbers), "float32")).all()

    @pytest.mark.parametrize(("loss", "_"), LOSSES)
    def test_they_are_rebuilt_from_their_configuration(self, loss, _):
        options = {"smoothing": 0.2} if loss is SmoothedCrossEntropy else {}
        first = loss(**options, reduction="sum", dtype="float64")
        again = keras.losses.deserialize(keras.losses.serialize(first))
        numbers, labels = np.random.default_rng(1).normal(size=(4, 3)), np.array([0, 2, 1, 1])
        assert type(again) is loss
        assert float(first(labels, numbers)) == float(again(labels, numbers))

    @pytest.mark.parametrize(("loss", "_"), LOSSES)
    def test_a_label_that_is_no_class_gives_no_number(self, loss, _):
        values = loss(reduction=None)(np.array([0, 3, -1]), np.ones((3, 3), np.float32)).numpy()
        assert np.isnan(values).tolist() == [False, True, True]

    def test_what_they_do_not_take_is_told(self):
        with pytest.raises(ValueError, match="at least 0 and less than 1"):
            SmoothedCrossEntropy(1.0)
        with pytest.raises(ValueError, match=r"one number for each class, shape \(b, K\)"):
            SquaredError()(np.array([0]), np.zeros((1, 2, 2)))


class TestDirections:
    @pytest.mark.parametrize(("classes", "dimension"), [(2, 1), (3, 2), (5, 4), (5, 3), (6, 3), (7, 4), (5, 2), (9, 5)])
    def test_named_ones_have_the_least_largest_cosine(self, classes, dimension):
        units, origin = theory.spread_directions(classes, dimension)
        found = (units @ units.T)[np.triu_indices(classes, 1)].max()
        assert found == pytest.approx(theory.least_largest_cosine(classes, dimension).attained, abs=1e-12)
        assert "descents" not in origin

    @pytest.mark.parametrize("classes", [7, 8, 9, 12])
    def test_searched_ones_are_those_of_tammes(self, classes):
        units, origin = theory.spread_directions(classes, 3)
        np.testing.assert_allclose(np.linalg.norm(units, axis=1), 1)
        best = theory.least_largest_cosine(classes, 3).bound
        found = (units @ units.T)[np.triu_indices(classes, 1)].max()
        assert best - 1e-9 <= found <= best + 1e-3
        assert origin == "best of 8 descents"

    def test_points_that_would_coincide_are_refused(self):
        with pytest.raises(ValueError, match="3 different unit vectors need a dimension of at least 2"):
            theory.spread_directions(3, 1)


class TestHeads:
    def test_orthonormal_rows_and_a_learned_scale(self):
        head = OrthonormalHead(4, scale=3.0, seed=1)
        points = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
        logits = head(points).numpy()
        rows = np.asarray(head.kernel).T
        np.testing.assert_allclose(rows @ rows.T, 9 * np.eye(4), atol=1e-5)
        np.testing.assert_allclose(logits, points @ rows.T, atol=1e-5)
        assert [weight.name for weight in head.trainable_weights] == ["scale"]
        with pytest.raises(ValueError, match="7 orthonormal rows need a dimension of at least 7"):
            OrthonormalHead(7)(points)

    def test_it_is_trained_by_fit_and_saved_with_its_scale(self, tmp_path):
        generator = np.random.default_rng(0)
        x, y = generator.normal(size=(60, 6)).astype(np.float32), np.arange(60) % 3
        model = keras.Sequential([keras.Input((6,)), keras.layers.UnitNormalization(), OrthonormalHead(3, seed=2)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        before = np.asarray(model.layers[-1].directions)
        model.fit(x, y, epochs=2, verbose=0)
        assert float(model.layers[-1].scale) != 10.0
        np.testing.assert_array_equal(np.asarray(model.layers[-1].directions), before)
        model.save(tmp_path / "model.keras")
        again = keras.models.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))

    def test_without_a_learned_scale_nothing_is_trained(self):
        head = OrthonormalHead(3, learned=False)
        head.build((None, 3))
        assert head.trainable_weights == []

    def test_fixed_rows_stay(self):
        rows = np.random.default_rng(0).normal(size=(3, 4))
        head = fixed_head(rows)
        np.testing.assert_allclose(np.asarray(head.kernel).T, rows, rtol=1e-6)
        assert head.trainable_weights == []


class TestFloors:
    @settings(deadline=None, max_examples=40)
    @given(seed=st.integers(0, 10**6), classes=st.integers(2, 9), dimension=st.integers(2, 5), relu=st.booleans())
    def test_no_points_are_closer_to_their_prototypes(self, seed, classes, dimension, relu):
        generator = np.random.default_rng(seed)
        rows = theory.spread_directions(classes, dimension)[0]
        rotation, _ = np.linalg.qr(generator.normal(size=(dimension, dimension)))
        rows = rows @ rotation
        shares = generator.dirichlet(np.ones(classes)) + 1e-3
        shares /= shares.sum()
        features = "nonnegative" if relu else "free"
        floor = theory.prototypes_optimum(rows, shares, features=features)
        assert ((1 - np.sum(floor.points * rows, axis=1)) ** 2) @ shares == pytest.approx(floor.value, abs=1e-12)
        assert floor.collapsed >= floor.value - 1e-12
        points = floor.points + generator.normal(0, 10.0 ** generator.integers(-4, 1), size=rows.shape)
        points = np.maximum(points, 0) if relu else points
        norms = np.linalg.norm(points, axis=1)
        points = points[norms > 0] / norms[norms > 0, None]
        values = (1 - np.sum(points * rows[norms > 0], axis=1)) ** 2
        best = (1 - np.sum(floor.points * rows, axis=1)) ** 2
        assert (values >= best[norms > 0] - 1e-12).all()

    @pytest.mark.parametrize("relu", [False, True])
    def test_orthonormal_rows_have_the_closed_form_of_their_scale(self, relu):
        scale, classes = 4.0, 5
        known = Known(
            class_counts=np.full(classes, 7),
            dimension=classes,
            options={},
            batch_size=10,
            features="nonnegative" if relu else "free",
            radius=1.0,
            weights=scale * np.eye(classes),
        )
        gap = scale if relu else scale * np.sqrt(classes / (classes - 1))
        floor = get("ce-orthonormal").floor(known)
        assert floor.value == pytest.approx(np.log1p((classes - 1) * np.exp(-gap)), rel=1e-8)
        assert floor.is_exact

    def test_smoothing_has_the_closed_form_of_balanced_classes(self):
        classes, smoothing, radius, norm = 4, 0.1, 3.0, 2.0
        weights = np.random.default_rng(0).normal(size=(classes, 6))
        weights *= norm * np.sqrt(classes) / np.linalg.norm(weights)
        known = Known(np.full(classes, 5), 6, {"smoothing": smoothing}, 10, "free", radius, weights)
        reach = classes * radius * norm / (classes - 1)
        m = min(reach, np.log(classes / smoothing - classes + 1))
        expected = np.log1p((classes - 1) * np.exp(-m)) + smoothing * (classes - 1) * m / classes
        assert get("ce-smooth").floor(known).value == pytest.approx(expected, rel=1e-6)


# Of representations that are not negative and of free ones; every objective with free ones: `test_every_objective.py`.
@pytest.mark.parametrize(
    ("loss", "encoder"),
    [
        ("ce-orthonormal", "mlp"),
        ("ce-smooth", "mlp"),
        ("prototypes", "mlp"),
        ("mse", "resnet-small-preact"),
    ],
)
def test_a_run_is_evaluated_anew_to_the_same_numbers(loss, encoder, shared_npz, tmp_path, simplexlab):
    code, _, error = simplexlab(
        *("train", "--dataset", shared_npz, "--loss", loss, "--encoder", encoder, "--width", 2, "--batch-size", 12),
        *("--iterations", 10, "--evaluate-every", 5, "--run-dir", tmp_path, "--name", "run"),
    )
    assert code == 0, error
    code, out, error = simplexlab("evaluate", tmp_path / "run", "--json")
    assert code == 0, error
    import json

    found = json.loads(out)
    assert found["differences"] == {}
    assert found["bound_is_exact"]
    assert found["excess"] > -1e-6
    last = keras.models.load_model(tmp_path / "run" / "model.keras", compile=False).layers[-1]
    assert type(last) is keras.layers.Dense


def test_more_classes_than_orthogonal_directions_are_refused(shared_npz, tmp_path, simplexlab):
    words = ("train", "--dataset", shared_npz, "--loss", "ce-orthonormal", "--encoder", "mlp", "--width", 2)
    code, _, error = simplexlab(*words, "--dimension", 2, "--run-dir", tmp_path / "runs")
    assert code == 2
    assert "no 3 orthonormal rows exist in dimension 2: ce-orthonormal needs a dimension of at least 3" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_the_options_are_checked():
    with pytest.raises(UsageError, match="--smoothing 1 must be less than 1"):
        get("ce-smooth").resolve({"smoothing": 1.0})
    with pytest.raises(UsageError, match="--scale 0 must be greater than 0"):
        get("ce-orthonormal").resolve({"scale": 0.0})
