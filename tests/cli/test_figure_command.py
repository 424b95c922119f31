"""`simplexlab figure` as a user types it."""

import json

import pytest


def test_a_figure_is_written_into_a_folder_under_its_number(simplexlab, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = simplexlab("figure", 3)
    assert (code, err) == (0, "")
    written = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert written == ["figure-3.json", "figure-3.png", "figure-3.svg"]
    assert all(f"figures/{name}" in out for name in written)


def test_json_holds_the_numbers_the_caption_and_the_files(simplexlab, tmp_path):
    code, out, _ = simplexlab(
        *("figure", 5, "--counts", "4,4,1", "--counts", "3,3,3", "--output", tmp_path / "pair.png", "--json")
    )
    assert code == 0
    assert out.count("\n") == 1
    record = json.loads(out)
    assert [batch["label_counts"] for batch in record["batches"]] == [[4, 4, 1], [3, 3, 3]]
    assert record.pop("files") == [str(tmp_path / f"pair.{suffix}") for suffix in ("png", "svg", "json")]
    assert json.loads((tmp_path / "pair.json").read_text()) == record


def test_a_projector_gets_another_picture_of_the_same_numbers(simplexlab, tmp_path):
    for style in ("print", "projector"):
        assert simplexlab("figure", 3, "--style", style, "--output", tmp_path / style)[0] == 0
    assert (tmp_path / "print.json").read_bytes() == (tmp_path / "projector.json").read_bytes()
    assert (tmp_path / "print.svg").read_bytes() != (tmp_path / "projector.svg").read_bytes()


def test_figure_1_draws_runs_that_are_there(simplexlab, tmp_path):
    for loss in ("sc", "ce"):
        options = ("--points-per-class", 5, "--steps", 20, "--run-dir", tmp_path / "runs", "--name", loss)
        assert simplexlab("toy", loss, *options)[0] == 0
    code, out, _ = simplexlab(
        *(
            "figure",
            1,
            "--sc",
            "sc",
            "--ce",
            "ce",
            "--run-dir",
            tmp_path / "runs",
            "--output",
            tmp_path / "rows",
            "--json",
        )
    )
    assert code == 0
    assert [row["run"] for row in json.loads(out)["rows"]] == ["sc", "ce"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("9",), "Available commands: 1, 3, 4, 5, 6"),
        (("3", "--style", "huge"), "print"),
        (("3", "--output", "file/picture"), "--output file/picture: cannot write in file"),
        (("5", "--counts", "4,x"), "--counts 4,x: it takes whole numbers"),
        (("5", "--counts", "1,1"), "batch size must be at least 3"),
        (("5", "--seed", "-1"), "--seed"),
        (("1", "--sc", "nowhere"), "there is no run nowhere"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(simplexlab, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    code, out, err = simplexlab("figure", *words)
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert message in err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
