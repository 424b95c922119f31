import io
import json
import subprocess
import sys

import numpy as np
import pytest
from rich.cells import cell_len
from rich.console import Console

from simplexlab import geometry
from simplexlab.cli import main
from simplexlab.cli.tables import Column, LongTable
from simplexlab.config import Experiment
from simplexlab.runs import RunWriter, latest, read_run, summarise

CREATED = "2026-01-0{}T12:00:00+00:00"


def distribution(mean):
    quantiles = {f"q{percent:02d}": mean + (percent - 50) / 1000 for percent in (5, 25, 50, 75, 95)}
    return {"mean": mean, "std": 0.02, "minimum": mean - 0.1, "maximum": mean + 0.1, **quantiles}


def metrics_line(iteration, excess=0.25, train_error=0.125):
    return {
        "iteration": iteration,
        "seconds": 1.5 * iteration,
        "loss": 0.5 + excess,
        "bound": 0.5,
        "excess": excess,
        "excess_standard_error": None,
        "train_error": train_error,
        "test_error": 0.375,
        "train_error_head": train_error,
        "test_error_head": 0.375,
        "num_classes": 4,
        "dimension": 8,
        "imbalance": 0.0,
        "bound_is_exact": True,
        "class_mean_similarity": distribution(0.41),
        "weight_similarity": distribution(0.42),
        "within_class_similarity": distribution(0.83),
        **{name: 0.01 * number for number, name in enumerate(("nc1", "nc2", "nc3", "nc4", "alignment"), start=1)},
        "uniformity": -1.75,
    }


def result(name, line, fit, lower):
    record = {key: value for key, value in line.items() if key not in ("loss", "iteration")}
    fixed = {"run": name, "state": "finished", "loss": "ce", "iterations": line["iteration"], "fit_policy": "head"}
    fit = {"tolerance": 0.0, "time_to_fit": fit, "fit_lower": lower, "final_loss": line["loss"]}
    return fixed | record | fit


def create(run_dir, name, day=1, **options):
    experiment = Experiment(**options).resolve()
    config = {
        "kind": "train",
        "experiment": experiment.to_dict(),
        "command": experiment.command_line(),
        "versions": {"python": "3.11.7", "simplexlab": "0.1.0"},
        "dataset": {"name": "digits", "num_classes": 4, "image_shape": [8, 8, 1], "class_counts": [5, 5, 5, 5]},
        "created": CREATED.format(day),
    }
    return RunWriter.create(run_dir, name, config, total=experiment.iterations)


@pytest.fixture
def run_dir(tmp_path):
    """A finished, a fitted, a live, a dead and a diverged run."""
    folder = tmp_path / "runs"
    with create(folder, "never-fitted", day=3, loss="sc", corrupt=0.2) as writer:
        line = metrics_line(800, excess=0.75)
        writer.log_metrics(line)
        writer.save_labels(np.arange(4), np.arange(1), np.arange(4))
        writer.save_geometry(800, class_means=np.zeros((4, 8)))
        writer.save_result(result("never-fitted", line, None, 800))
        writer.set_status("finished", 800)
    with create(folder, "fitted", day=1, corrupt=0.5, seed=3) as writer:
        line = metrics_line(800, excess=0.5, train_error=0.0)
        writer.log_metrics(line)
        writer.save_result(result("fitted", line, 300, 200))
        writer.set_status("finished", 800)
    with create(folder, "dead", day=2, loss="ce-fix") as writer:
        writer.set_status("running", 17)
    with create(folder, "diverged", day=5, corrupt=1.0, learning_rate=1e4) as writer:
        good = metrics_line(0, excess=2.0)
        writer.log_metrics(good)
        writer.log_metrics({"iteration": 100, "seconds": 1.0, "loss": float("nan")})
        writer.save_result(result("diverged", good, None, 0) | {"state": "diverged", "iterations": 100})
        writer.set_status("diverged", 100, "the loss became non-finite by iteration 100")
    with create(folder, "live", day=4) as writer:
        writer.log_metrics(metrics_line(100, excess=0.1))
        writer.progress(150)
        writer.set_status("running")
        yield folder


