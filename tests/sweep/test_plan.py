"""The grid of a sweep, and how its options are read."""

import pytest

from simplexlab import objectives
from simplexlab.errors import UsageError
from simplexlab.sweep.plan import (
    PRESETS,
    Grid,
    parse_corruptions,
    parse_losses,
    parse_seeds,
    parse_settings,
    parse_shard,
    replace_options,
)


def test_corruptions_are_a_list_or_a_range_with_both_ends():
    assert parse_corruptions("0,0.25,1") == (0.0, 0.25, 1.0)
    assert parse_corruptions("0:1:0.1") == (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
    assert parse_corruptions("0.3:0.8:0.2") == (0.3, 0.5, 0.7)


def test_seeds_are_a_number_of_seeds_or_a_list():
    assert parse_seeds("3") == (0, 1, 2)
    assert parse_seeds("0,4") == (0, 4)
    assert parse_seeds("7,") == (7,)


def test_settings_take_the_type_of_their_option():
    settings = parse_settings(["temperature=0.05,1", "batch-size=64", "until_fit=on", "encoder=mlp"])
    assert settings == {"temperature": (0.05, 1.0), "batch_size": (64,), "until_fit": (True,), "encoder": ("mlp",)}
    assert isinstance(settings["temperature"][1], float)


@pytest.mark.parametrize(
    ("read", "text", "message"),
    [
        (parse_corruptions, "0:1", "0:1:0.1"),
        (parse_corruptions, "0:1:0", "is not a range"),
        (parse_corruptions, "0:2:0.5", "is not a range"),
        (parse_corruptions, "0:x:0.5", "is not a range"),
        (parse_corruptions, "nan:1:0.5", "is not a range"),
        (parse_corruptions, "0,a", '"a" is not a number'),
        (parse_corruptions, "0.2,0.20", "names a value twice"),
        (parse_corruptions, "0:1:1e-9", "1000000001 fractions"),
        (parse_corruptions, "0.2,1.5", r"--corruptions 1\.5 must be between 0 and 1"),
        (parse_corruptions, "nan", "--corruptions nan must be between 0 and 1"),
        (parse_losses, "ce,cefix", "--losses cefix: did you mean ce-fix"),
        (parse_seeds, "0", "neither a number of seeds"),
        (parse_seeds, "-1", "neither a number of seeds"),
        (parse_seeds, "1,x", '"x" is not a whole number'),
        (parse_losses, "ce,,sc", '"" is not a value'),
        (parse_shard, "0/4", "i/n"),
        (parse_shard, "5/4", "i/n"),
        (parse_shard, "2", "i/n"),
    ],
)
def test_wrong_lists_are_told(read, text, message):
    with pytest.raises(UsageError, match=message):
        read(text)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("temprature=0.1", "did you mean temperature"),
        ("temperature", "NAME=VALUE"),
        ("loss=sc", "--losses"),
        ("threads=2", "--threads"),
        ("until-fit=maybe", "on or off"),
        ("width=3.5", "whole number"),
        ("width=", "whole number"),
        ("schedule:iterations=polynomial", "not 2 values with : between them"),
        ("schedule:iterations=polynomial:1:2", "not 2 values with : between them"),
        ("schedule:iterations=polynomial:x", "not a whole number"),
        ("schedule:seed=polynomial:1", "--seeds"),
        ("width:width=8:8", "given twice"),
    ],
)
def test_wrong_settings_are_told(setting, message):
    with pytest.raises(UsageError, match=message):
        parse_settings([setting])
    with pytest.raises(UsageError, match="given twice"):
        parse_settings(["width=8", "width=16"])


def test_the_grid_is_the_product_and_names_what_varies():
    grid = Grid(("ce", "sc"), (0.0, 0.5), (0, 1), {"momentum": (0.5, 0.9), "batch_size": (64,)})
    experiments = grid.experiments()
    assert len(experiments) == len({experiment.name for experiment in experiments}) == 16
    first = experiments[0]
    assert first.name == "ce-0-s0-momentum=0.5"
    assert (first.batch_size, first.iterations) == (64, 800)  # the recipe fills in the rest
    assert [experiment.seed for experiment in experiments] == [0] * 8 + [1] * 8


