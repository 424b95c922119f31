"""`simplexlab doctor`: what this machine has, what is wrong and how to mend it."""

import importlib.metadata
import os
import platform
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass
from typing import Annotated, Any

from cyclopts import Parameter

from simplexlab import __version__
from simplexlab.cli.common import Json, print_json
from simplexlab.errors import UsageError

PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy", "scipy", "scikit-learn", "matplotlib", "textual")
OPTIONAL = ("jax", "torch", "mlflow", "tensorrt", "nvidia-cudnn-cu12")  # told in a report, where they are installed
SETTINGS = ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "XLA_FLAGS", "TF_XLA_FLAGS", "OMP_NUM_THREADS", "TERM", "NO_COLOR")
PRIVATE_SETTINGS = (
    "TF_CONFIG",
    "TFDS_DATA_DIR",
    "PYTHONPATH",
    "LD_LIBRARY_PATH",
)  # addresses and paths: that they are set
PATH = re.compile(r"(?<![\w.:/])(?:file://|~|<path>)?(?:/[^\s'\":;,()\[\]<>/]+)+/?")


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, whether it is a problem, and how to mend it."""

    subject: str
    found: str
    problem: bool = False
    remedy: str = ""


def doctor(
    *,
    report: Annotated[
        bool, Parameter(negative="", help="Print a text to paste into an issue; it names no path and no address.")
    ] = False,
    json: Json = False,
) -> int:
    """Show versions, devices, threads, data, and what is wrong with them."""
    if report and json:
        raise UsageError("--report is a text for people; leave out --report or --json")
    findings = [*_versions(), *_devices(), *_data(), *_disk()]
    problems = [finding for finding in findings if finding.problem]
    if report:
        print(as_report([*findings, *_surroundings()]))
        return 1 if problems else 0
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


def as_report(findings: list[Finding]) -> str:
    """The findings as Markdown that can be pasted into an issue: a block that keeps its columns, paths left out."""
    width = max(len(subject) for subject in ("simplexlab", *(finding.subject for finding in findings)))
    lines = [f"{'! ' * it.problem or '  '}{it.subject:<{width}}  {without_paths(it.found)}" for it in findings]
    return "\n".join(["```text", f"  {'simplexlab':<{width}}  {__version__}", *lines, "```"])


def without_paths(words: str) -> str:
    """One line in which `<path>` stands for every path, and `<user>`, `<host>` for the names of user and machine."""
    text = " ".join(words.split())
    for folder in {sys.prefix, os.path.expanduser("~"), tempfile.gettempdir()}:  # these may hold spaces
        text = re.sub(re.escape(folder) + r"(?!\w)", "<path>", text) if len(folder) > 1 else text
    text = PATH.sub("<path>", text)
    names = {"<user>": os.environ.get("USER") or os.environ.get("LOGNAME"), "<host>": platform.node()}
    for place, name in names.items():
        if name and len(name) > 2:
            text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", place, text)
    return text


def _surroundings() -> list[Finding]:
    """What else decides how the program behaves here: other packages, the environment, the terminal."""
    findings = []
    for package in OPTIONAL:
        try:
            findings.append(Finding(package, importlib.metadata.version(package)))
        except importlib.metadata.PackageNotFoundError:
            continue
    findings += [Finding(name, os.environ[name]) for name in SETTINGS if os.environ.get(name)]
    findings += [Finding(name, "set") for name in PRIVATE_SETTINGS if os.environ.get(name)]
    findings.append(
        Finding("stdout", f"{sys.stdout.encoding}, {'a terminal' if sys.stdout.isatty() else 'no terminal'}")
    )
    return findings


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
