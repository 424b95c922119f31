"""The Geometry callback in other people's models."""

import csv
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from simplexlab import geometry, theory
from simplexlab.callbacks import Geometry
from simplexlab.evaluation import numbers
from simplexlab.losses import SupervisedContrastive

LABELS = np.arange(60) % 3
INPUTS = (np.eye(3)[LABELS] + 0.1 * np.random.default_rng(0).normal(size=(60, 3))).astype(np.float32)


@pytest.fixture(autouse=True)
def _operation_by_operation(request):
    """No graphs, which Keras has XLA compile: they would take longer than the few steps of such small models.

    Two tests here, the pages of the documentation and `test_backends` fit as everybody does.
    """
    is_in_graphs = request.function in (test_in_a_classifier_of_one_s_own, test_in_a_contrastive_model_of_one_s_own)
    tf.config.run_functions_eagerly(not is_in_graphs)
    yield
    tf.config.run_functions_eagerly(False)


def test_in_a_classifier_of_one_s_own():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = Geometry(INPUTS, LABELS, every=2)
    history = model.fit(INPUTS, LABELS, epochs=4, verbose=0, callbacks=[callback]).history
    assert len(callback.evaluations) == 2
    assert np.isnan(history["geometry_loss"]).tolist() == [True, False, True, False]
    record = callback.evaluations[-1].record
    assert history["geometry_loss"][-1] == pytest.approx(record["loss"])
    assert record["loss"] == pytest.approx(model.evaluate(INPUTS, LABELS, verbose=0), rel=1e-5)
    representations = keras.Model(model.inputs, model.layers[-1].input).predict(INPUTS, verbose=0)
    weights = np.asarray(model.layers[-1].kernel).T
    radius = np.linalg.norm(representations, axis=1).max()
    expected = theory.ce_bound_frobenius(3, radius, np.linalg.norm(weights), features="nonnegative")
    assert record["bound"] == pytest.approx(expected, rel=1e-5)
    assert record["gap_architecture"] > 0  # the representations come out of a ReLU
    expected = geometry.statistics(representations, LABELS, weights).nc1
    assert record["nc1"] == pytest.approx(expected)


def test_in_a_contrastive_model_of_one_s_own():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), keras.layers.UnitNormalization()])
    model.compile("sgd", SupervisedContrastive(0.5))
    callback = Geometry(INPUTS, LABELS, temperature=0.5, batch_size=20)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    record = callback.evaluations[0].record
    assert record["bound"] == pytest.approx(theory.sc_bound(3, 20, temperature=0.5, sampling="iid"), rel=1e-5)
    assert record["excess"] > 0
    assert record["bound_is_exact"]


def test_the_last_layer_s_bias_is_refused_and_a_layer_can_be_named():
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, name="inner"), keras.layers.Dense(7), keras.layers.Dense(3)]
    )
    model.layers[-1].set_weights([np.ones((7, 3)), np.ones(3)])
    callback = Geometry(INPUTS, LABELS)
    callback.set_model(model)
    with pytest.raises(ValueError, match="bias"):
        callback.evaluate()
    named = Geometry(INPUTS, LABELS, loss="sc", layer="inner")
    named.set_model(model)
    assert named.evaluate().record["dimension"] == 4


