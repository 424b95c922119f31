"""`simplexlab doctor`: what this machine has, what is wrong and how to mend it."""

import importlib.metadata
import os
import platform
import shutil
from dataclasses import dataclass
from typing import Any

from simplexlab.cli.common import Json, print_json

PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy", "scipy", "scikit-learn", "matplotlib", "textual")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, whether it is a problem, and how to mend it."""

    subject: str
    found: str
    problem: bool = False
    remedy: str = ""


def doctor(*, json: Json = False) -> int:
    """Show versions, devices, threads, data, and what is wrong with them."""
    findings = [*_versions(), *_devices(), *_data(), *_disk()]
    problems = [finding for finding in findings if finding.problem]
    if json:
        print_json({"findings": [_record(finding) for finding in findings], "problems": len(problems)})
        return 1 if problems else 0
    from rich.table import Table
    from rich.text import Text

    from simplexlab.cli.tables import console

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column("", no_wrap=True)
    table.add_column("", no_wrap=True)
    for finding in findings:
        mark = Text("✗", "bold red") if finding.problem else Text("–") if finding.remedy else Text("✓", "green")
        remedy = f"\n→ {finding.remedy}" if finding.remedy else ""
        table.add_row(mark, finding.subject, finding.found + remedy)
    out = console()
    out.print(table)
    out.print("\nAll is well." if not problems else f"\nTo mend: {len(problems)}.")
    return 1 if problems else 0


def _record(finding: Finding) -> dict[str, Any]:
    return {"subject": finding.subject, "found": finding.found, "problem": finding.problem, "remedy": finding.remedy}


def _versions() -> list[Finding]:
    findings = [Finding("Python", f"{platform.python_version()} on {platform.platform(terse=True)}")]
    for package in PACKAGES:
        try:
            findings.append(Finding(package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            findings.append(Finding(package, "not installed", True, f"pip install {package}"))
    return findings


def _devices() -> list[Finding]:
    from simplexlab.quiet import quiet_stderr
    from simplexlab.training import runtime

    try:
        with quiet_stderr():
            import keras
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            backend = keras.backend.backend()
    except Exception as error:  # whatever a broken installation raises is the finding
        return [Finding("TensorFlow", f"does not start: {error}", True, "install the package anew in a fresh venv")]
    findings = []
    if backend != "tensorflow":
        remedy = "unset KERAS_BACKEND, or set it to tensorflow"
        findings.append(Finding("Keras backend", backend, True, remedy))
    (_, small), (inter, large) = runtime.thread_counts(None), runtime.thread_counts(None, small=False)
    threads = f"{inter} operators at once, {small} thread each in small networks, {large} in large ones"
    findings.append(Finding("CPU", f"{os.cpu_count()} cores; {threads}"))
    details = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    if gpus:
        findings.append(Finding("GPU", ", ".join(details)))
    elif shutil.which("nvidia-smi"):
        remedy = "pip install 'simplexlab[gpu]', and check the driver with nvidia-smi"
        findings.append(Finding("GPU", "the machine has an NVIDIA driver, TensorFlow sees no GPU", True, remedy))
    else:
        findings.append(Finding("GPU", "none; digits and the lessons need none"))
    return findings


def _data() -> list[Finding]:
    from simplexlab.data import availability

    findings = [Finding("digits", "embedded")]
    for name in ("cifar10", "cifar100"):
        state = availability(name)
        remedy = "" if state == "prepared" else f"simplexlab data check {name} says what is missing"
        findings.append(Finding(name, state, remedy=remedy))
    return findings


def _disk() -> list[Finding]:
    free = shutil.disk_usage(".").free / 2**30
    tight = free < 1
    return [
        Finding("disk", f"{free:.0f} GiB free here", tight, "free some space; runs are written here" if tight else "")
    ]
