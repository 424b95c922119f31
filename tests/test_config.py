"""The experiment: defaults by dataset, checks, and the round trips through JSON and the command line."""

import dataclasses
import shlex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simplexlab.cli.options import as_experiment, experiment_options
from simplexlab.config import RECIPES, Experiment, class_share, field_choices, parse_devices
from simplexlab.encoder_name import ENCODERS
from simplexlab.errors import UsageError


def test_digits_and_cifar_have_their_own_defaults():
    digits, cifar = Experiment().resolve(), Experiment(dataset="cifar100").resolve()
    assert (digits.encoder, digits.augment) == ("resnet-small", False)
    paper = {"encoder": "resnet18", "width": 64, "iterations": 100_000, "batch_size": 256, "augment": True}
    assert {name: getattr(cifar, name) for name in paper} == paper
    settled = (cifar.learning_rate, cifar.momentum, cifar.weight_decay, cifar.schedule)
    assert settled == (0.1, 0.9, 1e-4, "polynomial")
    assert Experiment(loss="sc", dataset="cifar100").resolve().options == {"temperature": 0.1, "positives": 0}
    assert cifar.evaluate_every == 500


@pytest.mark.parametrize(
    ("dataset", "recipe"),
    [
        ("digits", "digits"),
        ("mnist", "small"),
        ("fashion_mnist:3.0.1", "small"),
        ("cifar10", "paper"),
        ("svhn_cropped", "paper"),
        ("photos.npz", "small"),
        ("./photos", "small"),
    ],
)
def test_recipe_of_a_dataset(dataset, recipe):
    assert Experiment(dataset=dataset).recipe == recipe


def test_a_given_value_wins_over_the_recipe():
    assert Experiment(iterations=7, augment=True).resolve().iterations == 7
    assert Experiment(augment=True).resolve().augment is True


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"corrupt": 1.5}, "--corrupt 1.5 must be between 0 and 1"),
        ({"overlap": True, "until_fit": True}, "--overlap: a run --until-fit waits for each evaluation"),
        ({"iterations": 2**31}, "--iterations 2147483648 must be at most 2147483647"),
        ({"corrupt": -0.1}, "--corrupt -0.1 must be between 0 and 1"),
        ({"corrupt": float("nan")}, "--corrupt nan is not a finite number"),
        ({"loss": "sc", "options": {"temperature": 0.0}}, "--temperature 0 must be greater than 0"),
        ({"options": {"temperature": 0.1}}, "--temperature does not belong to ce, which has no options of its own"),
        (
            {"loss": "sc", "options": {"head_radius": 1.0}},
            "--head-radius does not belong to sc, whose own options are --temperature",
        ),
        ({"loss": "sc", "options": {"temperature": "warm"}}, "--temperature 'warm' is not a number"),
        ({"batch_size": 0}, "--batch-size 0 must be at least 3"),
        ({"batch_size": 2}, "need three points"),
        ({"momentum": 1.0}, "--momentum 1 must be less than 1"),
        ({"learning_rate": float("inf")}, "--learning-rate inf is not a finite number"),
        ({"encoder": "resnet81"}, "did you mean resnet18"),
        ({"batch_size": 10, "devices": "cpu:4"}, "does not divide among 4 replicas; take 8 or 12"),
        ({"batch_size": 9, "devices": "gpu:0,gpu:1"}, "does not divide among 2 replicas; take 8 or 10"),
        ({"devices": "tpu"}, "takes auto, cpu, cpu:N"),
        ({"devices": "gpu:0,gpu:0"}, "names a GPU twice"),
        ({"loss": "sc", "fit_policy": "head"}, "sc trains no head"),
        ({"balanced": True, "corruption": "uniform"}, "--balanced goes with --corruption flip"),
        ({"loss": "sc", "views": 2}, "--views 2 goes with --augment: without augmentation the views of an image"),
        ({"loss": "ce", "views": 2, "augment": False}, "take --augment or --views 1"),
        ({"views": 0}, "--views 0 must be at least 1"),
        ({"views": 3, "augment": True}, "--views 3 must be at most 2"),
        (
            {"loss": "sc", "views": 2, "augment": True, "options": {"positives": 3}},
            "--positives 3 goes with --views 1",
        ),
    ],
)
def test_bad_values_are_told_in_one_line(wrong, told):
    with pytest.raises(UsageError) as error:
        Experiment(**wrong).resolve()
    assert told in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("auto", ("auto", None)),
        ("all", ("all", None)),
        ("cpu", ("cpu", 1)),
        ("cpu:4", ("cpu", 4)),
        ("gpu:1", ("gpu", [1])),
        ("gpu:0,gpu:2", ("gpu", [0, 2])),
    ],
)
def test_devices(text, meaning):
    assert parse_devices(text) == meaning


