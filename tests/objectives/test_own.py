"""Losses of one's own: what is wrong with a file is told in one line, before a run is there; what is right, trains."""

import json
import os

import pytest

from simplexlab import objectives
from simplexlab.errors import UsageError
from simplexlab.geometry.catalogue import CATALOGUE
from simplexlab.objectives import own

TINY = ("--encoder", "mlp", "--width", 4, "--batch-size", 12, "--iterations", 40, "--evaluate-every", 20)
HEAD = "from keras import ops\nfrom simplexlab.objectives import Objective, Option\n"
PLAIN = (
    "from simplexlab.objectives import Objective\nplain = Objective(name='plain', loss=lambda labels, outputs: None)\n"
)


@pytest.fixture
def train(simplexlab, shared_npz, tmp_path):
    """Train with the loss in a file of this content; exit code, stdout, stderr, and the names in the folder of runs."""

    def call(content, *words, name="mine.py", call=""):
        (tmp_path / name).write_text(content)
        runs = tmp_path / "runs"
        given = ("--loss", f"{tmp_path / name}{call}", "--dataset", shared_npz, "--run-dir", runs, *TINY, *words)
        code, out, err = simplexlab("train", *given)
        return code, out, err, sorted(os.listdir(runs)) if runs.exists() else []

    return call


