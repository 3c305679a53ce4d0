"""The machine that servers run on, as far as two runs must agree on it."""

import platform
from pathlib import Path


def processor() -> str:
    """The processor's model, by the kernel's words."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()
