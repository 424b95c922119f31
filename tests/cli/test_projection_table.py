"""The table of a run with a projection head: what is kept beside what the loss sees."""

import numpy as np

from simplexlab import geometry, objectives
from simplexlab.cli.tables import console, statistics_table, summary_rows
from simplexlab.evaluation import Criterion, Representations, evaluate


def test_encoder_and_head_stand_side_by_side():
    labels = np.arange(60) % 4
    objective = objectives.get("supcon")
    options = objective.resolve({})
    kept = np.abs(np.random.default_rng(0).normal(size=(60, 7)))
    seen = geometry.regular_simplex(4, 5, objective.radius(options))[labels]
    criterion = Criterion(objective, 16, True, "class-means", options, views=2)
    record = evaluate(Representations(kept, labels), None, criterion, projections=seen).record
    out = console()
    with out.capture() as captured:
        out.print(statistics_table(record))
    lines = captured.get().splitlines()
    assert lines[0].split() == ["statistic", "encoder", "head", "simplex", "frame"]
    assert max(map(len, lines)) <= 80
    row = next(line for line in lines if line.startswith("γ between class means")).split()[-4:]
    simplex = f"{geometry.simplex_similarity(4):.4f}"
    assert row == [f"{record['class_mean_similarity']['mean']:.4f}", simplex, simplex, "0.5000"]
    record |= {"run": "a", "state": "finished", "iterations": 1, "seconds": 1.0, "fit_policy": "class-means"}
    record |= {"tolerance": 0.0, "time_to_fit": None, "fit_lower": 0, "final_loss": record["loss"]}
    assert dict(summary_rows(record))["loss"].endswith(", of the head's output")
