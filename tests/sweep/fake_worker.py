"""Stands in for `simplexlab.sweep.worker`: the same protocol, and run folders without training.

What a run does is told by its seed: 0 finish, 1 fail, 2 kill the process, 3 go on until it is stopped, 4 diverge.
"""

import json
import math
import os
import queue
import signal
import sys
import threading
import time
from pathlib import Path

from simplexlab.runs import RunWriter, read_run
from simplexlab.runs.record import final_result

EVALUATION = {"num_classes": 3, "dimension": 2, "nonnegative": True, "train_error": 0.0}
FINISH, FAIL, DIE, LINGER, DIVERGE = range(5)


def run(experiment: dict) -> dict:
    folder = Path(experiment["run_dir"], experiment["name"])
    config = {"kind": "train", "experiment": experiment}
    is_new = read_run(folder).status.state == "missing"
    opened = RunWriter.create(folder.parent, folder.name, config, total=10) if is_new else RunWriter.reopen(folder)
    with opened as writer, open(folder / "attempts", "a") as attempts:
        print(os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES"), file=attempts, flush=True)
        seed = experiment["seed"]
        if seed == FAIL:
            writer.set_status("failed", message="as asked")
            return {"state": "failed", "message": "as asked"}
        if seed == DIE:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            time.sleep(600 if seed == LINGER and is_new else 0.02)
        except KeyboardInterrupt:
            writer.set_status("stopped", 5)
            return {"state": "stopped", "message": None}
        state = "diverged" if seed == DIVERGE else "finished"
        result = final_result(
            {
                "num_classes": 3,
                "dimension": 2,
                "nonnegative": True,
                "train_error": 0.0,
                "loss": 1.5,
                "excess": math.nan,
            },
            **{name: experiment[name] for name in ("loss", "dataset", "corrupt", "seed", "tolerance")},
            run=folder.name,
            state=state,
            iterations=10,
            time_to_fit=400,
            fit_lower=380,
            fit_policy="head",
            seconds=1.0,
        )
        writer.save_result(result)
        writer.set_status(state, 10)
        return {"state": state, "message": None}


def listen(requests: queue.Queue) -> None:
    for line in sys.stdin:
        requests.put(line)
    requests.put(None)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    requests: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=listen, args=(requests,), daemon=True).start()
    try:
        while (request := requests.get()) is not None:
            print(json.dumps(run(json.loads(request)["experiment"])), flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