def test_the_objective_is_the_one_that_the_model_is_compiled_with():
    """A contrastive model whose representation has as many dimensions as there are classes is no classifier."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", SupervisedContrastive(0.5))
    callback = Geometry(INPUTS, LABELS, temperature=0.5, batch_size=20)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    assert callback.evaluations[0].record["weight_similarity"] is None


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(4)

    def call(self, inputs):
        return self.dense(inputs)


def test_a_subclassed_model_gives_its_output_as_the_representation():
    model = Subclassed()
    model.compile("sgd", SupervisedContrastive(0.5))
    callback = Geometry(INPUTS, LABELS, temperature=0.5, batch_size=20)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    expected = geometry.statistics(model.predict(INPUTS, verbose=0), LABELS).nc1
    assert callback.evaluations[0].record["nc1"] == pytest.approx(expected, rel=1e-4)


def test_a_sequential_model_without_an_input_is_built_by_its_first_batch():
    model = keras.Sequential([keras.layers.Dense(5), keras.layers.Dense(3, use_bias=False)])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    callback = Geometry(INPUTS, LABELS)
    model.fit(INPUTS, LABELS, epochs=1, verbose=0, callbacks=[callback])
    assert callback.evaluations[0].record["dimension"] == 5


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((INPUTS, LABELS), {"every": 0}, "every must be at least 1"),
        (
            (INPUTS, LABELS),
            {"loss": "cefix"},
            "one of ce, ce-fix, sc, not 'cefix'; simplexlab.evaluation.evaluate",
        ),
        ((INPUTS, LABELS), {"temperature": 0.0}, "temperature must be a positive"),
        ((INPUTS, LABELS), {"batch_size": 0}, "batch_size must be at least 1"),
        ((INPUTS, np.eye(3)[LABELS]), {}, r"not \(60, 3\); of one-hot rows take argmax"),
        ((INPUTS, LABELS[:50]), {}, "60 inputs but 50 labels"),
        ((INPUTS, LABELS + 1), {}, "no point has the label 0"),
        ((INPUTS, LABELS - 1), {}, "-1 is negative"),
        ((INPUTS, LABELS + 0.5), {}, "whole numbers"),
        ((INPUTS, np.where(LABELS == 0, np.nan, 1)), {}, "whole numbers"),
        ((INPUTS, np.zeros(60, int)), {}, "no point has the label 1"),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        Geometry(*arguments, **options)


@pytest.mark.parametrize(
    ("last", "options", "message"),
    [
        (keras.layers.Dense(4), {"loss": "ce"}, "last layer is Dense with 3 units"),
        (keras.layers.Dense(6), {}, "compiled with cross-entropy needs"),
        (keras.layers.Dense(3), {}, "without bias"),
        (keras.layers.Dense(3), {"loss": "sc", "layer": "nosuch"}, "nosuch"),
        (keras.layers.Dense(3), {"loss": "sc", "batch_size": 2}, "at least 3 samples"),
    ],
)
def test_a_model_that_does_not_fit_is_told_before_it_trains(last, options, message):
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), last])
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        model.fit(INPUTS, LABELS, verbose=0, callbacks=[Geometry(INPUTS, LABELS, **options)])
    for one, other in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(one, other)


CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
KERNEL = np.random.default_rng(7).normal(size=(3, 3)).astype(np.float32)


def classifier(*layers, loss=CROSS_ENTROPY, rate=0.1, **dense):
    """A model from three numbers to three classes; layers may stand behind the classifier."""
    options = {"use_bias": False, "name": "classifier"} | dense
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, **options), *layers])
    model.compile(keras.optimizers.SGD(rate), loss)
    return model


def record_of(model, **options):
    callback = Geometry(INPUTS, LABELS, **options)
    callback.set_model(model)
    callback.on_train_begin()
    return callback.evaluate().record


@pytest.mark.parametrize("every", [1, 2, 3])
def test_csv_and_history_keep_every_number_after_every_epoch(tmp_path, every):
    geometry_callback = Geometry(INPUTS, LABELS, every=every)
    after, before = (keras.callbacks.CSVLogger(str(tmp_path / name)) for name in ("after.csv", "before.csv"))
    callbacks = [before, geometry_callback, after]
    history = classifier().fit(INPUTS, LABELS, epochs=4, verbose=0, callbacks=callbacks).history
    expected = {f"geometry_{key}": value for key, value in numbers(geometry_callback.evaluations[-1].record).items()}
    assert {"geometry_nc4", "geometry_class_mean_similarity_mean", "geometry_norms_rms"} <= expected.keys()
    last = len(geometry_callback.evaluations) * every - 1
    for key, value in expected.items():
        assert len(history[key]) == 4
        assert {type(number) for number in history[key]} <= {int, float}
        assert [index for index, number in enumerate(history[key]) if number == number] == list(
            range(every - 1, 4, every)
        )
        assert history[key][last] == value
    rows = list(csv.DictReader((tmp_path / "after.csv").open()))
    assert all(float(rows[last][key]) == pytest.approx(value) for key, value in expected.items())
    assert all((rows[0][key] == "nan") == (every > 1) for key in expected)
    rows = list(csv.DictReader((tmp_path / "before.csv").open()))
    assert len(rows) == 4
    assert not any("geometry" in key for key in rows[0])  # Keras hands the logs on, not back


def test_a_number_that_comes_and_goes_keeps_its_column():
    """The gap of a ReLU encoder exists as long as the representations are not negative."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, name="encoder"), *classifier().layers])
    model.compile(keras.optimizers.SGD(0.0), CROSS_ENTROPY)

    def turn(epoch, logs):
        model.get_layer("encoder").set_weights([np.eye(3) * (-1) ** epoch, np.zeros(3)])

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=turn), Geometry(np.abs(INPUTS), LABELS)]
    history = model.fit(np.abs(INPUTS), LABELS, epochs=4, verbose=0, callbacks=callbacks).history
    assert np.isnan(history["geometry_gap_architecture"]).tolist() == [False, True, False, True]
    assert np.isfinite(history["geometry_loss"]).all()


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_a_model_that_diverges_has_nan_and_goes_on(order, loss):
    last = [keras.layers.Dense(3, use_bias=False)] if loss == "ce" else []
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4), *last])
    compiled = CROSS_ENTROPY if loss == "ce" else SupervisedContrastive()
    model.compile(keras.optimizers.SGD(1e30), compiled)
    callbacks = [Geometry(INPUTS, LABELS), keras.callbacks.TerminateOnNaN()][::order]
    with pytest.warns(RuntimeWarning, match="epoch 1: the representations are not finite"):
        history = model.fit(INPUTS, LABELS, epochs=3, verbose=0, callbacks=callbacks).history
    assert len(history["loss"]) == 1
    assert np.isnan(history["geometry_loss"]).all()
    record = callbacks[0 if order == 1 else 1].evaluations[0].record
    assert np.isnan(record["class_mean_similarity"]["mean"])
    assert np.isnan(list(numbers(record).values())).all()


