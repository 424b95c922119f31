"""`simplexlab train` on a TFDS set prepared from a small archive in CIFAR's format, in a process of its own."""

import json

from simplexlab.data import tfds_source
from simplexlab.training import runtime

RUN = """
from simplexlab.cli import run
from simplexlab.models import encoders
encoders.STAGES["resnet18"] = (0, 1)  # one block, at half the size; `tests/models` has the whole network
run()
"""


def test_cifar10_through_tfds(small_cifar10, tmp_path, forked):
    encoder = ("--encoder", "resnet18", "--width", 2, "--batch-size", 8, "--iterations", 6, "--evaluate-every", 3)
    out = forked(
        RUN,
        *("train", "--dataset", "cifar10", "--data-dir", small_cifar10.data_dir, *encoder, "--loss", "sc"),
        *("--run-dir", tmp_path, "--name", "run", "--devices", "cpu:2", "--threads", 1, "--json"),
    )
    assert json.loads(out)["iterations"] == 6
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["dataset"]["image_shape"] == [32, 32, 3]
    assert config["experiment"]["augment"] is True


def test_missing_data_fail_in_one_line_before_tensorflow_is_asked(simplexlab, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_source, "host_answers", lambda url: False)
    monkeypatch.setattr(runtime, "start", None)
    words = ("train", "--dataset", "cifar10", "--data-dir", tmp_path, "--run-dir", tmp_path / "runs")
    code, _, err = simplexlab(*words)
    assert code == 1
    assert len(err.splitlines()) == 1
    assert "simplexlab data import cifar10 cifar-10-binary.tar.gz" in err
    assert not (tmp_path / "runs").exists()
