"""For all tests: two processes share them, shapes are checked at every call, lessons compared by nbval_policy.py."""

import os
import tempfile

import pytest

from tests import shape_checks

if "PYTEST_XDIST_WORKER" in os.environ:  # two workers, a thread each: two thread pools on two cores wait for each other
    os.environ["OMP_NUM_THREADS"] = "1"  # torch isn't imported yet; kernels and commands that tests start inherit it

# No test, and no lesson that is run by one, looks at what this machine's user has solved.
os.environ["DDPM_TEACH_PROGRESS"] = os.path.join(tempfile.gettempdir(), f"ddpm-teach-progress-{os.getpid()}.json")

pytest_plugins = ["ddpm_teach.course.nbval_policy"]

if os.environ.get("DDPM_TEACH_SHAPE_CHECKS") != "off":  # off: where a test is about the package's own error messages
    from jaxtyping import install_import_hook

    install_import_hook("ddpm_teach", f"{shape_checks.__name__}.checked")


LONG = ("test_processes", "test_model", "test_cli", "test_training")  # a minute or more each


def pytest_collection_modifyitems(items):
    """The long files begin, so that no worker ends alone. Lesson 09 is about MNIST: where it can't be had, its cells
    are skipped, and say why."""
    items.sort(key=lambda item: item.path.stem not in LONG)
    cells = [item for item in items if item.path.suffix == ".ipynb" and item.path.name.startswith("09")]
    if cells:
        from ddpm_teach import load

        try:
            load("mnist", "test")
        except FileNotFoundError as error:
            for cell in cells:
                cell.add_marker(pytest.mark.skip(reason=str(error)))