def test_numbers_return_with_the_representations():
    model = classifier(rate=0.0)
    model.fit(INPUTS, LABELS, verbose=0)

    def break_it(epoch, logs):
        model.layers[-1].set_weights([KERNEL * (np.nan if epoch == 1 else 0.0 if epoch == 2 else 1.0)])

    callback = Geometry(INPUTS, LABELS)
    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=break_it), callback]
    with pytest.warns(RuntimeWarning, match="the weights are (not finite|all zero)") as told:
        history = model.fit(INPUTS, LABELS, epochs=4, verbose=0, callbacks=callbacks).history
    assert len([warning for warning in told if warning.category is RuntimeWarning]) == 2
    assert np.isnan(history["geometry_bound"]).tolist() == [False, True, True, False]
    assert history["geometry_nc4"][0] == history["geometry_nc4"][3]
    assert len(callback.evaluations) == 4


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_representations_that_are_all_zero_give_nan(loss):
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(4, "relu", bias_initializer=keras.initializers.Constant(-99.0))]
    )
    if loss == "ce":
        model.add(keras.layers.Dense(3, use_bias=False))
    model.compile("sgd", CROSS_ENTROPY if loss == "ce" else SupervisedContrastive())
    with pytest.warns(RuntimeWarning, match="the representations are all zero"):
        history = model.fit(INPUTS, LABELS, epochs=2, verbose=0, callbacks=[Geometry(INPUTS, LABELS)]).history
    assert np.isnan(history["geometry_loss"]).tolist() == [True, True]