@pytest.fixture
def command(run_dir, capsys, monkeypatch):
    """Run `simplexlab runs …` over the folder of runs; gives (exit code, stdout, stderr)."""

    def run(*arguments, columns=80):
        monkeypatch.setenv("COLUMNS", str(columns))
        capsys.readouterr()
        code = main(["runs", *arguments, "--run-dir", str(run_dir)])
        return code, *capsys.readouterr()

    return run


def names(command, *arguments):
    code, out, _ = command("--json", *arguments)
    assert code == 0
    return [row["run"] for row in json.loads(out)["runs"]]


class TestSummary:
    def test_of_a_finished_run(self, run_dir):
        row = summarise(read_run(run_dir / "fitted"))
        assert row == {
            "run": "fitted",
            "path": str(run_dir / "fitted"),
            "kind": "train",
            "state": "finished",
            "message": None,
            "dataset": "digits",
            "loss": "ce",
            "corrupt": 0.5,
            "seed": 3,
            "iteration": 800,
            "total": 800,
            "train_error": 0.0,
            "test_error": 0.375,
            "final_loss": 1.0,
            "bound": 0.5,
            "excess": 0.5,
            "time_to_fit": 300,
            "fit_lower": 200,
            "seconds": 1200.0,
            "created": CREATED.format(1),
        }

    def test_of_a_live_run_has_its_last_evaluation(self, run_dir):
        row = summarise(read_run(run_dir / "live"))
        assert (row["state"], row["iteration"], row["total"]) == ("running", 150, 800)
        assert (row["train_error"], row["excess"], row["final_loss"]) == (0.125, 0.1, 0.6)
        assert row["time_to_fit"] is None

    def test_of_a_diverged_run_has_the_last_good_numbers(self, run_dir):
        row = summarise(read_run(run_dir / "diverged"))
        assert (row["state"], row["iteration"], row["excess"]) == ("diverged", 100, 2.0)

    def test_the_value_and_the_name_of_the_loss_are_kept_apart(self, run_dir):
        assert latest(read_run(run_dir / "live"))["final_loss"] == 0.6
        assert "loss" not in latest(read_run(run_dir / "live"))
        assert latest(read_run(run_dir / "fitted"))["loss"] == "ce"

    def test_what_is_no_number_counts_as_unknown(self, tmp_path):
        config = {"experiment": {"loss": 3, "corrupt": "much", "seed": True}, "created": 5}
        with RunWriter.create(tmp_path, "a", config, total=1) as writer:
            writer.save_result({"excess": "big", "bound": [1], "train_error": True, "final_loss": None})
            (writer.path / "metrics.jsonl").write_text('{"excess": [1], "seconds": 1e999}\n')
        row = summarise(read_run(tmp_path / "a"))
        unknown = ("loss", "corrupt", "seed", "excess", "bound", "train_error", "final_loss", "seconds", "created")
        assert {key: row[key] for key in unknown} == dict.fromkeys(unknown)