@pytest.mark.parametrize("text", ["", "cpu:0", "cpu:x", "gpu", "gpu:", "gpu:0;gpu:1", "cpu:0,gpu:0", "cpu:1.5"])
def test_devices_that_are_not(text):
    with pytest.raises(UsageError):
        parse_devices(text)


@pytest.mark.parametrize(
    ("options", "classes", "told"),
    [
        ({"batch_size": 128}, 10, "--batch-size 128 does not divide among the 10 classes; take 120 or 130"),
        ({"batch_size": 9, "devices": "cpu:3"}, 10, "take 30"),
        ({"batch_size": 30, "devices": "cpu:2"}, 4, "take 28 or 32"),
        ({"batch_size": 10, "loss": "sc"}, 10, "has one image of each class, so that none has a positive; take 20"),
    ],
)
def test_balanced_batches_that_are_not(options, classes, told):
    experiment = Experiment(balanced_batches=True, **options).resolve()
    with pytest.raises(UsageError) as error:
        class_share(experiment, classes)
    assert told in str(error.value)
    suggested = [int(number) for number in str(error.value).rsplit("take ", 1)[1].split(" or ")]
    for size in suggested:
        assert class_share(dataclasses.replace(experiment, batch_size=size).resolve(), classes) == size // classes


def test_images_of_a_class_in_a_balanced_batch():
    two = {"views": 2, "augment": True, "loss": "sc"}
    assert class_share(Experiment(batch_size=120, balanced_batches=True).resolve(), 10) == 12
    assert class_share(Experiment(batch_size=10, balanced_batches=True, **two).resolve(), 10) == 1
    assert class_share(Experiment(batch_size=128).resolve(), 10) == 0


def test_every_option_is_explained():
    for field in dataclasses.fields(Experiment):
        assert field.metadata["help"].endswith("."), field.name


OWN_OPTIONS = {
    "ce": st.just({}),
    "ce-fix": st.dictionaries(st.just("head_radius"), st.floats(1e-3, 1e3)),
    "sc": st.dictionaries(st.just("temperature"), st.floats(1e-3, 1e3)),
}
losses_and_options = st.sampled_from(sorted(OWN_OPTIONS)).flatmap(
    lambda loss: st.tuples(st.just(loss), OWN_OPTIONS[loss])
)
experiments = st.builds(
    lambda chosen, sampled, **fields: Experiment(
        loss=chosen[0], options=chosen[1], views=sampled[0], augment=sampled[1], **fields
    ),
    losses_and_options,
    # Two views go with augmentation.
    st.sampled_from([(None, None), (None, True), (1, False), (1, True), (2, True)]),
    corrupt=st.floats(0, 1),
    dataset=st.sampled_from(["digits", "cifar10", "my images.npz"]),
    encoder=st.none() | st.sampled_from(ENCODERS),
    width=st.none() | st.integers(1, 4096),
    iterations=st.none() | st.integers(1, 10**6),
    balanced_batches=st.booleans(),
    until_fit=st.booleans(),
    name=st.none() | st.sampled_from(["a", "two words"]),
)


@settings(deadline=None)
@given(experiments)
def test_round_trip_through_json(experiment):
    assert Experiment.from_dict(experiment.to_dict() | {"unknown": 1}) == experiment


@settings(deadline=None, max_examples=50)
@given(experiments)
def test_the_command_line_repeats_the_experiment(experiment):
    from cyclopts import App

    app = App()
    options = experiment_options()
    app.default(_returning(options))
    resolved = experiment.resolve()
    words = shlex.split(resolved.command_line())
    parsed = app(words[2:], exit_on_error=False, print_error=False, result_action="return_value")
    assert as_experiment(parsed).resolve() == resolved


def _returning(options):
    from typing import Annotated

    from cyclopts import Parameter

    def command(chosen: Annotated[options, Parameter(name="*")] = options()):  # noqa: B008
        return chosen

    return command


def test_choices_match_the_recipes():
    encoder = next(field for field in dataclasses.fields(Experiment) if field.name == "encoder")
    assert field_choices(encoder) == ENCODERS
    assert {recipe["encoder"] for recipe in RECIPES.values()} <= set(ENCODERS)