@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_a_class_whose_representations_are_all_zero_has_numbers(loss):
    inputs = np.where(LABELS[:, None] == 1, 0, INPUTS)
    model = (
        classifier() if loss == "ce" else keras.Sequential([keras.Input((3,)), keras.layers.Dense(3, use_bias=False)])
    )
    model.compile("sgd", CROSS_ENTROPY if loss == "ce" else SupervisedContrastive())
    callback = Geometry(inputs, LABELS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        history = model.fit(inputs, LABELS, epochs=1, verbose=0, callbacks=[callback]).history
    assert np.isfinite(history["geometry_loss"]).all()
    assert history["geometry_norms_minimum"] == [0]


def test_numbers_near_the_end_of_float32():
    model = classifier()
    model.layers[-1].set_weights([KERNEL])
    callback = Geometry(INPUTS * np.float32(1e37), LABELS)
    callback.set_model(model)
    assert np.isfinite(callback.evaluate().record["nc1"])


def name_of(value):
    """A name of a word, a function or a layer that is the same in every process."""
    return value if isinstance(value, str) else getattr(value, "__name__", type(value).__name__)


BEHIND = {
    "softmax layer": [keras.layers.Softmax(dtype="float32")],
    "activation": [keras.layers.Activation("softmax", dtype="float32")],
    "activation of logarithms": [keras.layers.Activation("log_softmax")],
    "no activation": [keras.layers.Activation("linear"), keras.layers.Identity()],
}


@pytest.mark.parametrize("behind", BEHIND)
def test_a_softmax_behind_the_classifier_is_looked_through(behind):
    plain = classifier()
    model = classifier(*BEHIND[behind], loss="sparse_categorical_crossentropy")
    for one in (plain, model):
        one.get_layer("classifier").set_weights([KERNEL])
    assert record_of(model) == record_of(plain)
    assert record_of(model, head="classifier") == record_of(plain)
    assert record_of(model, head=BEHIND[behind][-1].name) == record_of(plain)


@pytest.mark.parametrize("activation", ["linear", "softmax", "log_softmax", keras.layers.Softmax()], ids=name_of)
def test_a_classifier_with_a_softmax_of_its_own(activation):
    model, plain = classifier(activation=activation), classifier()
    for one in (plain, model):
        one.get_layer("classifier").set_weights([KERNEL])
    assert record_of(model) == record_of(plain)


def test_operations_behind_the_classifier_are_looked_through():
    inputs = keras.Input((3,))
    head = keras.layers.Dense(3, use_bias=False)
    outputs = keras.ops.cast(keras.activations.softmax(keras.ops.softmax(head(inputs))), "float64")
    model = keras.Model(inputs, outputs)
    plain = classifier()
    head.set_weights([KERNEL])
    plain.layers[-1].set_weights([KERNEL])
    assert record_of(model) == record_of(plain)


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid", keras.layers.LeakyReLU(), tf.nn.relu], ids=name_of)
@pytest.mark.parametrize("loss", [CROSS_ENTROPY, "mse"], ids=["cross-entropy", "mse"])
def test_a_classifier_with_another_activation_is_refused(activation, loss):
    with pytest.raises(ValueError, match=r"the classifier classifier has the activation .*softmax or none"):
        record_of(classifier(activation=activation, loss=loss))


@pytest.mark.parametrize(
    "behind",
    [keras.layers.Activation("relu"), keras.layers.Rescaling(2.0), keras.layers.LayerNormalization()],
    ids=name_of,
)
def test_another_layer_behind_the_classifier_is_refused(behind):
    with pytest.raises(ValueError, match="whose last layer is Dense with 3 units"):
        record_of(classifier(behind))


def two_outputs():
    inputs = keras.Input((3,), name="points")
    hidden = keras.layers.Dense(4, name="hidden")(inputs)
    logits = keras.layers.Dense(3, use_bias=False, name="kind")(hidden)
    probabilities = keras.layers.Activation("softmax", dtype="float32", name="kind_probabilities")(logits)
    other = keras.layers.Dense(2, name="other")(inputs)
    model = keras.Model(inputs, {"kind_probabilities": probabilities, "other": other})
    model.compile("sgd", {"kind_probabilities": "sparse_categorical_crossentropy", "other": "mse"})
    return model


@pytest.mark.parametrize("head", ["kind", "kind_probabilities"])
def test_head_names_the_classifier_of_a_model_of_several_outputs(head):
    model = two_outputs()
    targets = {"kind_probabilities": LABELS, "other": np.zeros((60, 2))}
    callback = Geometry(INPUTS, LABELS, head=head)
    history = model.fit(INPUTS, targets, verbose=0, callbacks=[callback]).history
    hidden = keras.Model(model.inputs, model.get_layer("hidden").output).predict(INPUTS, verbose=0)
    weights = np.asarray(model.get_layer("kind").kernel).T
    assert history["geometry_nc3"][0] == pytest.approx(geometry.statistics(hidden, LABELS, weights).nc3, rel=1e-6)
    assert history["geometry_loss"][0] == pytest.approx(theory.ce_loss(hidden, LABELS, weights), rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "outputs kind, other: name the classifier by head="),
        ({"loss": "sc"}, "outputs kind, other: name the one that is the representation by layer="),
        ({"head": "kin"}, "head kin: did you mean kind"),
        ({"head": "other"}, "other needs .* Dense with 3 units"),
        ({"head": "hidden"}, "head hidden: .*Known: kind, kind_probabilities, other"),
        ({"head": "kind", "layer": "other"}, "the classifier takes 4 numbers, but layer other has 2"),
    ],
)
def test_several_outputs_that_are_not_told_apart_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        record_of(two_outputs(), **options)


