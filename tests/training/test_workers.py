"""Several workers: TF_CONFIG, the numbers of one device, a worker that dies, launch."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from simplexlab.errors import RunError, UsageError
from simplexlab.training import cluster
from simplexlab.training.cluster import Cluster

LAUNCH = [sys.executable, "-m", "simplexlab", "launch", "--workers", "2", "--"]
OPTIONS = {"--width": 2, "--batch-size": 12, "--corrupt": 0.2, "--evaluate-every": 4} | {
    "--precision": "float64",
    "--schedule": "constant",
    "--learning-rate": 0.05,
    "--temperature": 0.5,
}
ONE_THREAD = ("--threads", "1")


def words(npz: Path, folder: Path, iterations: int = 40) -> list[str]:
    options = {"--dataset": npz, "--loss": "sc", "--encoder": "mlp", **OPTIONS}
    options |= {"--run-dir": folder.parent, "--name": folder.name, "--iterations": iterations}
    return ["train", "--augment", *(str(word) for pair in options.items() for word in pair)]


def lines(folder: Path) -> list[dict]:
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]] if path.exists() else []


def curves(folder: Path) -> np.ndarray:
    """Batch loss, loss and excess over the iterations."""
    return np.array([[line[key] for key in ("batch_loss", "loss", "excess")] for line in lines(folder)[1:]])


def workers_of(launcher: int) -> list[int]:
    """Process ids of a launcher's workers, worker 0 first."""
    return [int(pid) for pid in Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()]


def wait_for_lines(folder: Path, count: int, process: subprocess.Popen) -> None:
    end = time.monotonic() + 200
    while len(lines(folder)) < count:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")
def test_two_workers_follow_one_device_though_one_dies_and_the_run_is_resumed(tiny_npz, tmp_path, simplexlab):
    """With batch normalization over both, and evaluations beside the steps."""
    folder = tmp_path / "two"
    endless = [*LAUNCH, *words(tiny_npz, folder, iterations=1_000_000), *ONE_THREAD, "--overlap"]
    process = subprocess.Popen(endless, stderr=subprocess.PIPE, text=True)
    wait_for_lines(folder, 3, process)
    os.kill(workers_of(process.pid)[1], signal.SIGKILL)
    began = time.monotonic()
    _, error = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "the workers listen on all interfaces, ports " in error
    assert "lost worker 1" in error
    assert time.monotonic() - began < 60
    status = json.loads((folder / "status.json").read_text())
    assert status["state"] == "failed"
    assert "lost worker 1" in status["message"]

    again = [*LAUNCH, "resume", str(folder), "--json"]
    process = subprocess.Popen(again, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for_lines(folder, 11, process)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=100)
    assert process.returncode == 130, error
    result = json.loads(out)  # of worker 0 alone
    assert (result["run"], result["state"]) == ("two", "stopped")
    assert json.loads((folder / "status.json").read_text())["state"] == "stopped"
    assert len(json.loads((folder / "config.json").read_text())["host"]["workers"]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tiny.npz", "two"]

    assert simplexlab(*words(tiny_npz, tmp_path / "one"))[0] == 0
    assert [line["iteration"] for line in lines(folder)[:11]] == list(range(0, 41, 4))
    np.testing.assert_allclose(curves(folder)[:10], curves(tmp_path / "one"), rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "workers", "index"),
    [
        ("", ("",), 0),
        ('{"cluster": {}, "task": {"type": "worker", "index": 0}}', ("",), 0),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}', ("a:1", "b:2"), 1),
        (
            '{"cluster": {"chief": ["a:1"], "worker": ["b:2", "c:3"]}, "task": {"type": "worker", "index": "1"}}',
            ("a:1", "b:2", "c:3"),
            2,
        ),
    ],
)
def test_the_cluster_of_tf_config(monkeypatch, text, workers, index):
    monkeypatch.setenv("TF_CONFIG", text)
    cluster = Cluster.from_environment()
    assert (cluster.workers, cluster.index, cluster.is_chief) == (workers, index, index == 0)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("worker 0", "is not understood; a cluster of two looks like"),
        ("[1]", "is not understood"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}}', "is not understood"),
        ('{"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 2}}', "has no worker 2"),
        ('{"cluster": {"worker": ["a:1", "b"]}, "task": {"type": "worker", "index": 0}}', "b is not host:port"),
        ('{"cluster": {"worker": ["a:1", "A:1"]}, "task": {"type": "worker", "index": 0}}', "have one address, A:1"),
        (
            '{"cluster": {"chief": ["[::1]:9"], "worker": ["b:1", "127.0.0.1:9"]}, '
            '"task": {"type": "chief", "index": 0}}',
            "workers 0 and 2 have one address",
        ),
        (
            '{"cluster": {"worker": ["a:1", "b..c:2"]}, "task": {"type": "worker", "index": 0}}',
            "b..c:2 is not host:port",
        ),
        ('{"cluster": {"worker": ["a:1", "-b:2"]}, "task": {"type": "worker", "index": 0}}', "-b:2 is not host:port"),
        ('{"cluster": {"worker": ["a:1", "b:٢"]}, "task": {"type": "worker", "index": 0}}', "b:٢ is not host:port"),
        ('{"cluster": {"worker": ["a:1", "x y:2"]}, "task": {"type": "worker", "index": 0}}', "x y:2 is not host:port"),
        ("[" * 100_000, "is not understood"),
        ('{"a":' * 100_000, "is not understood"),
        (" " * 2_000_000 + "[", "holds 2,000,001 characters"),
        ('{"cluster": {"worker": ["a:1"], "ps": ["b:1"]}, "task": {"type": "worker", "index": 0}}', "has the job ps"),
    ],
)
def test_a_wrong_tf_config_is_told_before_anything_starts(simplexlab, monkeypatch, tmp_path, text, told):
    monkeypatch.setenv("TF_CONFIG", text)
    code, _, error = simplexlab("train", "--run-dir", tmp_path / "runs")
    assert code == 2
    assert told in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_whoever_waits_for_workers_says_so_and_can_be_stopped(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        addresses = [f"127.0.0.1:{server.getsockname()[1]}" for server in (first, second)]
    task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": 0}}
    assert cluster.TELL_SECONDS == 10
    program = "from simplexlab.training import cluster; cluster.TELL_SECONDS = 1; from simplexlab.cli import run; run()"
    words = [sys.executable, "-c", program, "train", "--run-dir", str(tmp_path / "runs"), "--batch-size", "8"]
    environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
    process = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr.readline().startswith(f"waiting for worker 1 at {addresses[1]}, since 1 s")
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - began < 2.5
    assert (process.returncode, error) == (130, "simplexlab: interrupted\n")
    assert not (tmp_path / "runs").exists()


def test_a_library_that_does_not_return_can_be_stopped(tmp_path):
    code = (
        "import hashlib; from simplexlab.training.interrupts import answered, interrupts\n"
        "with interrupts(), answered('waiting'):\n"
        "    print('ready', flush=True); hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.readline()
    time.sleep(0.3)
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=30)
    assert time.monotonic() - began < 2.5
    assert process.returncode == 130
    assert b"interrupted" in error


def test_a_worker_that_does_not_start_is_named():
    with socket.create_server(("127.0.0.1", 0)) as first, socket.create_server(("127.0.0.1", 0)) as second:
        here, missing = (f"127.0.0.1:{server.getsockname()[1]}" for server in (first, second))
    with pytest.raises(RunError, match=f"worker 1 at {missing} did not start within 0.3 s"):
        Cluster((here, missing), 0).wait(0.3)
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match=r"cannot listen at .*in use"),
    ):
        Cluster((f"127.0.0.1:{taken.getsockname()[1]}", missing), 0).wait(0.3)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "launch needs a command"),
        (("--", "sweep"), "launch cannot run sweep; it takes train or resume"),
        (("--workers", "1", "--", "train"), "--workers 1 must be between 2 and 64"),
    ],
)
def test_wrong_use_of_launch(simplexlab, words, told):
    code, _, error = simplexlab("launch", *words)
    assert code == 2
    assert told in error