def test_a_loss_is_trained_once_over_the_values_of_an_option_that_it_does_not_have():
    grid = Grid(("ce", "ce-fix", "sc"), (0.0, 0.5), (0,), {"temperature": (0.05, 0.2, 0.4), "head_radius": (1.0, 3.0)})
    experiments = grid.experiments()
    losses = [experiment.loss for experiment in experiments]
    assert [losses.count(loss) for loss in ("ce", "ce-fix", "sc")] == [2, 4, 6]
    names = {experiment.name for experiment in experiments}
    assert {"ce-0-s0", "ce-fix-0-s0-head-radius=3", "sc-0-s0-temperature=0.05"} <= names
    assert all(experiment.options == {} for experiment in experiments if experiment.loss == "ce")
    owners = ", ".join(objective.name for objective, _ in objectives.options()["temperature"])
    told = f"--set temperature: it is an option of {owners}, which is not among the losses, ce"
    with pytest.raises(UsageError, match=told):
        Grid(("ce",), options={"temperature": (0.05,)}).experiments()


def test_options_that_vary_together():
    settings = parse_settings(["schedule:iterations=polynomial:200,constant:400", "width=8"])
    assert settings == {"schedule:iterations": (("polynomial", 200), ("constant", 400)), "width": (8,)}
    grid = Grid(("ce",), (0.0,), (0,), settings)
    assert [(e.name, e.schedule, e.iterations) for e in grid.experiments()] == [
        ("ce-0-s0-schedule=polynomial-iterations=200", "polynomial", 200),
        ("ce-0-s0-schedule=constant-iterations=400", "constant", 400),
    ]
    assert grid.values("schedule") == ("polynomial", "constant")
    assert (grid.values("width"), grid.values("momentum")) == ((8,), ())
    assert "--set schedule:iterations=polynomial:200,constant:400" in grid.options_line()
    same = Grid(("ce",), (0.0,), (0,), {"schedule:width": (("cosine", 8), ("cosine", 16))})
    assert [experiment.name for experiment in same.experiments()] == ["ce-0-s0-width=8", "ce-0-s0-width=16"]


def test_options_that_vary_together_are_replaced_together():
    options = PRESETS["budget"].options
    pair = {"iterations:schedule": ((10, "cosine"),)}
    assert replace_options(options, pair) == {k: v for k, v in options.items() if k != "schedule:iterations"} | pair
    assert replace_options(options, {"width": (4,)})["width"] == (4,)
    both = replace_options(options, {"iterations": (10,), "schedule": ("constant",)})
    assert (both["iterations"], both["schedule"]) == ((10,), ("constant",))
    with pytest.raises(UsageError, match="--set iterations: the preset varies it together with schedule; set both"):
        replace_options(options, {"iterations": (10,)})


def test_every_run_has_a_name_of_its_own():
    near = Grid(("ce",), (0.1234567, 0.1234568), (0,)).experiments()
    assert [experiment.name for experiment in near] == ["ce-0.1234567-s0", "ce-0.1234568-s0"]
    assert "0.1234567,0.1234568" in Grid(corruptions=(0.1234567, 0.1234568)).options_line()
    with pytest.raises(UsageError, match=r"two runs of the grid would be named ce-0-s0-dataset=x\.npz"):
        Grid(("ce",), (0.0,), (0,), {"dataset": ("a/x.npz", "b/x.npz")}).experiments()


def test_every_experiment_is_checked():
    with pytest.raises(UsageError, match="did you mean ce-fix"):
        Grid(losses=("ce", "cefix")).experiments()
    with pytest.raises(UsageError, match=r"--temperature 0 must be greater than 0"):
        Grid(options={"temperature": (0.1, 0.0)}).experiments()
    with pytest.raises(UsageError, match="at most 100000"):
        Grid(seeds=tuple(range(20_000))).experiments()


@pytest.mark.parametrize("name", PRESETS)
def test_the_command_of_a_grid_gives_the_grid(name):
    import shlex

    grid = PRESETS[name]
    words = shlex.split(grid.options_line())
    values = {flag: [words[i + 1] for i, word in enumerate(words) if word == flag] for flag in set(words[::2])}
    again = Grid(
        parse_losses(*values["--losses"]),
        parse_corruptions(*values["--corruptions"]),
        parse_seeds(*values["--seeds"]),
        parse_settings(values["--set"]),
    )
    assert again == grid
    assert grid.experiments()


def test_one_seed_stays_one_seed():
    assert "--seeds 5," in Grid(seeds=(5,)).options_line()
