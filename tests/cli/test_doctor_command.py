"""`simplexlab doctor` names what is there and how to mend what is wrong."""

import json
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from simplexlab import __version__ as simplexlab_version
from simplexlab.cli import doctor


def test_it_tells_versions_devices_and_data(simplexlab):
    _, out, err = simplexlab("doctor", "--json")
    report = json.loads(out)
    subjects = {finding["subject"]: finding for finding in report["findings"]}
    assert {"Python", "tensorflow", "keras", "CPU", "GPU", "digits", "cifar10", "cifar100", "disk"} <= set(subjects)
    assert subjects["digits"]["found"] == "embedded"
    assert report["problems"] == sum(finding["problem"] for finding in report["findings"])
    assert "I0000" not in err


def test_a_missing_package_is_a_problem_with_its_remedy(simplexlab, monkeypatch):
    def version(package):
        if package == "scipy":
            raise PackageNotFoundError(package)
        return "1.0"

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    code, out, _ = simplexlab("doctor")
    assert code == 1
    assert "pip install scipy" in out


class TestTheReport:
    """A text that its reader can use and that tells nothing of its sender's files."""

    def test_it_is_a_block_with_the_versions(self, simplexlab, monkeypatch, tmp_path):
        monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
        monkeypatch.setenv("XLA_FLAGS", f"--xla_dump_to={tmp_path} --xla_gpu_deterministic_ops")
        monkeypatch.chdir(tmp_path)
        _, out, _ = simplexlab("doctor", "--report")
        lines = out.splitlines()
        assert lines[0] == "```text"
        assert lines[-1] == "```"
        found = dict(line[2:].split("  ", 1) for line in lines[1:-1])
        assert found["simplexlab"].strip() == simplexlab_version
        assert found["TFDS_DATA_DIR"].strip() == "set"
        assert found["XLA_FLAGS"].strip() == "--xla_dump_to=<path> --xla_gpu_deterministic_ops"
        assert {"Python", "tensorflow", "keras", "GPU", "stdout"} <= set(found)
        for word in (str(tmp_path), str(Path.home()), sys.prefix):
            assert word not in out

    @pytest.mark.parametrize(
        ("told", "shown"),
        [
            ("does not start: /home/ada/venv/lib/x.so: cannot open", "does not start: <path>: cannot open"),
            ("File '/opt/a b', line 3", "File '<path> b', line 3"),
            ("/home/ada lovelace/x is missing", "<path> is missing"),
            ("file:///srv/data and ~/runs", "<path> and <path>"),
            (
                "2 operators at once, 1/2 of them, https://example.org",
                "2 operators at once, 1/2 of them, https://example.org",
            ),
            ("two\nlines", "two lines"),
            ("ada's laptop on turing", "<user>'s laptop on <host>"),
        ],
    )
    def test_paths_and_names_are_left_out(self, told, shown, monkeypatch):
        monkeypatch.setenv("USER", "ada")
        monkeypatch.setenv("HOME", "/home/ada lovelace")
        monkeypatch.setattr(doctor.platform, "node", lambda: "turing")
        assert doctor.without_paths(told) == shown

    def test_a_problem_is_marked_and_it_is_no_json(self, simplexlab):
        shown = doctor.as_report(
            [doctor.Finding("GPU", "none", True, "see /home/ada"), doctor.Finding("CPU", "2 cores")]
        )
        assert shown.splitlines()[2:4] == ["! GPU         none", "  CPU         2 cores"]
        code, _, err = simplexlab("doctor", "--report", "--json")
        assert code == 2
        assert "--report" in err
