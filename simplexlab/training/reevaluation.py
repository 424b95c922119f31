"""Recompute the final numbers of a run from its `model.keras` and the data."""

from pathlib import Path
from typing import Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.errors import RunError, UsageError
from simplexlab.evaluation import Representations, evaluate
from simplexlab.quiet import quiet_stderr
from simplexlab.runs import read_labels, read_run
from simplexlab.training import runtime
from simplexlab.training.description import criterion_of, load_dataset

# What another batch normalisation kernel and another order of sums may change: about 1e-6 relative in float32. An
# image next to a decision boundary may change sides, hence one image for the errors.
RELATIVE = {"float64": 1e-9, "float32": 1e-3, "bfloat16": 5e-2}


def reevaluate(folder: Path) -> dict[str, Any]:
    """Evaluate the kept model of a run anew.

    Args:
        folder: the run folder.

    Returns:
        The record of the evaluation with `run`, `final_loss`, and `differences`: the keys of `result.json` whose
        number does not agree, each with (recorded, recomputed); empty where all agree.

    Raises:
        UsageError: the folder is no training run, or has no model or labels yet.
        RunError: its model is damaged.
    """
    run = read_run(folder)
    if run.config.get("kind") != "train":
        raise UsageError(f"{folder} is not the folder of a training run; `simplexlab runs` lists them")
    model_path = run.path / "model.keras"
    if not model_path.exists() or run.result is None:
        raise UsageError(f"run {run.name} is {run.status.state} and has no trained model to evaluate")
    experiment = Experiment.from_dict(run.config["experiment"])
    dataset = load_dataset(experiment)
    labels, _ = read_labels(run.path)
    with runtime.keras_precision(experiment.precision):
        import keras

        with quiet_stderr():
            try:
                model = keras.models.load_model(model_path, compile=False)
            except Exception as error:  # damage shows as whatever zipfile, h5py and Keras make of it
                raise RunError(f"{model_path} is damaged: Keras cannot load it; train the run again") from error
        head = model.layers[-1]
        encoder = keras.Model(model.inputs, head.input)
        train, test = (
            Representations(encoder.predict(images, batch_size=256, verbose=0), targets)
            for images, targets in ((dataset.x_train, labels), (dataset.x_test, dataset.y_test))
        )
    weights = None if experiment.loss == "sc" else np.asarray(head.kernel).T
    probe = run.result.get("train_error_probe") is not None
    iteration = run.result["evaluated_at"]
    record = evaluate(train, test, criterion_of(experiment), weights, iteration=iteration, probe=probe).record
    record["final_loss"] = record.pop("loss")
    record = {"run": run.name, "loss": experiment.loss, **record}
    kept = {key: value for key, value in run.result.items() if key in record and key != "run"}  # folders are renamed
    sizes = {"train": len(labels), "test": len(dataset.y_test)}
    return {**record, "differences": _differences(kept, record, RELATIVE[experiment.precision], sizes)}


def _differences(
    recorded: dict[str, Any], recomputed: dict[str, Any], relative: float, sizes: dict[str, int], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    found = {}
    for key, old in recorded.items():
        new = recomputed[key]
        if isinstance(old, dict) and isinstance(new, dict):
            found |= _differences(old, new, relative, sizes, f"{prefix}{key}.")
            continue
        if isinstance(old, float) and isinstance(new, float):
            split = key.split("_")[0]
            tolerance = 1.01 / sizes[split] if "_error" in key and split in sizes else relative * max(abs(old), 1e-3)
            if abs(old - new) <= tolerance:
                continue
        elif old == new:
            continue
        found[prefix + key] = (old, new)
    return found
