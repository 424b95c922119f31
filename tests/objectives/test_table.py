"""The table of objectives: what an entry states, checked; and what does not come along with it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from simplexlab import objectives
from simplexlab.config import Experiment, field_choices
from simplexlab.errors import UsageError
from simplexlab.geometry import regular_simplex
from simplexlab.objectives import Known, Objective, Option

TABLE = objectives.table()


def plain(**changes):
    return Objective(**{"name": "plain", "loss": lambda labels, outputs: labels} | changes)


class TestTable:
    def test_the_papers_three_come_first_and_no_name_is_there_twice(self):
        names = list(objectives.names())
        assert names[:3] == ["ce", "ce-fix", "sc"] == list(objectives.paper())
        assert names[3:] == sorted(names[3:])
        assert [TABLE[name].name for name in names] == names

    def test_each_can_be_told_from_the_others(self):
        for kind in ("colour", "title", "sentence"):
            assert len({getattr(entry, kind).lower() for entry in TABLE.values()}) == len(TABLE), kind
        assert len({entry.marker for entry in TABLE.values() if entry.in_paper}) == 3

    @pytest.mark.parametrize("name", TABLE)
    def test_each_states_what_it_is_in_a_sentence_with_a_reference(self, name):
        entry = TABLE[name]
        assert entry.sentence.endswith(".")
        assert entry.reference
        assert entry.remedy
        assert all(option.help.endswith(".") for option in entry.options)

    def test_an_option_has_one_type_whichever_loss_has_it(self):
        for name, owners in objectives.options().items():
            assert len({option.type for _, option in owners}) == 1, name
        fields = {name for name in Experiment().to_dict()}
        assert not fields & set(objectives.options()), "an option of an objective has the name of an experiment's"

    def test_the_choices_of_the_command_line_are_the_table(self):
        loss = next(field for field in Experiment.__dataclass_fields__.values() if field.name == "loss")
        assert field_choices(loss) == objectives.names()

    @pytest.mark.parametrize("name", TABLE)
    def test_what_a_folder_holds_of_it_makes_it_again_for_readers(self, name):
        facts = json.loads(json.dumps(TABLE[name].facts()))
        again = Objective.from_facts(facts)
        assert again.facts() | {"floor": facts["floor"]} == facts
        assert again.options == TABLE[name].options

    @pytest.mark.parametrize("name", TABLE)
    def test_a_floor_is_below_the_loss_of_a_simplex(self, name):
        entry = TABLE[name]
        if entry.floor is None or entry.measure is None:
            pytest.skip("it has none, or its loss is measured by Keras")
        options = entry.resolve({})
        radius = entry.radius(options) if entry.sphere else 2.0
        labels = np.arange(40) % 4
        points = radius * regular_simplex(4, 5)[labels]
        weights = None if entry.head == "none" else regular_simplex(4, 5)
        known = Known(np.bincount(labels), 5, options, 16, "free", radius, weights)
        floor = entry.floor(known)
        loss, excess, _ = entry.measure(points, labels, known, floor, np.random.default_rng(0))
        assert excess == pytest.approx(loss - floor.value, abs=1e-7)
        assert excess >= -1e-7
        optimal = np.linalg.norm(floor.points, axis=1)
        if np.allclose(optimal, np.linalg.norm(points, axis=1)[0]) or entry.head != "none":
            assert floor.value == pytest.approx(loss, rel=1e-9, abs=1e-12)
        else:  # classes do not collapse there
            assert (optimal < radius).all()
            assert excess > 0.1

    def test_an_unknown_name_is_told_with_the_nearest(self):
        with pytest.raises(UsageError, match=r"--loss cee: did you mean ce\?.*or the path of a file, my_loss.py"):
            objectives.get("cee")

    def test_order_of_tables(self):
        assert sorted(["zebra", "sc", "another", "ce"], key=objectives.rank) == ["ce", "sc", "another", "zebra"]


CODE = """
import sys
from simplexlab import objectives, config, evaluation
import simplexlab.cli.application, simplexlab.cli.objectives, simplexlab.tui.views.form
assert objectives.table() and objectives.options()
config.Experiment(loss="sc").resolve()
for entry in objectives.table().values():
    assert entry.facts()