class TestList:
    def test_json_is_the_summary_of_every_run(self, command, run_dir):
        code, out, error = command("--json")
        assert (code, error) == (0, "")
        assert out.count("\n") == 1
        rows = {row["run"]: row for row in json.loads(out)["runs"]}
        for name in ("never-fitted", "fitted", "dead", "diverged"):
            assert rows[name] == summarise(read_run(run_dir / name))

    def test_the_table_fits_80_columns(self, command):
        code, out, error = command()
        assert (code, error) == (0, "")
        assert max(map(len, out.splitlines())) <= 80
        rows = {line.split()[1]: " ".join(line.split()) for line in out.splitlines()}
        assert rows["run"] == "state run loss corrupt iteration train test excess fit"
        assert rows["never-fitted"] == "finished never-fitted sc 0.2 800/800 12.5% 37.5% 0.75 >800"
        assert rows["fitted"] == "finished fitted ce 0.5 800/800 0.0% 37.5% 0.5 300"
        assert rows["dead"] == "failed dead ce-fix 0 17/800 – – – –"
        assert rows["diverged"] == "diverged diverged ce 1 100/800 12.5% 37.5% 2 –"
        assert rows["live"] == "running live ce 0 150/800 12.5% 37.5% 0.1 –"

    def test_a_wider_terminal_shows_more(self, command):
        _, out, _ = command(columns=140)
        heading, *rows = out.splitlines()
        assert heading.split()[-2:] == ["seconds", "age"]
        assert "digits" in rows[0].split()
        assert rows[0].split()[-1] in ("d", "s")

    def test_no_name_is_cut(self, command, run_dir):
        name = "a-very-long-name-of-a-run-" * 3 + "end"
        create(run_dir, name, corrupt=0.123456, iterations=1_000_000).close()
        _, out, _ = command()
        assert max(map(len, out.splitlines())) <= 80
        column = out.splitlines()[0].index("run")
        width = out.splitlines()[0].index("loss") - column
        assert name in "".join(line[column : column + width].strip() for line in out.splitlines())

    def test_a_name_is_not_markup(self, command, run_dir):
        create(run_dir, "[red]x[", day=1).close()
        assert "[red]x[" in command()[1]
        assert "[red]x[" in command("show", "[red]x[")[1]

    @pytest.mark.parametrize(
        ("arguments", "expected"),
        [
            ([], ["fitted", "dead", "never-fitted", "live", "diverged"]),
            (["--reverse"], ["diverged", "live", "never-fitted", "dead", "fitted"]),
            (["--sort", "run"], ["dead", "diverged", "fitted", "live", "never-fitted"]),
            (["--sort", "excess"], ["live", "fitted", "never-fitted", "diverged", "dead"]),
            (["--sort", "excess", "--reverse"], ["diverged", "never-fitted", "fitted", "live", "dead"]),
            (["--sort", "time-to-fit"], ["fitted", "dead", "diverged", "live", "never-fitted"]),
            (["--sort", "corrupt"], ["dead", "live", "never-fitted", "fitted", "diverged"]),
            (["--sort", "state"], ["diverged", "dead", "fitted", "never-fitted", "live"]),
            (["--sort", "train-error"], ["fitted", "diverged", "live", "never-fitted", "dead"]),
        ],
    )
    def test_sorting(self, command, arguments, expected):
        assert names(command, *arguments) == expected

    def test_an_unknown_sort_key_is_refused(self, command):
        code, out, error = command("--sort", "exces")
        assert (code, out) == (2, "")
        assert 'Did you mean "excess"' in error

    def test_no_runs_yet(self, tmp_path, monkeypatch, capsys):
        monkeypatch.chdir(tmp_path)
        assert main(["runs"]) == 0
        assert "simplexlab train" in capsys.readouterr().out
        assert main(["runs", "--json"]) == 0
        assert json.loads(capsys.readouterr().out) == {"runs": []}

    def test_a_folder_that_does_not_exist_is_refused(self, tmp_path, capsys):
        assert main(["runs", "--run-dir", str(tmp_path / "nowhere")]) == 2
        assert "is not a folder" in capsys.readouterr().err

    def test_a_working_directory_that_was_deleted_is_not_one_without_runs(self, tmp_path, monkeypatch, simplexlab):
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        told = "simplexlab: the working directory was deleted; change to one that exists\n"
        assert simplexlab("runs") == (1, "", told)
        assert simplexlab("runs", "show", "a") == (1, "", told)
        for words in (("figure", 3, "--output", "x"), ("sweep", "--seeds", 1), ("bound", "ce")):
            code, out, error = simplexlab(*words)
            assert (code, out) == ((2, "") if words[0] == "bound" else (1, ""))
            assert ("the working directory was deleted; change to one that exists" in error) == (code == 1)

    def test_no_tensorflow(self, run_dir):
        code = (
            "import sys; from simplexlab.cli import main; main(['runs', '--run-dir', sys.argv[1]]);"
            "main(['runs', 'show', 'fitted', '--run-dir', sys.argv[1]]);"
            "sys.exit(any(name in sys.modules for name in ('tensorflow', 'keras')))"
        )
        done = subprocess.run([sys.executable, "-c", code, str(run_dir)], capture_output=True)
        assert done.returncode == 0, done.stderr


