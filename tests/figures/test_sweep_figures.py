"""Figures 2, 7 and 8 and the report, from a sweep whose growth and geometry are known."""

import base64
import dataclasses
import json
import re

import numpy as np
import pytest

from simplexlab.errors import UsageError
from simplexlab.figures import distributions, time_to_fit
from simplexlab.figures.style import styled
from simplexlab.report import _runs_table, report
from simplexlab.runs import RunWriter
from simplexlab.sweep import Grid, SweepFolder, collect, curves, rows, runs_of

LEVELS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
BUDGET = 800
EXPONENTS = {"ce": 1.0, "ce-fix": 1.0, "sc": 3.0}
SPREAD = {"mean": 0.5, "minimum": 0.35, "maximum": 0.65, "q05": 0.4, "q25": 0.45, "q50": 0.5, "q75": 0.55, "q95": 0.6}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """T = 200 + 500·p for CE and CE-fix, 200 + 1000·p³ for SC, of which no more than 800 iterations are seen."""
    path = tmp_path_factory.mktemp("sweeps") / "known"
    grid = Grid(corruptions=LEVELS, seeds=(0, 1, 2), options={"iterations": (BUDGET,), "evaluate_every": (10,)})
    sweep = SweepFolder.write(path, grid.experiments(), "simplexlab sweep --seeds 3")
    for name, experiment in sweep.experiments.items():
        rise = 1000 if experiment.loss == "sc" else 500
        time = 200 + rise * experiment.corrupt ** EXPONENTS[experiment.loss] + 10 * experiment.seed
        upper = int(np.ceil(time / 10) * 10)
        fitted = upper <= BUDGET
        config = {"kind": "train", "experiment": experiment.to_dict()}
        with RunWriter.create(path, name, config, total=BUDGET) as writer:
            writer.save_result(
                {
                    "run": name,
                    "state": "finished",
                    "iterations": min(upper, BUDGET),
                    "fit_policy": "head",
                    "tolerance": 0.0,
                    "train_error": 0.0,
                    "dimension": 32,
                    "loss": experiment.loss,
                    "dataset": "digits",
                    "corrupt": experiment.corrupt,
                    "seed": experiment.seed,
                    "time_to_fit": upper if fitted else None,
                    "fit_lower": upper - 10 if fitted else BUDGET,
                    "evaluated_at": min(upper, BUDGET),
                    "final_loss": 2.0 + experiment.seed,
                    "bound": 1.5,
                    "excess": 0.5 + experiment.seed,
                    "free_bound": 1.25,
                    "gap_architecture": 0.25,
                    "gap_optimisation": 0.5 + experiment.seed,
                    "bound_is_exact": experiment.corrupt == 0,
                    "test_error": 0.1 * (1 + experiment.seed),
                    "num_classes": 10,
                    "nonnegative": True,
                    "norms": {},
                    "class_mean_similarity": SPREAD,
                    "weight_similarity": None if experiment.loss == "sc" else SPREAD,
                    "within_class_similarity": SPREAD,
                    "seconds": 60.0,
                }
            )
            writer.set_status("finished", min(upper, BUDGET))
    return sweep