def test_wrong_options_are_told_once(tmp_path):
    words = [*LAUNCH, "train", "--corrupt", "2", "--run-dir", str(tmp_path / "runs")]
    process = subprocess.run(words, capture_output=True, text=True, timeout=100)
    # A machine on which the workers take long to start tells before that where they listen.
    errors = [line for line in process.stderr.splitlines() if not line.startswith("the workers listen on")]
    assert (process.returncode, errors) == (2, ["simplexlab: --corrupt 2 must be between 0 and 1"])


def test_the_slurm_script_of_the_page_tells_each_worker_its_place(tmp_path):
    page = (Path(__file__).parents[2] / "docs" / "scale.md").read_text()
    script = next(block for block in page.split("```sh\n") if "export TF_CONFIG" in block).partition("```")[0]
    for name, content in {
        "scontrol": "echo node-a; echo node-b",
        "srun": 'shift; for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@" || exit; done',
        "simplexlab": 'echo "$TF_CONFIG $*"',
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{content}\n")
        (tmp_path / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    out = subprocess.run(["bash", "-c", script], env=environment, capture_output=True, text=True, check=True).stdout
    tasks = [json.loads(line.partition(" train ")[0]) for line in out.splitlines()]
    assert tasks == [
        {"cluster": {"worker": ["node-a:29500", "node-b:29500"]}, "task": {"type": "worker", "index": index}}
        for index in (0, 1)
    ]


@pytest.mark.parametrize(("count", "visible"), [(2, ["0", "1"]), (1, ["-1", "-1"])])
def test_each_worker_gets_a_gpu_of_its_own_where_there_are_enough(monkeypatch, count, visible):
    from simplexlab.cli import launch

    started = []
    monkeypatch.setattr(launch, "_gpus", lambda: [str(index) for index in range(count)])
    monkeypatch.setattr(launch, "_start", lambda command, environment, log: started.append(environment) or Ended())
    assert launch.launch("train", workers=2) == 0
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in started] == visible
    tasks = [json.loads(environment["TF_CONFIG"]) for environment in started]
    assert [task["task"]["index"] for task in tasks] == [0, 1]
    assert tasks[0]["cluster"] == tasks[1]["cluster"]
    assert all(address.startswith("127.0.0.1:") for address in tasks[0]["cluster"]["worker"])


class Ended:
    """A process that has ended well."""

    returncode = 0

    def poll(self):
        return 0


def test_an_index_that_a_process_of_another_machine_has_is_refused(monkeypatch):
    monkeypatch.setattr(cluster, "ANSWER_SECONDS", 0.2)
    create = socket.create_server
    with create(("127.0.0.1", 0)) as unused:
        missing = f"127.0.0.1:{unused.getsockname()[1]}"
    with create(("127.0.0.1", 0), backlog=9) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        # On a machine of its own this process could listen at the same port: there it is another one.
        monkeypatch.setattr(socket, "create_server", lambda *_, **options: create(("127.0.0.1", 0), **options))
        with pytest.raises(UsageError, match=f"another process answers at {address}, the address of worker 1"):
            Cluster((missing, address), 1).wait(0.3)
    with pytest.raises(RunError, match="did not start within"):  # nobody answers: a network that leads nowhere
        Cluster((missing, address), 1).wait(0.3)
