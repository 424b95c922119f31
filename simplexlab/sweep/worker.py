"""A worker of a sweep: one TensorFlow process that trains run after run, so that its start is paid for once.

Run by `pool.execute` as `python -m simplexlab.sweep.worker`. It reads one JSON object a line on stdin,
`{"experiment": …, "log": …, "trusted": …}`, trains or resumes that run, and answers with one line on stdout,
`{"state": …, "message": …}`. `trusted` is the file of a loss of one's own that the sweep's user has run, with its
checksum; a run whose loss is another file is not executed. The end of stdin, which also is what it sees when its parent
dies, stops the run that is going on, as Ctrl-C would.
"""

import gc
import json
import os
import queue
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import Any

from simplexlab import objectives
from simplexlab.after_import import after_import, import_without_optional
from simplexlab.config import Experiment
from simplexlab.errors import RunError, UsageError
from simplexlab.files import open_file
from simplexlab.objectives import own
from simplexlab.runs import read_run


def main() -> None:
    """Train what is asked for on stdin until it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    requests: queue.Queue[str | None] = queue.Queue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    import_without_optional()
    # TensorFlow's and Keras's own objects stay to the end; going through them took a fifth of the start of a run.
    after_import("keras", gc.freeze)
    try:
        while (line := requests.get()) is not None:
            request = json.loads(line)
            _redirect_output(request["log"])
            if request.get("trusted"):
                own.allow_in_this_process(**request["trusted"])
            answer = _execute(Experiment.from_dict(request["experiment"]))
            _forget()
            print(json.dumps(answer), file=answers, flush=True)
    except KeyboardInterrupt:
        sys.exit(130)


def _listen(requests: queue.Queue) -> None:
    for line in sys.stdin:
        requests.put(line)
    requests.put(None)
    os.kill(os.getpid(), signal.SIGTERM)


def _execute(experiment: Experiment) -> dict[str, Any]:
    from simplexlab.training.commands import resume, train

    folder = Path(experiment.run_dir, experiment.name)
    try:
        if read_run(folder).status.state == "missing":
            objectives.get(experiment.loss)  # refuses a file that is not trusted, as `resume` does
            result = train(experiment)
        else:
            result = resume(folder)
        return {"state": result["state"], "message": None}
    except (UsageError, RunError) as error:
        print(error, file=sys.stderr)
        return {"state": "failed", "message": str(error)}
    except Exception as error:
        traceback.print_exc()
        return {"state": "failed", "message": f"{type(error).__name__}: {error}"}


def _forget() -> None:
    """Free the run's graphs and reset Keras's counters, so that the next run starts as in a process of its own."""
    import keras

    own.forget()
    keras.backend.clear_session()
    gc.collect()


def _redirect_output(log: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = open_file(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)


if __name__ == "__main__":
    main()
