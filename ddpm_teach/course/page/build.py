"""Packs page.html, its scripts, the runtime and the network into one file, which asks for no other."""

from __future__ import annotations

import base64
import gzip
import json
import re
from importlib import resources

import numpy as np

from ddpm_teach.data.attributes import NONE
from ddpm_teach.data.sets import load
from ddpm_teach.model_files import load_model
from ddpm_teach.storage import course_path

NAME = "sprites"
WEIGHTS = f"{NAME}.safetensors"
PART = re.compile(
    r'<link rel="stylesheet" href="(?P<styles>[^"]+)">|<script(?P<how>[^>]*) src="(?P<scripts>[^"]+)"></script>'
)


def build_page() -> str:
    """The page, about 14 MB of HTML.

    page.html names its parts where `src` and `href` stand: files beside it, those of data/page and the weights, which
    are packed (gzip, base64), and "data" and "records", which are made here.

    Raises:
        FileNotFoundError: for an installation without data/page.
    """
    made = _made()

    def part(name: str) -> str:
        if name in made:
            return made[name]
        if name == WEIGHTS:
            return _packed(course_path(f"data/weights/{name}").read_bytes())
        if name.endswith(".gz"):
            return _base64(course_path(f"data/page/{name}").read_bytes())
        return course_path(f"data/page/{name}").read_text("utf-8") if name == "LICENSE" else _read(name)

    def inlined(match: re.Match[str]) -> str:
        text = "\n".join(part(name) for name in (match["styles"] or match["scripts"]).split())
        return f"<style>\n{text}</style>" if match["styles"] else f"<script{match['how']}>\n{text}</script>"

    return PART.sub(inlined, _read("page.html"))


def _made() -> dict[str, str]:
    """What the page's scripts must know of the model, and the training pictures' words, which lend what isn't chosen.

    A byte for each picture and column, column by column: the class, then numbers of words, from 1; 0 is none.
    """
    model = load_model(NAME)
    images = load(model.data)
    data = {
        "shape": model.image_shape,
        "T": model.schedule.T,
        "alphaBar": model.schedule.alpha_bar.tolist(),
        "classes": model.classes,
        "attributes": model.attributes,
        "file": WEIGHTS,
    }
    columns = [images.labels.numpy()]
    for name, words in model.attributes.items():
        columns.append(1 + np.searchsorted(words, images.attributes[name]))  # words are in alphabetical order
        columns[-1][images.attributes[name] == NONE] = 0
    records = np.stack(columns).astype(np.uint8).tobytes()
    return {"data": json.dumps(data).replace("<", "\\u003c"), "records": _packed(records)}


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _packed(data: bytes) -> str:
    return _base64(gzip.compress(data, 9, mtime=0))


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