class TestTheFile:
    @pytest.mark.parametrize(
        ("content", "call", "told"),
        [
            ("x = 1\n", "", "mine.py must hold one Objective, and holds none"),
            (PLAIN, ":other", "mine.py holds no Objective named other; there is plain"),
            (
                PLAIN + PLAIN.replace("plain", "second"),
                "",
                "mine.py must hold one Objective, and holds 2 (plain, second)",
            ),
            ("def f(:\n    pass\n", "", "mine.py, line 1: invalid syntax"),
            ("x = 1\n\n1 / 0\n", "", "mine.py, line 3: ZeroDivisionError: division by zero"),
            ("import nowhere\n", "", "mine.py, line 1: ModuleNotFoundError: No module named 'nowhere'"),
            ("x = 1\nraise SystemExit(0)\n", "", "mine.py, line 2: SystemExit: 0"),
            (PLAIN.replace("'plain'", "'a b'"), "", "mine.py, line 2: ValueError: name 'a b': a name is letters"),
            (PLAIN.replace("name=", "nmae="), "", "mine.py, line 2: TypeError"),
            (PLAIN.replace("'plain'", "'sc'"), "", "mine.py: the name sc is taken by a loss of the package"),
            (
                PLAIN + "from simplexlab.geometry.catalogue import Statistic\n"
                "row = Statistic(key='nc1', label='', meaning='', measure=None, optimum=None)\n",
                "",
                "mine.py: a statistic named nc1 is in the package already",
            ),
            ("x = '\0'\n", "", "mine.py"),
        ],
    )
    def test_what_is_wrong_with_it(self, train, content, call, told):
        code, out, err, runs = train(content, call=call)
        assert (code, out, runs) == (2, "", [])
        assert err.count("\n") == 1
        assert told in err

    @pytest.mark.parametrize(
        ("make", "told"),
        [
            (lambda path: None, "there is no such file"),
            (lambda path: path.mkdir(), "it is not a file"),
            (lambda path: path.write_text("#" * (1 + 2**20)), "it holds 1,048,577 bytes, more than 1,048,576"),
            (os.mkfifo, "it is not a file"),
        ],
    )
    def test_what_is_no_file(self, simplexlab, tmp_path, make, told):
        make(tmp_path / "there.py")
        code, _, err = simplexlab("train", "--loss", tmp_path / "there.py", "--run-dir", tmp_path / "runs")
        assert code == 2
        assert err == f"simplexlab: --loss {tmp_path / 'there.py'}: {told}\n"
        assert not (tmp_path / "runs").exists()

    def test_a_link_that_its_user_names_is_the_file_that_it_leads_to(self, tmp_path):
        (tmp_path / "mine.py").write_text(PLAIN)
        (tmp_path / "link.py").symlink_to(tmp_path / "mine.py")
        objectives.allow(str(tmp_path / "link.py"))
        assert objectives.get(str(tmp_path / "link.py")).source == str(tmp_path / "mine.py")

    def test_a_file_that_was_edited_is_executed_anew_when_it_is_named_anew_and_not_before(self, tmp_path):
        file = tmp_path / "mine.py"
        file.write_text(PLAIN)
        objectives.allow(str(file))
        assert objectives.get(str(file)).title == "plain"
        file.write_text(PLAIN.replace("name=", "title='after', name="))
        assert objectives.get(str(file)).title == "plain"  # a run that goes on keeps its loss
        assert own.executed(str(file)) == PLAIN.encode()
        objectives.allow(str(file))
        assert objectives.get(str(file)).title == "after"

    def test_two_in_one_file_by_their_names(self, tmp_path):
        file = tmp_path / "mine.py"
        file.write_text(PLAIN + PLAIN.replace("plain", "second"))
        objectives.allow(f"{file}:second")
        assert objectives.get(f"{file}:second").name == "second"
        assert objectives.get(f"{file}:plain").name == "plain"

    def test_a_home_that_cannot_be_written_keeps_nobody_from_running(self, tmp_path, monkeypatch):
        (tmp_path / "mine.py").write_text(PLAIN)
        (tmp_path / "file").touch()
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
        objectives.allow(str(tmp_path / "mine.py"))
        assert objectives.get(str(tmp_path / "mine.py")).name == "plain"

    @pytest.mark.parametrize("note", ["", "[]", "{", "[" * 10_000, '{"x": 3}'])
    def test_a_damaged_note_is_begun_anew(self, tmp_path, monkeypatch, note):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        (tmp_path / "simplexlab").mkdir()
        (tmp_path / "simplexlab" / "losses.json").write_text(note)
        (tmp_path / "mine.py").write_text(PLAIN)
        objectives.allow(str(tmp_path / "mine.py"))
        own._allowed.clear()
        assert own.is_allowed(str(tmp_path / "mine.py"))

    def test_a_link_in_the_place_of_the_note_is_replaced_not_followed(self, tmp_path, monkeypatch):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
        (tmp_path / "simplexlab").mkdir()
        (tmp_path / "precious").write_text("precious")
        (tmp_path / "simplexlab" / "losses.json").symlink_to(tmp_path / "precious")
        (tmp_path / "mine.py").write_text(PLAIN)
        objectives.allow(str(tmp_path / "mine.py"))
        assert (tmp_path / "precious").read_text() == "precious"
        assert str(tmp_path / "mine.py") in json.loads((tmp_path / "simplexlab" / "losses.json").read_text())


