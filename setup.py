"""What pyproject.toml cannot say: scenarios/, workloads/ and docker/ are in a wheel as lab/shipped/.

They are copied while a wheel is built, so that git has them once. An editable install has no copy:
lab.scenario.shipped() is the clone itself there.
"""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("scenarios", "workloads", "docker")


class BuildWithShipped(build_py):
    """The lab's modules, and what is shipped with them."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib, "lab", "shipped")
        shutil.rmtree(target, ignore_errors=True)  # of an earlier build
        for name in SHIPPED:
            shutil.copytree(name, target / name, ignore=shutil.ignore_patterns(".*", "__pycache__"))


setup(cmdclass={"build_py": BuildWithShipped})
