"""The options of a toy: what is filled in, what is refused, the command that repeats it."""

import shlex

import pytest

from simplexlab.errors import UsageError
from simplexlab.toy import Toy


def test_the_defaults_are_those_of_figure_1():
    contrastive, cross_entropy = Toy(loss="sc").resolve(), Toy(loss="ce").resolve()
    assert (contrastive.classes, contrastive.dimension, contrastive.points_per_class) == (3, 2, 100)
    assert (contrastive.steps, contrastive.temperature, contrastive.batch_size) == (500, 0.3, None)
    assert contrastive.learning_rate == pytest.approx(10)
    assert contrastive.radius == pytest.approx(0.3**-0.5)
    assert (cross_entropy.weight_decay, cross_entropy.learning_rate, cross_entropy.radius) == (0.01, 10, 1)


def test_the_defaults_of_all_batches_are_those_of_figure_6():
    toy = Toy(loss="sc", all_batches=True).resolve()
    assert (toy.num_points, toy.batch_size, toy.radius) == (12, 9, 1)


def test_the_learning_rate_grows_with_the_points_of_a_step_and_the_temperature():
    assert Toy(loss="sc", batch_size=30, temperature=0.6).resolve().learning_rate == pytest.approx(2)
    assert Toy(loss="sc", learning_rate=7.5).resolve().learning_rate == 7.5


def test_the_weights_take_no_step_beyond_the_inverse_curvature():
    assert Toy(loss="ce", weight_decay=1.0).resolve().weights_learning_rate == pytest.approx(0.4)
    assert Toy(loss="ce", weight_decay=1.0, learning_rate=0.1).resolve().weights_learning_rate == 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "mse"}, "the loss must be one of ce, sc"),
        ({"classes": 1}, "number of classes must be at least 2"),
        ({"classes": 6}, "number of classes must be at most 5"),
        ({"dimension": 4}, "dimension must be 2 or 3"),
        ({"temperature": 0.0}, "--temperature 0 must be"),
        ({"temperature": float("nan")}, "--temperature nan must be"),
        ({"learning_rate": float("inf")}, "--learning-rate inf must be"),
        ({"weight_decay": 0.1}, "--weight-decay does not go with the toy of sc"),
        ({"loss": "ce", "weight_decay": -0.1}, "--weight-decay -0.1 must be"),
        ({"loss": "ce", "temperature": 0.1}, "--temperature does not go with the toy of ce"),
        ({"loss": "ce", "all_batches": True}, "--all-batches does not go with the toy of ce"),
        ({"all_batches": True, "learning_rate": 1.0}, "--learning-rate does not go with --all-batches"),
        ({"all_batches": True, "evaluate_every": 5}, "--evaluate-every does not go with --all-batches"),
        ({"batch_size": 2}, "batch size must be at least 3"),
        ({"points_per_class": 0}, "points per class must be at least 1"),
        ({"points_per_class": 1}, "no positives"),
        ({"points_per_class": 700}, "at most 2000"),
        ({"loss": "ce", "points_per_class": 7000}, "at most 20000"),
        ({"steps": 0}, "number of steps must be at least 1"),
        ({"evaluate_every": 0}, "steps between evaluations must be at least 1"),
        ({"seed": -1}, "seed must be at least 0"),
    ],
)
def test_wrong_options_are_refused_in_words(options, message):
    with pytest.raises(UsageError, match=message):
        Toy(**{"loss": "sc", **options}).resolve()


def test_the_command_line_holds_what_was_chosen():
    assert Toy(loss="ce").command_line() == "simplexlab toy ce"
    toy = Toy(loss="sc", all_batches=True, classes=4, dimension=3, seed=7, run_dir="my runs")
    assert shlex.split(toy.command_line()) == [
        *("simplexlab", "toy", "sc", "--classes", "4", "--dimension", "3", "--all-batches"),
        *("--seed", "7", "--run-dir", "my runs"),
    ]
