"""Tensors on disk: one whole file or none, checked to the last bit, and never a pickle.

The format is safetensors with JSON in its metadata. `sha256` there is the hash of the file's bytes, taken with the
hash's own 64 digits set to zero, so that a flipped bit anywhere, in the numbers or in the header, is noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError, torch as safetensors
from torch import Tensor

_HASH = re.compile(rb'"sha256":"([0-9a-f]{64})"')
_ZEROS = "0" * 64
_PACKAGE = Path(__file__).parent
_ROOTS = (_PACKAGE / "course", _PACKAGE.parent)  # of data and notebooks: in an installation, and in a clone


def write_tensors(path: str | Path, kind: str, tensors: dict[str, Tensor], meta: dict) -> None:
    """Writes the file under a temporary name in the same folder, syncs it, renames it: it is whole, or it isn't there.

    Args:
        kind: what the file is ("checkpoint", "weights"); `read_tensors` asks for it.
        meta: anything that JSON can say.
    """
    path = Path(path)
    header = {"format": f"ddpm-teach {kind}", "meta": json.dumps(meta), "sha256": _ZEROS}
    data = safetensors.save({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, header)
    data = data.replace(_ZEROS.encode(), hashlib.sha256(data).hexdigest().encode(), 1)
    write_bytes(path, data)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Writes `data` to a temporary file beside `path`, syncs it and renames it. The folder is made if need be.

    Raises:
        OSError: if it can't be written; it names `path`.
    """
    path = Path(path).resolve()  # a link stays a link: what it points to is written
    if path.is_dir():
        raise IsADirectoryError(f"{path}: is a folder; add a file name to it")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _write_beside(path, data)
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from None  # and not the temporary file, which is gone


def _write_beside(path: Path, data: bytes) -> None:
    prefix = f".{path.name[:40]}."  # a name may be as long as the system allows, and this one is longer
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(path))  # mkstemp's own mode shuts out everybody else
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _mode(path: Path) -> int:
    """The mode of the file that is replaced, or what this process gives a new one."""
    if path.exists():
        return path.stat().st_mode & 0o777
    os.umask(umask := os.umask(0))
    return 0o666 & ~umask


def sweep(folder: Path) -> None:
    """Removes what a process that was killed while writing left behind in the folder."""
    for part in folder.glob(".*.part"):
        part.unlink(missing_ok=True)


def read_tensors(path: str | Path, kind: str | tuple[str, ...]) -> tuple[dict[str, Tensor], dict]:
    """The tensors and the metadata of a file that `write_tensors` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it isn't a whole, undamaged file of this kind. Nothing in it is run.
    """
    path, kinds = Path(path), (kind,) if isinstance(kind, str) else kind
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    data = path.read_bytes()
    expected = " or ".join(f"ddpm-teach {kind}" for kind in kinds)
    match = _HASH.search(data[: 8 + int.from_bytes(data[:8], "little")])
    if match is None:
        raise ValueError(f"{path}: not a {expected} file: it has no checksum of ours; was it made by another program?")
    unsigned = data[: match.start(1)] + _ZEROS.encode() + data[match.end(1) :]
    if hashlib.sha256(unsigned).hexdigest().encode() != match[1]:
        raise ValueError(
            f"{path}: not a whole {expected} file: its checksum doesn't match, so it was damaged or cut off;"
            f" {_how_to_restore(path)}"
        )
    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
        called, tensors, meta = header["format"], safetensors.load(data), json.loads(header["meta"])
    except (KeyError, TypeError, ValueError, RecursionError, SafetensorError) as error:  # undamaged, but not by us
        raise ValueError(
            f"{path}: not a {expected} file: it can't be read ({error}); was it made by another program?"
        ) from None
    if called not in [f"ddpm-teach {kind}" for kind in kinds]:
        raise ValueError(f"{path}: expected a {expected} file, got one that calls itself {called}")
    return tensors, meta


def _how_to_restore(path: Path) -> str:
    if any(path.resolve().is_relative_to(root / "data") for root in _ROOTS):
        return "restore it (git checkout, or install again)"
    return "restore it from a copy (a run keeps previous.pt beside last.pt), or train anew"


def course_path(name: str) -> Path:
    """The path of "data" or "notebooks" (or a file below), beside the package in a clone, inside it in an installation.

    Raises:
        FileNotFoundError: if it isn't there.
    """
    for root in _ROOTS:
        if (root / name).exists():
            return root / name
    raise FileNotFoundError(f"{name} is missing from this installation of ddpm-teach; reinstall it, or use a clone")


def how_to_install(extra: str, packages: str) -> str:
    """What to type for an optional part of the course: in a clone that part's name, elsewhere its packages' names.

    `pip install "ddpm-teach[lab]"` works nowhere, since the course is on no package index.
    """
    clone = _PACKAGE.parent
    return f'pip install ".[{extra}]" in {clone}' if (clone / "pyproject.toml").is_file() else f"pip install {packages}"


@contextlib.contextmanager
def understood(path: str | Path) -> Iterator[None]:
    """Around what reads the contents of a whole file: what is missing or unknown there is told with the file's path.

    Raises:
        ValueError: in the place of every error that contents can cause; it comes from another edition, or program.
    """
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"has no {error}" if isinstance(error, KeyError) else f"holds what can't be read here ({error})"
        raise ValueError(f"{path}: {what}; was it made by another version of ddpm-teach? Use that one") from error


def check_same_shapes(path: str | Path, mine: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> None:
    """Refuses a file with another network's weights, naming the first that differs."""
    shapes, others = ({name: tuple(value.shape) for name, value in weights.items()} for weights in (mine, theirs))
    for name in {**shapes, **others}:
        if shapes.get(name) != others.get(name):
            what = f"of shape {others[name]}" if name in others else "not"
            raise ValueError(
                f"{path}: has {name} {what}, the network at hand {shapes.get(name, 'not')}; build the network that was"
                " saved, with the version of ddpm-teach that saved it"
            )
