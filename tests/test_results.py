"""Stored tables: what a lesson prints of another table is in that table."""

import csv
from pathlib import Path

ROOT = Path(__file__).parents[1]


def rows(path):
    with open(ROOT / path, encoding="utf8") as file:
        return list(csv.DictReader(file))


def test_what_lesson_08_prints_of_digits_was_measured():
    measured = rows("benchmarks/results/time_to_quality.csv")
    extract = rows("data/results/digits_times.csv")
    assert extract
    for row in extract:
        found = [one for one in measured if all(one[name] == value for name, value in row.items())]
        assert len(found) == 1 and found[0]["data"] == "mnist" and found[0]["min_snr"] == "5.0", row
