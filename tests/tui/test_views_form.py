"""The form makes the experiments that the command line makes."""

import dataclasses

import pytest

from simplexlab import objectives
from simplexlab.cli.application import app
from simplexlab.cli.options import as_experiment
from simplexlab.config import Experiment
from simplexlab.errors import UsageError
from simplexlab.tui.views import form, toy


def by_command_line(words):
    """The experiment that the command line makes of words."""
    _, bound, _ = app.parse_args(words, exit_on_error=False, print_error=False)
    return as_experiment(bound.arguments["options"])


@pytest.mark.parametrize("preset", form.PRESETS)
def test_every_preset_starts_what_it_shows(preset, tmp_path):
    made = form.experiments(form.PRESETS[preset], tmp_path)
    assert made
    for experiment in made:
        assert by_command_line(form.arguments(experiment)).resolve() == experiment.resolve()


def test_several_values_make_every_combination(tmp_path):
    made = form.experiments({"loss": "ce, sc", "corrupt": "0, 0.2,0.4", "augment": "on"}, tmp_path)
    assert [(one.loss, one.corrupt, one.augment) for one in made] == [
        (loss, corrupt, True) for loss in ("ce", "sc") for corrupt in (0.0, 0.2, 0.4)
    ]
    assert {one.run_dir for one in made} == {str(tmp_path)}


def test_an_empty_form_is_the_default(tmp_path):
    assert form.experiments(dict.fromkeys(form.FIELDS, ""), tmp_path) == [Experiment(run_dir=str(tmp_path))]


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({"corrupt": "1.5"}, "--corrupt 1.5 must be between 0 and 1"),
        ({"corrupt": "many"}, '--corrupt "many" is not a number'),
        ({"iterations": "3.5"}, '--iterations "3.5" is not a whole number'),
        ({"loss": "cee"}, "did you mean ce"),
        ({"batch_size": "2"}, "--batch-size 2 must be at least 3"),
        ({"devices": "cpu:3"}, "does not divide"),
        ({"name": "../up"}, "--name"),
        ({"name": "one", "loss": "ce, sc"}, "names one run and these are 2"),
        ({"seed": ",".join(map(str, range(300)))}, "300 runs"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(texts, problem, tmp_path):
    with pytest.raises(UsageError, match=problem.replace("(", "\\(")) as caught:
        form.experiments(texts, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_name_that_is_taken_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        form.experiments({"name": "mine"}, tmp_path)


def test_options_of_a_run_come_back(tmp_path):
    experiment = Experiment(loss="sc", corrupt=0.2, until_fit=True, width=8, name="first", run_dir=str(tmp_path))
    again = form.experiments(form.texts_of(experiment.to_dict()), tmp_path)
    assert again == [dataclasses.replace(experiment, name=None)]


def test_defaults_depend_on_dataset_and_loss():
    assert form.default_text("iterations", "digits") == "800"
    assert form.default_text("iterations", "cifar10") == "100000"
    assert form.default_text("augment", "cifar10") == "on"
    assert "digits 800" in form.help_of("iterations")
    assert form.default_text("temperature", "", ("sc", "supcon")) == "sc 0.1, supcon 0.07"


@pytest.mark.parametrize("loss", objectives.names())
def test_what_the_form_shows_as_default_is_what_the_run_takes(loss):
    resolved = Experiment(loss=loss).resolve()
    taken = vars(resolved) | resolved.options
    for name in form.FIELDS:
        if form.takes(name, (loss,)) and name not in ("loss", "loss_file", "option") and taken[name] is not None:
            assert form.default_text(name, "", (loss,)) == form.as_text(taken[name]), name
    assert {name for name in objectives.options() if form.takes(name, (loss,))} == set(resolved.options)


@pytest.mark.parametrize("loss", objectives.names())
def test_the_toy_of_every_loss_takes_its_own_options(loss, tmp_path):
    texts = {name: form.as_text(value) for name, value in toy.defaults(loss).items() if value is not None}
    texts.pop("learning_rate", None)  # which follows from the number of points
    (made,) = toy.toys(texts | {"loss": loss, "steps": "7", "points_per_class": "4"}, tmp_path)
    (plain,) = toy.toys({"loss": loss, "steps": "7", "points_per_class": "4"}, tmp_path)
    assert made.resolve() == plain.resolve()
    assert made.steps == 7
    shown = toy.default_texts([plain])
    assert set(shown) == set(toy.defaults(loss)) | {"counts"}
    assert float(shown.get("learning_rate", "1")) == pytest.approx(getattr(plain.resolve(), "learning_rate", 1))
    assert shown["points_per_class"] == "4"
    # The command line reads the same words.
    function, bound, _ = app.parse_args(toy.arguments(plain), exit_on_error=False, print_error=False)
    assert plain.resolve() == sent(function, bound).resolve()


def sent(function, bound):
    """The toy that a command of the command line runs."""
    seen = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simplexlab.cli.toy._run", lambda options, json: seen.append(options))
        function(*bound.args, **bound.kwargs)
    return seen[0]


def test_toys_of_several_losses_take_what_is_theirs(tmp_path):
    made = toy.toys({"loss": "ce, sc", "weight_decay": "0.1", "temperature": "0.5", "steps": "50"}, tmp_path)
    assert [(one.loss, one.weight_decay, one.temperature) for one in made] == [("ce", 0.1, None), ("sc", None, 0.5)]
    made = toy.toys({"loss": "mse, align-uniform", "weight": "0.5, 1", "head_norm": "2"}, tmp_path)
    assert [(one.loss, one.options, one.head_norm) for one in made] == [
        ("mse", {}, 2.0),
        ("align-uniform", {"weight": 0.5}, None),
        ("align-uniform", {"weight": 1.0}, None),
    ]


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        ({"classes": "9"}, "classes"),
        ({"loss": "cee"}, "did you mean ce"),
        ({"loss": "mse", "temperature": "1"}, "--temperature does not go with the toy of mse"),
        ({"loss": "supcon", "head_width": "8"}, "--head-width does not go with the toy of supcon"),
        ({"loss": "align-uniform", "weight": "-1"}, "--weight"),
        ({"loss": "sc", "temperature": "hot"}, "is not a number"),
        ({"seed": ",".join(map(str, range(60)))}, "more than 50 toys"),
        ({"loss": "ce-orthonormal", "classes": "3", "dimension": "2"}, "3 classes needs a dimension of at least 3"),
        ({"loss": "ce-orthonormal", "classes": "4"}, "4 classes needs a dimension of at least 4"),
        ({"loss": "ce-fix", "counts": "4,3,2,2", "dimension": "2"}, "4 classes needs a dimension of at least 3"),
    ],
)
def test_what_is_wrong_with_a_toy_is_told_in_one_line(texts, problem, tmp_path):
    with pytest.raises(UsageError, match=problem) as caught:
        toy.toys(texts, tmp_path)
    assert "\n" not in str(caught.value)