class TestLongTable:
    def drawn(self, width, rows):
        out = Console(width=width, file=io.StringIO())
        columns = [Column("state"), Column("run"), Column("loss", most=9), Column("n", right=True)]
        out.print(LongTable(columns, 1, rows, ["green"] * len(rows)))
        return out.file.getvalue().splitlines()

    def test_columns_are_as_wide_as_their_cells_and_the_second_folds(self):
        rows = [["queued", "a" * 40, "sc", "1"], ["failed", "b", "very-long-name", "12"]]
        laid_out = [("state", "run", "loss", "n"), ("queued", "a" * 30, "sc", "1"), ("failed", "b", "very-lon…", "12")]
        heading, first, second = (f"{one:6} {two:30} {three:9} {four:>2}" for one, two, three, four in laid_out)
        assert self.drawn(50, rows) == [heading, first, f"{'':6} {'a' * 10}", second]

    def test_wide_characters_take_two_columns_and_no_cell_breaks_a_line_or_commands_the_terminal(self):
        heading, *lines = self.drawn(30, [["a", "学习" * 5, "sc", "3"], ["b", "c\nd\x1b[31m\u202e", "sc", "4"]])
        assert [cell_len(line) for line in (heading, *lines)] == [30, 30, 10, 30]
        assert lines[0].split() == ["a", "学习" * 4, "sc", "3"]
        assert lines[1].split() == ["学习"]
        assert lines[2].split() == ["b", "c", "d�[31m�", "sc", "4"]


