"""Make the sample run and its plan again: results/sample/ and tests/golden/sample.md (make sample).

To be done when a method or a format has changed; takes a minute, and a machine with nothing else to do.
"""

import shutil
import sys
from pathlib import Path

from lab import cli

TOP = Path(__file__).parents[2]
GOLDEN = TOP / "tests" / "golden"


def main() -> None:
    """Run the scenario beside this file, and keep of it what judging needs."""
    shutil.rmtree(TOP / "results" / "sample", ignore_errors=True)
    for old in (GOLDEN / "sample.md", GOLDEN / "sample"):
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
    words = ["run", str(GOLDEN / "scenario" / "sample"), "--on", "embedded", "--rounds", "20"]
    try:
        cli.app([*words, "--results", str(TOP / "results"), "--doc", str(GOLDEN)], standalone_mode=False)
    finally:
        for made in (TOP / "results" / "sample").glob("*/analysis"):
            shutil.rmtree(made)


if __name__ == "__main__":
    sys.exit(main())