def test_one_of_several_outputs_is_the_representation():
    assert record_of(two_outputs(), loss="sc", layer="other")["dimension"] == 2


def test_a_classifier_that_makes_two_outputs_is_told():
    one, two = keras.Input((3,)), keras.Input((3,))
    shared = keras.layers.Dense(3, use_bias=False, name="shared")
    model = keras.Model([one, two], [shared(one), keras.layers.Softmax(name="second")(shared(two))])
    options = {"y": LABELS, "x": [INPUTS, 2 * INPUTS]}
    named, unnamed = Geometry(**options, head="second"), Geometry(**options, head="shared")
    shared.set_weights([KERNEL])
    named.set_model(model)
    assert named.evaluate().record["norms"]["mean"] == pytest.approx(2 * np.linalg.norm(INPUTS, axis=1).mean())
    unnamed.set_model(model)
    with pytest.raises(ValueError, match="shared makes 2 outputs"):
        unnamed.evaluate()


def test_models_within_models():
    """The classifier and the representation are found where another model holds them, and an encoder may be shared."""
    inner = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(5, name="inner_hidden"), keras.layers.Dense(3, use_bias=False)]
    )
    outer = keras.Sequential([keras.Input((3,)), keras.layers.Rescaling(2.0), inner, keras.layers.Softmax()])
    encoder = keras.Model(inner.inputs, inner.layers[0].output, name="encoder")
    shared = keras.Sequential([keras.Input((3,)), keras.layers.Rescaling(2.0), encoder, inner.layers[-1]])
    record = record_of(outer)
    assert record["dimension"] == 5
    assert record == record_of(shared)
    assert record == record_of(keras.Sequential([keras.Input((3,)), outer]))
    weights = np.asarray(inner.layers[-1].kernel).T
    expected = geometry.statistics(encoder.predict(2 * INPUTS, verbose=0), LABELS, weights).nc3
    assert record["nc3"] == pytest.approx(expected, rel=1e-6)
    assert record_of(shared, loss="sc", layer="encoder")["dimension"] == 5
    with pytest.raises(ValueError, match="no layer inner_hidden; it has rescaling"):
        record_of(outer, loss="sc", layer="inner_hidden")


def test_a_layer_that_is_used_twice_is_told():
    inputs = keras.Input((3,))
    twice = keras.layers.Dense(3, name="twice")
    model = keras.Model(inputs, twice(twice(inputs)))
    with pytest.raises(ValueError, match="layer twice has several outputs"):
        record_of(model, loss="sc", layer="twice")


def test_representations_that_are_no_vectors_are_told_before_training():
    model = keras.Sequential([keras.Input((3, 1)), keras.layers.Dense(4)])
    model.compile("sgd", "mse")
    callback = Geometry(INPUTS[:, :, None], LABELS, loss="sc")
    with pytest.raises(ValueError, match=r"shape \(N, h\), not \(N, 3, 4\)"):
        model.fit(INPUTS[:, :, None], INPUTS, verbose=0, callbacks=[callback])