print([name for name in ("tensorflow", "keras", "matplotlib", "jax") if name in sys.modules])
"""


def test_the_table_is_there_without_tensorflow_and_keras():
    found = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


class TestOption:
    @pytest.mark.parametrize(
        ("option", "good", "bad", "told"),
        [
            (Option(name="x", default=1.0, help="", above=0.0), 0.5, 0.0, "--x 0 must be greater than 0"),
            (Option(name="x", default=1.0, help="", minimum=0.0), 0.0, -0.1, "--x -0.1 must be at least 0"),
            (Option(name="x", default=0.5, help="", below=1.0), 0.9, 1.0, "--x 1 must be less than 1"),
            (Option(name="x", default=0.5, help="", maximum=2.0), 2.0, 2.5, "--x 2.5 must be at most 2"),
            (Option(name="x", default=0.5, help="", minimum=0, maximum=1), 1.0, 2.0, "--x 2 must be between 0 and 1"),
            (Option(name="x", default=0.5, help=""), 2, float("nan"), "--x nan is not a finite number"),
            (Option(name="x", default=0.5, help=""), 2, "two", "--x 'two' is not a number"),
            (Option(name="x", default=3, help=""), 2, 2.5, "--x 2.5 is not a whole number"),
            (Option(name="x", default=3, help=""), 2, True, "--x True is not a whole number"),
            (Option(name="x", default=True, help=""), False, 1, "--x 1 is not on or off"),
            (Option(name="x", default="a", help="", choices=("a", "b")), "b", "c", "--x c: known are a, b"),
        ],
    )
    def test_limits_and_types(self, option, good, bad, told):
        objective = plain(options=(option,))
        assert objective.resolve({}) == {"x": option.default}
        value = objective.resolve({"x": good})["x"]
        assert value == good
        assert type(value) is option.type
        with pytest.raises(UsageError) as error:
            objective.resolve({"x": bad})
        assert str(error.value) == told

    def test_an_option_of_another_loss_is_told(self):
        with pytest.raises(
            UsageError, match="--head-radius does not belong to sc, whose own options are --temperature"
        ):
            objectives.get("sc").resolve({"head_radius": 1.0})
        with pytest.raises(UsageError, match="--temperature does not belong to ce, which has no options of its own"):
            objectives.get("ce").resolve({"temperature": 1.0})

    @pytest.mark.parametrize("facts", [{"name": "Big"}, {"name": "a-b"}, {"name": ""}, {"default": [1]}])
    def test_what_is_no_option(self, facts):
        with pytest.raises(ValueError, match="option"):
            Option(**{"name": "x", "default": 1.0, "help": ""} | facts)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"name": "a b"}, "a name is letters"),
        ({"name": "../up"}, "a name is letters"),
        ({"colour": "red"}, "#rrggbb"),
        ({"marker": "os"}, "marker"),
        ({"marker": ""}, "marker"),
        ({"head": "linear"}, "learned, fixed, none"),
        ({"judge": "head", "head": "none"}, "does not go with head"),
        ({"judge": "probe"}, "does not go with head"),
        ({"head": "fixed"}, "needs make_head"),
        ({"make_head": lambda *_: None}, "needs make_head"),
        ({"penalty": lambda rows: 0.0, "head": "none"}, "of a learned head"),
        ({"penalty": lambda rows: 0.0, "reduction": "sum"}, "beside a loss that is a mean"),
        ({"loss": None}, "either loss or make_loss"),
        ({"make_loss": lambda *_: None}, "either loss or make_loss"),
    ],
)
def test_what_is_no_objective(changes, told):
    with pytest.raises(ValueError, match=told):
        plain(**changes)


def test_a_run_of_a_loss_that_nobody_knows_is_named_by_it():
    assert objectives.of_run(None).name == "unknown"
    assert objectives.of_run({"experiment": {"loss": "/a/b/my loss.py"}}).name == "my-loss"
    assert objectives.of_run({"experiment": {"loss": "x.py:soft"}, "objective": {"name": 3}}).name == "soft"
    assert objectives.of_run({"experiment": {"loss": "sc"}, "objective": {"name": "liar"}}) is TABLE["sc"]
