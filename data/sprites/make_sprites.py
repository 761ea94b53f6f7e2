"""Draws the course's sprite data set. `python make_sprites.py` writes sprites.npz and contact_sheet.png beside itself.

Five classes of 16×16 sprites on white, each with its kinds, colours and parts chosen independently, and a record of all
that is drawn (canvas.COLUMNS). Sprite i of a class is drawn by `random.Random(f"{seed}/{class}/{i}")`, whose stream is
the same in all versions of Python, so the same seed gives the same bytes.

    python make_sprites.py --preview monster --out sheet.png      # 8× contact sheet of one class, one row per kind
"""

from __future__ import annotations

import argparse
import importlib
import io
import random
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
from canvas import COLUMNS, PALETTE, Canvas, rgb
from PIL import Image

from ddpm_teach.data.sprites import COMBINATIONS

HERE = Path(__file__).parent
PER_CLASS = {"train": 5000, "test": 500}  # by class
PER_COMBINATION = 40  # pictures of each held-out combination

# Class name → the module and its table {kind name: function(canvas, rng) -> attributes}. The order fixes labels 0…4.
CLASSES = {
    "hero": ("heroes", "FRONT"),
    "monster": ("monsters", "KINDS"),
    "food": ("food", "KINDS"),
    "potion": ("potions", "KINDS"),
    "side hero": ("heroes", "SIDE"),
}


def kinds_of(name: str) -> dict:
    """The kinds of one class."""
    module, table = CLASSES[name]
    return getattr(importlib.import_module(module), table)


def draw(kinds: dict, kind: str, rng: random.Random) -> tuple[np.ndarray, dict[str, str]]:
    """One sprite: its (16, 16) palette indices and its record."""
    canvas = Canvas()
    record = kinds[kind](canvas, rng)
    return canvas.pixels, {"kind": kind, **record}


def shows(words: dict[str, str], record: dict[str, str]) -> bool:
    """Whether a record has all of these words."""
    return words.items() <= record.items()


def common(record: dict[str, str]) -> bool:
    """Whether a sprite shows none of the combinations that are held out."""
    return not any(shows(words, record) for words in COMBINATIONS)


def contact_sheet(rows: list[list[np.ndarray]], scale: int = 8, gap: int = 2) -> Image.Image:
    """Rows of sprites (palette indices) as one picture, `scale` screen pixels to a sprite's pixel."""
    cell = 16 + gap
    sheet = np.full((cell * len(rows) + gap, cell * max(map(len, rows)) + gap, 3), 236, np.uint8)
    for j, row in enumerate(rows):
        for i, pixels in enumerate(row):
            sheet[gap + j * cell :, gap + i * cell :][:16, :16] = rgb(pixels)
    return Image.fromarray(sheet).resize((sheet.shape[1] * scale, sheet.shape[0] * scale), Image.Resampling.NEAREST)


def preview(name: str, columns: int = 16, seed: int = 0, only: str | None = None) -> Image.Image:
    """One row of `columns` random sprites for every kind of a class (or for the one kind `only`)."""
    kinds = kinds_of(name)
    rows = [
        [draw(kinds, kind, random.Random(f"{seed}/{kind}/{i}"))[0] for i in range(columns)]
        for kind in kinds
        if only in (None, kind)
    ]
    return contact_sheet(rows)


def make(seed: int = 0) -> dict[str, np.ndarray]:
    """The whole data set as the arrays of sprites.npz. No picture occurs twice, so none is in two splits.

    A column of words such as `kind` is kept as `words_kind` (sorted) and `train_kind`, …: the indices into it.
    """
    seen: set[bytes] = set()

    def fresh(name: str, kind: str, streams: Iterator[str], wanted: Callable[[dict[str, str]], bool]) -> tuple:
        """The next sprite that is wanted and wasn't drawn before: pixels, label and record."""
        for stream in streams:
            pixels, record = draw(kinds_of(name), kind, random.Random(stream))
            if wanted(record) and pixels.tobytes() not in seen:
                seen.add(pixels.tobytes())
                return pixels, list(CLASSES).index(name), record

    rows: dict[str, list] = {"train": [], "test": [], "held_out": []}
    total = sum(PER_CLASS.values())
    for name in CLASSES:
        kinds = list(kinds_of(name))
        streams = (f"{seed}/{name}/{number}" for number in count())
        for i in range(total):
            sprite = fresh(name, kinds[i % len(kinds)], streams, common)
            # every eleventh is for testing, evenly over the kinds
            split = "test" if i * PER_CLASS["test"] // total != (i + 1) * PER_CLASS["test"] // total else "train"
            rows[split].append(sprite)
    for words in COMBINATIONS:
        names = [name for name in CLASSES if words["kind"] in kinds_of(name)]
        streams = (f"{seed}/held out {words}/{number}" for number in count())
        for i in range(PER_COMBINATION):
            name = names[i % len(names)]
            rows["held_out"].append(fresh(name, words["kind"], streams, partial(shows, words)))

    arrays = {"palette": PALETTE, "classes": np.array(list(CLASSES))}
    for column in COLUMNS:
        words = sorted({record[column] for sprites in rows.values() for _, _, record in sprites})
        arrays[f"words_{column}"] = np.array(words)
    for split, sprites in rows.items():
        random.Random(f"{seed}/{split}").shuffle(sprites)
        arrays[f"{split}_pixels"] = np.stack([pixels for pixels, _, _ in sprites])
        arrays[f"{split}_labels"] = np.array([label for _, label, _ in sprites], dtype=np.uint8)
        for column in COLUMNS:
            words = arrays[f"words_{column}"].tolist()
            codes = [words.index(record[column]) for _, _, record in sprites]
            arrays[f"{split}_{column}"] = np.array(codes, dtype=np.uint8)
    return arrays


def save(arrays: dict[str, np.ndarray], path: Path) -> None:
    """An .npz with LZMA inside and without dates, so that the same arrays give the same bytes. np.load reads it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as file:
        for name, array in arrays.items():
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
            file.writestr(zipfile.ZipInfo(f"{name}.npy"), data.getvalue(), zipfile.ZIP_LZMA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preview", choices=CLASSES, help="only draw a contact sheet of this class")
    parser.add_argument("--only", help="with --preview: one kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--columns", type=int, default=16)
    parser.add_argument("--out", type=Path, default=HERE / "contact_sheet.png")
    args = parser.parse_args()
    if args.preview:
        preview(args.preview, args.columns, args.seed, args.only).save(args.out)
        return
    arrays = make(args.seed)
    save(arrays, HERE / "sprites.npz")
    rows = [arrays["test_pixels"][arrays["test_labels"] == label] for label in range(len(CLASSES))]
    contact_sheet([list(row[k : k + 16]) for row in rows for k in (0, 16)], scale=4).save(args.out, optimize=True)
    for split in (*PER_CLASS, "held_out"):
        print(f"{split}: {len(arrays[f'{split}_labels'])} sprites")


if __name__ == "__main__":
    main()
