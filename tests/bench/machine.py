"""On what the numbers were measured."""

import os
import platform
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.bench.peer_project import rasa_version
from tests.bench.processes import NLU_PYTHON


@dataclass(frozen=True)
class Machine:
    """The machine and the versions that matter."""

    cpu: str
    cores: int
    memory_gb: float
    system: str
    load: float
    python: str
    nlu_python: str
    rasa: str
    sqlite: str


def this_machine() -> Machine:
    """As it stands now."""
    said = subprocess.run([NLU_PYTHON, "-V"], capture_output=True, text=True, check=True).stdout
    return Machine(
        _cpu(),
        len(os.sched_getaffinity(0)),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9,
        f"{platform.system()} {platform.release()}",
        os.getloadavg()[0],
        platform.python_version(),
        said.split()[1],
        rasa_version(),
        sqlite3.sqlite_version,
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
