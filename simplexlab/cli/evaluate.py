"""`simplexlab evaluate`: the final numbers of a run, recomputed."""

from typing import Annotated

from cyclopts import Parameter

from simplexlab.cli.common import Json, Trust, print_json
from simplexlab.errors import RunError


def evaluate(
    run: Annotated[str, Parameter(help="Name of a run, or the path of its folder.")],
    *,
    run_dir: Annotated[str, Parameter(help="Folder that holds the runs.")] = "runs",
    trust: Trust = False,
    json: Json = False,
) -> int:
    """Recompute the final numbers of a run from its model.keras and the data, and compare with result.json."""
    from simplexlab.runs import find_run
    from simplexlab.training.reevaluation import reevaluate

    record = reevaluate(find_run(run, run_dir), trust=trust)
    differences = record["differences"]
    if json:
        print_json(record)
    else:
        from simplexlab.cli.tables import console, loss_words, statistics_table

        out = console()
        out.print(f"{record['run']}: train error {record['train_error']:.2%}, test error {record['test_error']:.2%}")
        out.print(f"{loss_words(record['final_loss'], record['bound'], record['excess'])}\n")
        out.print(statistics_table(record))
        if not differences:
            out.print("\nEvery number agrees with result.json.")
    if differences:
        told = "; ".join(f"{key} is {old} there and {new} here" for key, (old, new) in differences.items())
        raise RunError(f"result.json says other numbers: {told}")
    return 0
