"""`simplexlab geometry`: the statistics of anyone's representations, each beside its optimum."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab.cli.common import Json, print_json, usage_errors

CONTENTS = "z (N, h), y (N,) or (N, 1) in 0 … K−1 and, where there are weights, w (K, h)"


@usage_errors
def geometry(
    file: Annotated[Path, Parameter(help=f"An .npz file with {CONTENTS}.")],
    /,
    *,
    json: Json = False,
) -> None:
    """Measure the representations in an .npz file, from any framework, beside the optimum."""
    from simplexlab.geometry import optimum, statistics
    from simplexlab.npz import read_arrays

    arrays = read_arrays(file, ("z", "y"), ("w",), CONTENTS)
    record = statistics(arrays["z"], arrays["y"], arrays.get("w")).to_dict()
    if record["norms"]["maximum"] > 0:
        record["conditions"] = _conditions(arrays, record["norms"]["maximum"])
    if json:
        features = "nonnegative" if record["nonnegative"] else "free"
        print_json(record | {"features": features, "optimum": optimum(record["num_classes"], features)})
        return

    from simplexlab.cli.tables import console, statistics_table

    out = console()
    out.print(f"{record['num_points']} representations of {record['num_classes']} classes, h = {record['dimension']}\n")
    out.print(statistics_table(record))
    out.print()
    for line in _remarks(record):
        out.print(line)


def _conditions(arrays: dict[str, Any], radius: float) -> dict[str, float]:
    from simplexlab.theory import conditions_ce, conditions_sc

    if "w" in arrays:
        return conditions_ce(arrays["z"], arrays["y"], arrays["w"], radius)
    return conditions_sc(arrays["z"], arrays["y"], radius)


def _remarks(record: dict[str, Any]) -> list[str]:
    norms = record["norms"]
    remarks = [f"Norms: {norms['minimum']:.4g} to {norms['maximum']:.4g}, mean {norms['mean']:.4g}."]
    deviation = record["simplex_deviation"]
    if deviation is None:
        remarks.append("Every class mean is 0.")
    else:
        remarks.append(
            f"Class means off a regular simplex, in units of their norm: centre {deviation['centre']:.4f}, "
            f"norms {deviation['norm']:.4f}, inner products {deviation['inner_product']:.4f}."
        )
    if "conditions" in record:
        conditions = ", ".join(f"{name} {value:.4f}" for name, value in record["conditions"].items())
        theorem = "Theorem 1" if "C3" in record["conditions"] else "Theorem 2"
        remarks.append(f"Off the equality conditions of {theorem}, with the largest norm as ρ: {conditions}.")
    if record["num_classes"] > record["dimension"] + 1:
        remarks.append("K > h + 1: no regular simplex exists in this dimension, its values are out of reach.")
    if record["imbalance"] > 0:
        remarks.append(f"The largest class has {record['imbalance']:.0%} more points than the smallest.")
    if record["uniformity_points"] < record["num_points"]:
        remarks.append(f"The uniformity is from {record['uniformity_points']} of the points.")
    return remarks
