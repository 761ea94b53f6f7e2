"""What the course costs a learner in time and disk.

    uv run python benchmarks/course.py            # four to ten minutes on two CPU cores: every lesson runs once
    uv run python benchmarks/course.py --quick    # half a minute: lesson 00 only; nothing is kept

Every lesson is run as the tests run it (strict nbval, a process of its own, kernel start included). "First picture" is
the time from the start of lesson 00's kernel to the first picture in it. Rows go to benchmarks/results/course.csv.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import nbformat
from measured import keep, show, warn_without_matrix_units
from nbclient import NotebookClient

from ddpm_teach import Sampler, load_model, pick_device
from ddpm_teach.show import scrub

ROOT = Path(__file__).parent.parent


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def lesson(path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 5):  # 5: skipped as a whole, as lesson 09 without its data
        raise RuntimeError(f"{path.name} doesn't pass:\n{done.stdout[-3000:]}")


def first_picture() -> float:
    """Seconds from the start of a kernel until lesson 00 has shown something as a PNG."""
    notebook = nbformat.read(ROOT / "notebooks" / "00_start_here.ipynb", 4)
    client = NotebookClient(notebook, resources={"metadata": {"path": str(ROOT / "notebooks")}})
    start = time.perf_counter()
    with client.setup_kernel():
        for i, cell in enumerate(notebook.cells):
            if cell.cell_type == "code":
                client.execute_cell(cell, i)
                if any("image/png" in output.get("data", {}) for output in cell.outputs):
                    return time.perf_counter() - start
    raise RuntimeError("lesson 00 shows no picture")


def importing(package: str, rounds: int, after: str = "sys") -> float:
    """The median over fresh processes that have imported `after` already."""
    code = f"import time, {after}; start = time.perf_counter(); import {package}; print(time.perf_counter() - start)"
    command = [sys.executable, "-c", code]
    runs = [subprocess.run(command, check=True, capture_output=True, text=True) for _ in range(rounds)]
    return statistics.median(float(run.stdout) for run in runs)


def scrubber() -> float:
    """Building the widget for 51 frames of 8 sprites; what follows happens in the browser."""
    model = load_model("sprites")
    frames = list(Sampler(steps=50).frames(model, 8, model.context("hero", n=8)))
    return statistics.median(seconds(lambda: scrub(frames, model.schedule)) for _ in range(5))


def megabytes(paths: list[Path]) -> float:
    return sum(path.stat().st_size for path in paths if path.is_file() and not path.is_symlink()) / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="lesson 00 only; nothing is kept")
    args = parser.parse_args()
    rounds = 1 if args.quick else 5
    lessons = sorted((ROOT / "notebooks").glob("*.ipynb"))[: 1 if args.quick else None]
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    installed = Path(sys.prefix).rglob("*")
    rows = [
        ("first picture of lesson 00", first_picture(), "s"),
        ("import torch", importing("torch", rounds), "s"),
        ("import ddpm_teach, after torch", importing("ddpm_teach", rounds, after="torch"), "s"),
        ("a scrubber of 51 frames", 1000 * scrubber(), "ms"),
        ("the repository's files", megabytes([ROOT / name for name in tracked.split("\0") if name]), "MB"),
        ("the environment", megabytes(list(installed)), "MB"),
    ]
    spent = []
    for path in lessons:
        spent.append((f"lesson {path.stem[:2]}", seconds(lambda path=path: lesson(path)), "s"))
        print(*spent[-1], flush=True)
    rows += [*spent, ("these lessons together", sum(value for _, value, _ in spent), "s")]
    rows = [{"what": what, "value": round(value, 2), "unit": unit} for what, value, unit in rows]
    show(rows)
    warn_without_matrix_units(pick_device())
    if not args.quick:
        keep("course", rows, pick_device(), seeds="")  # each lesson has its own


if __name__ == "__main__":
    main()