class TestShow:
    def test_everything_is_there(self, command):
        code, out, error = command("show", "fitted")
        assert (code, error) == (0, "")
        assert max(map(len, out.splitlines()[2:])) <= 80
        assert "fitted: finished at iteration 800 of 800" in out
        words = out.split()
        for name, value in (("--corrupt", "0.5"), ("--seed", "3"), ("--encoder", "resnet-small")):
            assert words[words.index(name) + 1] == value
        assert "300 iterations (after 200, by 300)" in out
        assert "train 0.00%, test 37.50%" in out
        assert "result.json" in out
        assert out.splitlines()[-1] == "simplexlab train --loss ce --corrupt 0.5 --seed 3"

    def test_each_statistic_is_beside_its_optimum(self, command):
        _, out, _ = command("show", "never-fitted")
        optimum = geometry.optimum(4)
        lines = out.splitlines()
        for label, value, best in (
            ("γ between class means", 0.41, optimum["class_mean_similarity"]),
            ("NC2", 0.02, 0.0),
            ("uniformity", -1.75, optimum["uniformity"]),
        ):
            line = next(line for line in lines if line.startswith(label))
            assert f"{value:.4f}" in line
            assert line.endswith(f"{best:.4f}")

    def test_json_holds_what_the_files_hold(self, command, run_dir):
        code, out, error = command("show", "never-fitted", "--json")
        assert (code, error) == (0, "")
        record = json.loads(out)
        path = run_dir / "never-fitted"
        assert record["config"] == json.loads((path / "config.json").read_text())
        assert record["result"] == json.loads((path / "result.json").read_text())
        assert record["metrics"] == json.loads((path / "metrics.jsonl").read_text())
        assert record["status"] | {"format": 1} == json.loads((path / "status.json").read_text())
        assert record["optimum"] == geometry.optimum(4)
        assert record["orthogonal_frame"] == geometry.optimum(4, "nonnegative")
        assert record["command"] == "simplexlab train --loss sc --corrupt 0.2"
        assert record["geometry"] == [800]
        files = {entry["name"]: entry for entry in record["files"]}
        assert files["labels.npz"]["bytes"] == (path / "labels.npz").stat().st_size
        assert files["geometry/"]["files"] == 1
        assert {key: record[key] for key in summarise(read_run(path))} == summarise(read_run(path))

    def test_a_live_run(self, command):
        code, out, _ = command("show", "live")
        assert code == 0
        assert "live: running at iteration 150 of 800, process" in out
        assert "γ between class means" in out

    @pytest.mark.parametrize(("name", "words"), [("dead", "killed?"), ("diverged", "non-finite by iteration 100")])
    def test_why_a_run_ended(self, command, name, words):
        code, out, _ = command("show", name)
        assert code == 0
        assert words in " ".join(out.split())

    def test_by_path(self, run_dir, capsys):
        assert main(["runs", "show", str(run_dir / "fitted"), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["run"] == "fitted"

    def test_an_unknown_run_is_refused_with_the_nearest(self, command):
        code, out, error = command("show", "fited")
        assert (code, out) == (2, "")
        assert "did you mean fitted?" in error
        assert error.count("\n") == 1

    @pytest.mark.parametrize("file", ["config.json", "status.json", "result.json", "metrics.jsonl"])
    @pytest.mark.parametrize(
        "content",
        [
            "",
            "{",
            "{}",
            '{"experiment": [], "command": 3, "versions": 1, "dataset": {"a": {}}, "created": "soon"}',
            '{"format": 9}',
            '{"num_classes": 4, "nc1": "x", "class_mean_similarity": {"mean": null}, "seconds": null, "a": [[1]]}',
            '{"num_classes": -1, "bound": null, "fit_policy": [], "time_to_fit": "x"}',
            json.dumps(result("fitted", metrics_line(5), 3, 2) | {"fit_policy": "guess"}),
        ],
    )
    def test_a_damaged_run_is_shown_as_far_as_it_goes(self, command, run_dir, file, content):
        (run_dir / "fitted" / file).write_text(content + "\n")
        for arguments in ((), ("--json",), ("show", "fitted"), ("show", "fitted", "--json")):
            code, out, error = command(*arguments)
            assert (code, error) == (0, "")
            assert "fitted" in out

    def test_a_statistic_that_is_not_finite_is_left_out(self, command, run_dir):
        with create(run_dir, "nan") as writer:
            writer.log_metrics(metrics_line(10) | {"nc1": float("nan"), "class_mean_similarity": None})
        code, out, _ = command("show", "nan")
        assert code == 0
        assert "NC2" in out
        assert "NC1" not in out

    def test_a_folder_that_is_a_link_is_not_walked(self, tmp_path):
        from simplexlab.cli.runs import _files

        (tmp_path / "run").mkdir()
        (tmp_path / "large" / "inside").mkdir(parents=True)
        for folder in ("large", "large/inside"):
            (tmp_path / folder / "file").write_text("x")
        for name, target in (("geometry", "large"), ("tb", "run/tb")):
            (tmp_path / "run" / name).symlink_to(tmp_path / target)
        assert [(entry["name"], "files" in entry) for entry in _files(tmp_path / "run")] == [
            ("geometry", False),
            ("tb", False),
        ]

    def test_a_run_of_another_kind(self, command, run_dir):
        config = {"kind": "toy", "experiment": {"loss": "sc", "points": 12}, "command": "simplexlab toy sc --points 12"}
        with RunWriter.create(run_dir, "toy", config, total=500) as writer:
            writer.log_metrics({"iteration": 500, "loss": 1.5, "bound": 1.25, "excess": 0.25})
            writer.set_status("finished", 500)
        _, out, _ = command("show", "toy")
        assert "--points" in out
        assert "0.25" in out
        assert out.splitlines()[-1] == "simplexlab toy sc --points 12"
