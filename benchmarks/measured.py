"""What all benchmarks share: rows of a table, printed and kept, and the machine that they come from."""

from __future__ import annotations

import argparse
import contextlib
import csv
import datetime
import platform
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch

from ddpm_teach.hardware.precision import choose

RESULTS = Path(__file__).parent / "results"


def provenance(device: torch.device, seeds: str) -> dict:
    """The last columns of every row: when, on what, with which versions, from which seeds."""
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{processor()}, {torch.get_num_threads()} threads"
    )
    return {
        "date": datetime.datetime.now().isoformat(" ", "minutes"),
        "device": f"{device.type}, {name}",
        "bfloat16": bfloat16_units(device),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "seeds": seeds,
    }


def processor() -> str:
    """The name of the CPU, as well as this system tells it."""
    path = Path("/proc/cpuinfo")
    named = re.search(r"model name\s*: (.+)", path.read_text()) if path.exists() else None
    return named[1] if named else platform.processor() or platform.machine()


def bfloat16_units(device: torch.device) -> str:
    """What multiplies bfloat16 numbers: units for whole matrices ("AMX", "tensor cores"), for vectors, or "none".

    "AVX-512, not used" has units for vectors, but was tried and gains too little by them: it computes in float32.
    """
    used = choose(device)[0] == torch.bfloat16
    if device.type == "cuda":
        return "tensor cores" if used else "none"
    if device.type == "cpu" and has_units("_is_amx_tile_supported"):
        return "AMX"
    if device.type == "cpu" and has_units("_is_avx512_bf16_supported"):
        return "AVX-512" if used else "AVX-512, not used"
    return "none"


def has_units(question: str) -> bool:
    """What torch answers to a question about this CPU; no, where it doesn't know the question."""
    return getattr(torch.cpu, question, lambda: False)()


def show(rows: list[dict]) -> None:
    """Prints the rows as a table."""
    columns = list(rows[0])
    cells = [columns, *([str(row[column]) for column in columns] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip())


def keep(name: str, rows: list[dict], device: torch.device, seeds: str) -> None:
    """Appends the rows, with the machine and the seeds of weights, batches and noise, to results/NAME.csv.

    Raises:
        ValueError: if the file has other columns; nothing is written then.
    """
    RESULTS.mkdir(exist_ok=True)
    path, columns = RESULTS / f"{name}.csv", [*rows[0], *provenance(device, seeds)]
    new = not path.exists()
    if not new and (header := next(csv.reader(path.read_text().splitlines()))) != columns:
        raise ValueError(f"{path.name}: has the columns {header}, the new rows {columns}; move the file away")
    with open(path, "a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows({**row, **provenance(device, seeds)} for row in rows)


@contextlib.contextmanager
def replacing(path: Path, columns: list[str]) -> Iterator[Callable[[list], None]]:
    """Gives what writes a row into a new table, which takes the place of `path` once it is whole.

    An interrupted run leaves the old table as it was, and its own rows in a file beside it, PATH.part.
    """
    part = Path(f"{path}.part")
    part.parent.mkdir(exist_ok=True)
    with open(part, "w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(columns)

        def write(row: list) -> None:
            out.writerow(row)
            file.flush()

        yield write
    part.replace(path)


def positive(kind: type) -> Callable[[str], int | float]:
    """For argparse: a whole number (int) or any (float) above 0."""

    def number(text: str) -> int | float:
        try:
            if (value := kind(text)) > 0:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"expected a positive {'whole ' if kind is int else ''}number, got {text!r}")

    return number


def check_names(parser: argparse.ArgumentParser, names: list[str], known: Iterable[str]) -> None:
    """Ends the program with one sentence if one of the names isn't known."""
    if unknown := [name for name in names if name not in known]:
        parser.error(f"expected one or more of {', '.join(known)}, got {', '.join(unknown)}")


def warn_without_matrix_units(device: torch.device) -> None:
    """Says so where the machine lacks the matrix units for bfloat16 that the course's targets suppose."""
    sentences = {
        "none": "no bfloat16 units",
        "AVX-512": "bfloat16 units for vectors (AVX-512), none for matrices",
        "AVX-512, not used": "bfloat16 units for vectors (AVX-512) by which it gains too little, so it uses float32",
    }
    if units := sentences.get(bfloat16_units(device)):
        print(f"This machine has {units}: what the course aims at supposes matrix units.")