class TestTheFunction:
    @pytest.mark.parametrize(
        ("body", "told"),
        [
            ("ops.mean(outputs)", "the loss must return one value per sample, shape (6,); it returned shape ()"),
            ("outputs", "the loss must return one value per sample, shape (6,); it returned shape (6, 3)"),
            ("outputs[1:, 0]", "the loss must return one value per sample, shape (6,); it returned shape (5,)"),
            ("labels", "the loss must return floating-point numbers; it returned int64"),
            ("ops.log(outputs[:, 0] * 0)", "the loss is not finite on random outputs"),
            ("outputs[:, 0] / nowhere", "NameError: name 'nowhere' is not defined"),
            ("outputs[:, 0] if outputs.numpy().any() else None", "AttributeError"),  # at trace time alone
            ("outputs[:, 7]", "mine.py, line 4"),
        ],
    )
    def test_what_is_wrong_with_it(self, train, body, told):
        content = f"{HEAD}def loss(labels, outputs):\n    return {body}\nmine = Objective(name='mine', loss=loss)\n"
        code, out, err, runs = train(content)
        assert (code, out, runs) == (2, "", [])
        assert err.count("\n") == 1, err
        assert told in err
        assert f"mine.py, line {4 if 'Error' in told or 'line' in told else 3}" in err

    def test_what_makes_a_keras_loss_may_fail_too(self, train):
        content = f"{HEAD}def make(options, dtype):\n    return 1 / 0\nmine = Objective(name='mine', make_loss=make)\n"
        code, _, err, runs = train(content)
        assert (code, runs) == (2, [])
        assert "mine.py, line 4: ZeroDivisionError: division by zero" in err

    @pytest.mark.parametrize(
        ("words", "told"),
        [
            (("--option", "margin"), "--option margin has no value; it takes NAME=VALUE"),
            (("--option", "margin=x"), '--option margin: "x" is not a number'),
            (("--option", "margin=-1"), "--margin -1 must be at least 0"),
            (("--option", "margins=1"), "--option margins: mine has no such option; it has margin"),
            (("--option", "margin=1", "--option", "margin=2"), "--option margin is given twice"),
            (("--temperature", "1"), "--temperature does not belong to soft, whose own options are --margin"),
        ],
    )
    def test_its_options(self, train, words, told):
        content = HEAD + (
            "soft = Objective(name='soft', loss=lambda labels, outputs, margin: outputs[:, 0],\n"
            "    options=(Option(name='margin', default=0.5, help='m', minimum=0.0),))\n"
        )
        code, _, err, runs = train(content, *words)
        assert (code, runs) == (2, [])
        assert err == f"simplexlab: {told}\n"


def test_a_loss_of_representations_on_a_sphere_without_a_floor(train, tmp_path):
    content = f"""{HEAD}
def loss(labels, points):
    same = ops.cast(labels[:, None] == labels[None], points.dtype)
    return ops.mean(ops.square(points @ ops.transpose(points) - same), axis=1)


mine = Objective(name="gram", title="Gram", loss=loss, head="none", sphere=True)
"""
    code, out, err, runs = train(content, "--json")
    assert code == 0, err
    result = json.loads(out)
    assert runs == [result["run"]] == ["tiny-gram-0-s0"]
    assert (result["loss"], result["bound"], result["excess"]) == ("gram", None, None)
    assert result["fit_policy"] == "class-means"
    assert 0 < result["final_loss"] < 1
    assert result["norms"]["maximum"] == pytest.approx(1, abs=1e-5)
    folder = tmp_path / "runs" / runs[0]
    assert (folder / "loss.py").read_text() == content
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_objectives_lists_what_a_file_holds(simplexlab, tmp_path):
    (tmp_path / "mine.py").write_text(PLAIN.replace("name=", "sentence='Nothing at all.', name="))
    code, out, _ = simplexlab("objectives", "--loss", tmp_path / "mine.py")
    assert code == 0
    assert "Nothing at all." in out
    code, out, _ = simplexlab("objectives", "--json")
    listed = json.loads(out)["objectives"]
    assert [one["name"] for one in listed] == list(objectives.names())
    for one in listed:
        assert one["sentence"]
        assert one["reference"]
        assert {option["name"] for option in one["options"]} == {o.name for o in objectives.get(one["name"]).options}


def test_a_statistic_goes_with_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        PLAIN + "from simplexlab.geometry.catalogue import Statistic\n"
        "row = Statistic(key='ours', label='', meaning='', measure=lambda *_: 1.0, optimum=lambda _: None)\n"
    )
    objectives.allow(str(tmp_path / "mine.py"))
    assert "ours" not in CATALOGUE
    objectives.get(str(tmp_path / "mine.py"))
    assert "ours" in CATALOGUE
    own.forget()
    assert "ours" not in CATALOGUE


def test_no_path_at_all():
    with pytest.raises(UsageError, match="is no path"):
        objectives.get("a\0.py")
