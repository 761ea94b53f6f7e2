"""What all benchmarks share: rows of a table, printed and kept, and the machine that they come from."""

from __future__ import annotations

import argparse
import csv
import datetime
import platform
from collections.abc import Iterable
from pathlib import Path

import torch

from ddpm_teach.devices import has_native_bfloat16

RESULTS = Path(__file__).parent / "results"


def machine(device: torch.device) -> dict:
    """The last columns of every row: when, on what, with which versions."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    return {
        "date": datetime.datetime.now().isoformat(" ", "minutes"),
        "device": f"{device.type}, {name}",
        "bfloat16": "native" if has_native_bfloat16(device) else "none",
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def show(rows: list[dict]) -> None:
    """Prints the rows as a table."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def keep(name: str, rows: list[dict], device: torch.device) -> None:
    """Appends the rows, with the machine, to results/NAME.csv.

    Raises:
        ValueError: if the file has other columns; nothing is written then.
    """
    RESULTS.mkdir(exist_ok=True)
    path, columns = RESULTS / f"{name}.csv", [*rows[0], *machine(device)]
    new = not path.exists()
    if not new and (found := next(csv.reader(path.read_text().splitlines()))) != columns:
        raise ValueError(f"{path.name}: has the columns {found}, the new rows {columns}; move the file away")
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows({**row, **machine(device)} for row in rows)


def check_names(parser: argparse.ArgumentParser, names: list[str], known: Iterable[str]) -> None:
    """Ends the program with one sentence if one of the names isn't known."""
    if unknown := [name for name in names if name not in known]:
        parser.error(f"expected one or more of {', '.join(known)}, got {', '.join(unknown)}")


def warn_without_bfloat16(device: torch.device) -> None:
    if not has_native_bfloat16(device):
        print("This machine has no bfloat16 matrix units, so its figures can't be compared with the course's own.")