@pytest.mark.parametrize("kind", ["dict", "list"])
def test_several_inputs(kind):
    left, right = keras.Input((3,), name="left"), keras.Input((2,), name="right")
    hidden = keras.layers.Dense(4)(keras.layers.Concatenate()([left, right]))
    logits = keras.layers.Dense(3, use_bias=False)(hidden)
    arrays = {"left": INPUTS, "right": INPUTS[:, :2]}
    names = {"left": left, "right": right}
    model = keras.Model(names if kind == "dict" else list(names.values()), logits)
    model.compile("sgd", CROSS_ENTROPY)
    x = arrays if kind == "dict" else list(arrays.values())
    history = model.fit(x, LABELS, verbose=0, callbacks=[Geometry(x, LABELS)]).history
    assert history["geometry_loss"][0] == pytest.approx(model.evaluate(x, LABELS, verbose=0), rel=1e-5)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 2

    def __getitem__(self, index):
        return INPUTS[30 * index : 30 * index + 30], LABELS[30 * index : 30 * index + 30]


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (
            tf.data.Dataset.from_tensor_slices(INPUTS).batch(20),
            "not .*Dataset; a dataset or generator must be made into",
        ),
        (tf.data.Dataset.from_tensor_slices((INPUTS, LABELS)), "not .*Dataset; a dataset"),
        (Batches(), "not Batches; a dataset"),
        ((batch for batch in [INPUTS]), "not generator"),
        (INPUTS.tolist(), "not list"),
        (None, "not NoneType"),
        ({}, "not dict"),
        ({"left": INPUTS, "right": 1.0}, "not dict"),
        ({"left": INPUTS, "right": INPUTS[:9]}, "9 inputs but 60 labels"),
        ([INPUTS[:9], INPUTS], "9 inputs but 60 labels"),
        (np.float32(3), "x must be an array"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_inputs_that_are_no_arrays_are_told_at_once(x, message):
    with pytest.raises(ValueError, match=message):
        Geometry(x, LABELS)


def test_tensors_are_arrays():
    model = classifier()
    callback = Geometry(tf.constant(INPUTS), tf.constant(LABELS))
    history = model.fit(INPUTS, LABELS, verbose=0, callbacks=[callback]).history
    assert np.isfinite(history["geometry_loss"]).all()


def unbuilt(*layers):
    model = keras.Sequential(list(layers))
    model.compile("sgd", CROSS_ENTROPY)
    return model


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (lambda: unbuilt(keras.layers.Dense(4), keras.layers.Dense(3)), {}, "without bias"),
        (lambda: unbuilt(keras.layers.Dense(3), keras.layers.Softmax()), {}, "without bias"),
        (lambda: unbuilt(keras.layers.Dense(3, "relu", use_bias=False)), {}, "the activation relu"),
        (lambda: unbuilt(keras.layers.Dense(4)), {}, "Dense with 3 units"),
        (lambda: unbuilt(keras.layers.Dense(4)), {"loss": "sc", "layer": "nosuch"}, "no layer nosuch"),
        (lambda: unbuilt(keras.layers.Dense(4)), {"loss": "sc", "batch_size": 2}, "at least 3"),
        (Subclassed, {"loss": "ce"}, "functional or Sequential"),
        (Subclassed, {"head": "dense"}, "functional or Sequential"),
        (Subclassed, {"layer": "dense"}, "neither"),
    ],
)
def test_a_model_that_is_not_built_is_told_before_its_first_epoch(model, options, message):
    epochs = []
    counter = keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: epochs.append(epoch))
    model = model()
    if not model.compiled:
        model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=message):
        model.fit(INPUTS, LABELS, verbose=0, callbacks=[counter, Geometry(INPUTS, LABELS, **options)])
    assert epochs == []


def test_a_model_that_is_built_early_trains_as_ever():
    weights = []
    for callbacks in ([], [Geometry(INPUTS, LABELS)]):
        keras.utils.set_random_seed(3)
        model = unbuilt(keras.layers.Dense(5, "relu"), keras.layers.Dense(3, use_bias=False))
        model.fit(INPUTS, LABELS, verbose=0, shuffle=False, callbacks=callbacks)
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("policy", ["float16", "mixed_float16", "mixed_bfloat16", "float64"])
@pytest.mark.parametrize("loss", ["ce", "sc"])
def test_any_dtype_policy(policy, loss):
    last = [keras.layers.Dense(3, use_bias=False, dtype=policy)] if loss == "ce" else []
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, dtype=policy), *last])
    model.compile("sgd", CROSS_ENTROPY if loss == "ce" else SupervisedContrastive())
    callback = Geometry(INPUTS, LABELS)
    history = model.fit(INPUTS, LABELS, verbose=0, callbacks=[callback]).history
    assert np.isfinite(history["geometry_loss"]).all()
    assert callback.evaluations[0].record["dimension"] == 4


def test_a_head_and_sc_exclude_each_other():
    with pytest.raises(ValueError, match="sc has no classifier, so head='kind' does not apply"):
        Geometry(INPUTS, LABELS, loss="sc", head="kind")


def test_float_labels_that_are_whole_numbers_are_labels():
    np.testing.assert_array_equal(Geometry(INPUTS, LABELS[:, None].astype(np.float32)).y, LABELS)
