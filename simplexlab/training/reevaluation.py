"""Recompute the final numbers of a run from its `model.keras` and the data."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from simplexlab.config import Experiment
from simplexlab.data import Dataset
from simplexlab.errors import RunError, UsageError
from simplexlab.evaluation import MEMORISATION, Representations, evaluate
from simplexlab.files import open_file, reason
from simplexlab.memory import check_address_space
from simplexlab.quiet import quiet_stderr
from simplexlab.runs import read_labels, read_run
from simplexlab.runs.folder import PROJECTION_FILE
from simplexlab.runs.record import flaw
from simplexlab.training import runtime
from simplexlab.training.description import check_training_run, criterion_of, load_dataset, load_objective

# What another batch normalisation kernel and another order of sums may change: about 1e-6 relative in float32. An
# image next to a decision boundary may change sides, hence one image for the errors.
RELATIVE = {"float64": 1e-9, "float32": 1e-3, "tf32": 1e-2, "bfloat16": 5e-2}
BATCH = 256


def reevaluate(folder: Path, *, trust: bool = False) -> dict[str, Any]:
    """Evaluate the kept model of a run anew.

    Args:
        folder: the run folder.
        trust: as of `simplexlab.training.commands.resume`.

    Returns:
        The record of the evaluation with `run`, `final_loss`, and `differences`: the keys of `result.json` whose
        number does not agree, each with (recorded, recomputed); empty where all agree.

    Raises:
        UsageError: the folder is no training run, or has no model or labels yet.
        RunError: its model is damaged, or its model, labels and data do not belong together.
    """
    run = read_run(folder)
    check_training_run(run)
    model_path = run.path / "model.keras"
    if not model_path.exists() or run.result is None:
        raise UsageError(f"run {run.name} is {run.status.state} and has no trained model to evaluate")
    if problem := run.damage[:1] or flaw(run.config, run.result, "finished"):
        raise UsageError(f"{run.path} is damaged: {problem if isinstance(problem, str) else problem[0]}")
    check_address_space()
    load_objective(run, trust)
    experiment = Experiment.from_dict(run.config["experiment"])
    dataset = load_dataset(experiment)
    objective = experiment.objective
    labels, _ = read_labels(run.path)
    with runtime.keras_precision(experiment.precision):
        import keras

        from simplexlab.training.function_loss import make_loss, make_penalty
        from simplexlab.training.learner import judged_layer

        with quiet_stderr():
            model = _load(model_path)
        _check_fits(model, dataset, labels, model_path)
        head = model.layers[-1]
        layers = {layer.name: layer for layer in model.layers}
        # A model of version 0.1 does not name the sphere: there it is what its last layer takes.
        judged = layers[judged_layer(objective)].output if judged_layer(objective) in layers else head.input
        encoder = keras.Model(model.inputs, judged)
        projection = None
        if objective.make_projection is not None:
            with quiet_stderr():
                projection = _load(run.path / PROJECTION_FILE)
            width = projection.input_shape[-1]
            if width != judged.shape[-1]:
                raise RunError(
                    f"{run.path / PROJECTION_FILE} takes {width} numbers where the encoder gives {judged.shape[-1]}: "
                    "it is not of this run"
                )
        clean = dataset.true_labels
        train, test = (
            Representations(encoder.predict(images, batch_size=BATCH, verbose=0), *targets)
            for images, targets in (
                (dataset.x_train, (labels, clean if (labels != clean).any() else None)),
                (dataset.x_test, (dataset.y_test,)),
            )
        )
        projections = None if projection is None else projection.predict(train.values, batch_size=BATCH, verbose=0)
    weights = None if objective.head == "none" else np.asarray(head.kernel).T
    probe = run.result.get("train_error_probe") is not None
    iteration = run.result["evaluated_at"]
    loss_dtype = "float64" if experiment.precision == "float64" else "float32"
    parts = ()
    if objective.measure is None:
        parts = [make(objective, experiment.options, loss_dtype) for make in (make_loss, make_penalty)]
    criterion = criterion_of(experiment, dataset.num_classes, *parts)
    evaluation = evaluate(train, test, criterion, weights, projections=projections, iteration=iteration, probe=probe)
    record = evaluation.record
    record["final_loss"] = record.pop("loss")
    record = {"run": run.name, "loss": objective.name, **record}
    kept = {key: value for key, value in run.result.items() if key in record and key != "run"}  # folders are renamed
    flipped = np.count_nonzero(labels != clean)
    sizes = {"train": len(labels), "test": len(dataset.y_test), "flipped": flipped, "clean": len(labels) - flipped}
    return {**record, "differences": _differences(kept, record, RELATIVE[experiment.precision], sizes)}


def _load(path: Path) -> Any:
    """A model of a run folder.

    Raises:
        RunError: it is missing or damaged, or holds code, which Keras's safe mode refuses.
    """
    import keras

    try:
        os.close(open_file(path))  # Keras would follow a link, and wait for a pipe
    except OSError as error:
        raise RunError(f"{path}: {reason(error)}; train the run again") from error
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # damage shows as whatever zipfile, h5py and Keras make of it
        if "arbitrary code execution" in str(error):
            raise RunError(
                f"{path} holds code of its own (a Lambda, TorchModuleWrapper or TFSMLayer), which is not run"
            ) from error
        raise RunError(f"{path} is damaged: Keras cannot load it; train the run again") from error


def _check_fits(model: Any, dataset: Dataset, labels: np.ndarray, path: Path) -> None:
    """Raise a RunError that says what differs where model, labels and data do not belong together."""
    shapes = [("takes", model.inputs, dataset.image_shape), ("gives", model.outputs, (dataset.num_classes,))]
    for verb, tensors, wanted in shapes:
        found = [tuple(tensor.shape[1:]) for tensor in tensors]
        if found != [wanted]:
            raise RunError(
                f"{path} {verb} {' and '.join(map(_by, found))} where the data of the run have {_by(wanted)}: it is not"
                " the model of this run"
            )
    kernel = getattr(model.layers[-1], "kernel", None)
    if kernel is None or len(kernel.shape) != 2:
        raise RunError(f"{path} ends in no linear classifier ({type(model.layers[-1]).__name__}): it is not of a run")
    if labels.shape != dataset.y_train.shape:
        raise RunError(
            f"{path.with_name('labels.npz')} has {_by(labels.shape)} labels and {dataset.name} has"
            f" {len(dataset.y_train):,} training images: they are not those of this run"
        )
    if labels.dtype.kind not in "iu" or not 0 <= labels.min() <= labels.max() < dataset.num_classes:
        raise RunError(
            f"{path.with_name('labels.npz')} has labels from {labels.min()} to {labels.max()} for"
            f" {dataset.num_classes} classes: they are not those of this run"
        )


def _by(shape: tuple[int | None, ...]) -> str:
    return "×".join("?" if length is None else str(length) for length in shape)


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
            counted = split in sizes and ("_error" in key or key in MEMORISATION)
            tolerance = 1.01 / sizes[split] if counted else relative * max(abs(old), 1e-3)
            if abs(old - new) <= tolerance:
                continue
        elif old == new:
            continue
        found[prefix + key] = (old, new)
    return found
