"""`simplexlab doctor` names what is there and how to mend what is wrong."""

import json
from importlib.metadata import PackageNotFoundError

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