def words(figure) -> str:
    return " ".join(text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text")))


def draw(module, numbers):
    with styled("print"):
        return module.draw(numbers)


def test_figure_8_finds_the_exponents_and_shows_every_run(sweep):
    numbers = curves.time_to_fit(collect([sweep.path]), 8)
    (panel,) = numbers["panels"]
    assert [curve["label"] for curve in panel["curves"]] == ["CE", "CE-fix", "SC"]
    for curve in panel["curves"]:
        growth = curve["growth"]
        assert growth["exponent"] == pytest.approx(EXPONENTS[curve["loss"]], rel=0.1)
        assert len(curve["runs"]) == growth["runs"] == 18
    ce, _, sc = panel["curves"]
    assert (ce["growth"]["censored"], sc["growth"]["censored"]) == (0, 3)
    assert ce["growth"]["upper"] < sc["growth"]["lower"]
    ratios = {run["corrupt"]: run["ratio_to_linear_trend"] for run in ce["runs"]}
    np.testing.assert_allclose([ratios[p] for p in LEVELS], 1, atol=0.08)
    assert max(run["ratio_to_linear_trend"] for run in sc["runs"]) > 1.5
    figure, caption = draw(time_to_fit, numbers)
    assert f"SC: exponent {curves.exponent_text(sc['growth'])}" in words(figure)
    assert "did not fit until here" in words(figure)
    assert "54 runs, 3 of which never fitted" in caption
    assert "fitted means no train error" in caption
    points = [line for line in figure.axes[0].lines if line.get_marker() in ("o", "^", "s")]
    assert sum(len(line.get_xdata()) for line in points) == 54
    (arrows,) = [line for line in figure.axes[0].lines if line.get_marker() == "$\\uparrow$"]
    np.testing.assert_allclose(arrows.get_ydata(), BUDGET)
    assert "share\nfitted" in words(figure)


def test_figure_2_shows_ce_and_sc_only(sweep):
    numbers = curves.time_to_fit(collect([sweep.path]), 2)
    assert [curve["loss"] for curve in numbers["panels"][0]["curves"]] == ["ce", "sc"]


def test_a_curve_keeps_other_options_apart(sweep):
    runs = runs_of(sweep)
    for run in runs:
        run.config["experiment"]["temperature"] = 0.1 if run.result["seed"] else 0.5
        run.config["experiment"]["width"] = 8 if run.result["corrupt"] < 0.3 else 16
    found = curves.time_to_fit(runs, 2)["panels"][0]["curves"]
    assert [(curve["label"], len(curve["runs"])) for curve in found] == [  # the temperature is none of CE's
        ("CE, width 8", 6),
        ("CE, width 16", 12),
        ("SC, width 8, temperature 0.1", 4),
        ("SC, width 8, temperature 0.5", 2),
        ("SC, width 16, temperature 0.1", 8),
        ("SC, width 16, temperature 0.5", 4),
    ]


def test_too_few_corruptions_leave_the_exponent_unknown(sweep):
    runs = [run for run in runs_of(sweep) if run.result["corrupt"] < 0.4]
    numbers = curves.time_to_fit(runs, 2)
    assert numbers["panels"][0]["curves"][0]["growth"] is None
    figure, _ = draw(time_to_fit, numbers)
    assert "CE: exponent unknown" in words(figure)


def test_exponents_are_told_with_their_interval():
    assert curves.exponent_text({"exponent": 1.016, "lower": 0.9, "upper": 1.1}) == "1.02 (0.90–1.10)"
    assert curves.exponent_text({"exponent": 2.0, "lower": 1.0, "upper": np.inf}) == "2.00 (1.00–∞)"


def test_figure_7_shows_the_runs_of_one_corruption(sweep):
    runs = collect([sweep.path])
    numbers = distributions.distributions(runs)
    (panel,) = numbers["panels"]
    assert numbers["corrupt"] == 0
    assert [run["loss"] for run in panel["runs"]] == ["ce"] * 3 + ["ce-fix"] * 3 + ["sc"] * 3
    assert panel["simplex"]["class_mean_similarity"] == pytest.approx(0.4646, abs=1e-4)
    assert panel["orthogonal_frame"]["class_mean_similarity"] == pytest.approx(0.5)
    figure, caption = draw(distributions, numbers)
    means = figure.axes[0]
    levels = [line.get_ydata()[0] for line in means.lines if len(set(line.get_ydata())) == 1]
    assert any(level == pytest.approx(0.4646, abs=1e-4) for level in levels)
    assert "ReLU floor" in words(figure)
    assert [len(axes.patches) for axes in figure.axes[:3]] == [9, 6, 9]
    assert "0% of the labels" in caption
    assert distributions.distributions(runs, 0.6)["panels"][0]["runs"][-1]["run"] == "sc-0.6-s2"
    with pytest.raises(UsageError, match=r"there are 0, 0\.2, 0\.4"):
        distributions.distributions(runs, 0.5)


def as_many(runs, copies):
    """The runs, each with `copies` further seeds."""
    many = []
    for run in runs:
        for copy in range(copies):
            config = {
                **run.config,
                "experiment": {**run.config["experiment"], "seed": 1000 * copy + run.result["seed"]},
            }
            many.append(dataclasses.replace(run, name=f"{run.name}-{copy}", config=config))
    return many


def test_many_runs_share_the_box_of_their_curve(sweep):
    runs = as_many(runs_of(sweep), 20)
    numbers = distributions.distributions(runs)
    (panel,) = numbers["panels"]
    assert [(box["label"], box["runs"]) for box in panel["boxes"]] == [("CE", 60), ("CE-fix", 60), ("SC", 60)]
    assert panel["boxes"][0]["class_mean_similarity"]["q25"] == SPREAD["q25"]
    assert panel["boxes"][2]["weight_similarity"] is None
    figure, caption = draw(distributions, numbers)
    assert [len(axes.patches) for axes in figure.axes[:3]] == [3, 2, 3]
    assert sum(len(line.get_xdata()) for line in figure.axes[3].lines if line.get_marker() in "o^s") == 180
    assert "the median over the runs of the box" in caption
    for run in runs:
        run.config["experiment"]["temperature"] = 0.1 if run.result["seed"] else 0.5
    labels = [box["label"] for box in distributions.distributions(runs)["panels"][0]["boxes"]]
    assert set(labels) == {"CE", "CE-fix", "SC\ntemperature 0.1", "SC\ntemperature 0.5"}
    for index, run in enumerate(runs):
        run.config["experiment"]["width"] = 1 + index % 20  # more curves than boxes that can be told apart
    labels = [box["label"] for box in distributions.distributions(runs)["panels"][0]["boxes"]]
    assert labels == ["CE", "CE-fix", "SC"]


def test_the_legend_of_many_curves_names_the_losses(sweep):
    runs = [run for run in runs_of(sweep) if run.result["corrupt"] in (0, 0.4, 0.8)]
    many = as_many(runs, 10)
    for index, run in enumerate(many):
        run.config["experiment"]["momentum"] = index % 10 / 10
    figure, _ = draw(time_to_fit, curves.time_to_fit(many, 8))
    texts = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert [text.split(",")[0] for text in texts[:3]] == ["CE: 10 curves", "CE-fix: 10 curves", "SC: 10 curves"]
    assert "exponents" in texts[0]


def test_without_finished_runs_the_figures_say_so(tmp_path):
    sweep = SweepFolder.write(tmp_path, Grid(seeds=(0,)).experiments(), "")
    with pytest.raises(UsageError, match="figure 8 takes finished runs"):
        curves.time_to_fit(runs_of(sweep))
    with pytest.raises(UsageError, match="figure 7 takes finished runs"):
        distributions.distributions(runs_of(sweep))
    assert "No run has finished yet" in report(sweep)
    with pytest.raises(UsageError, match="there is no run"):
        collect([tmp_path / "nothing"])


def test_the_commands_write_picture_and_numbers(sweep, tmp_path, simplexlab):
    for number in (2, 7, 8):
        code, out, err = simplexlab("figure", number, sweep.path, "--output", f"{tmp_path}/", "--json")
        assert code == 0, err
        assert json.loads(out)["figure"] == number
        assert {path.suffix for path in tmp_path.glob(f"figure-{number}.*")} == {".png", ".svg", ".json"}
    code, out, _ = simplexlab("figure", 8, "--run-dir", sweep.path, "--output", f"{tmp_path}/named")
    assert code == 0
    assert "growth exponent" in out


def test_the_report_holds_everything_and_asks_for_nothing(sweep, tmp_path, simplexlab):
    code, out, _ = simplexlab("report", sweep.path, "--output", tmp_path / "page.html", "--json")
    assert code == 0
    assert json.loads(out)["report"] == str(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    outside = [link for link in re.findall(r'(?:src|href)="([^"]*)"', page) if not link.startswith("data:")]
    assert outside == []
    assert not re.search(r"<script|@import|url\(", page)
    images = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)", page)
    assert [b"<svg" in base64.b64decode(image) for image in images] == [True] * 3
    assert "54 runs: 54 finished; 54.0 minutes of training" in page
    assert "simplexlab sweep --seeds 3 --run-dir known" in page
    assert "2.00 ± 1" not in page  # three seeds: 2, 3 and 4
    assert "<td class=number>3 ± 1</td><td class=number>1.5 ± 0</td><td class=number>1.5 ± 1</td>" in page
    assert "<details>" not in page
    assert page.count("<tr>") == 5 * (1 + 3) + (1 + 18) + 1 + 18 + (1 + 18) + 1 + 54
    assert simplexlab("report", tmp_path)[0] == 2
    assert simplexlab("report", sweep.path, "--output", tmp_path / "no/page.html")[0] == 2


def test_the_table_of_every_run_is_folded_away_where_it_is_long(sweep, monkeypatch):
    runs = runs_of(sweep)
    whole = _runs_table(runs, rows(runs))
    monkeypatch.setattr("simplexlab.report.MOST_ROWS", 53)
    assert _runs_table(runs, rows(runs)) == f"<details><summary>54 runs</summary>{whole}</details>"
