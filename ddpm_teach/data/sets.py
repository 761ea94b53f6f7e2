"""The data sets by name: sprites and scenes, which come with the course, and torchvision's. Lesson 03."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ddpm_teach.checks import check_int
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.scenes import load_scenes
from ddpm_teach.data.sprites import SPLITS, sprites

TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
NAMES = ("sprites", "scenes", *TORCHVISION)
SCENES = {"train": 50_000, "test": 2_000, "held_out": 2_000}  # unless another number is asked for


def load(
    name: str,
    split: str = "train",
    n: int | None = None,
    size: int | None = None,
    root: str | Path | None = None,
) -> ImageSet:
    """A data set by name.

    Args:
        name: "sprites" (embedded); "scenes" of them, 32×32, made at the call, 2,000 in about a second; or "mnist",
            "fashion_mnist", "cifar10" (through torchvision).
        split: "train", "test", or, of sprites and scenes, "held_out": combinations that never occur in the others.
        n: the first n pictures; all, and of scenes 50,000 (2,000 of the other splits), unless given.
        size: pad the pictures with background to size × size, for networks that want it (28 → 32).
        root: the folder of the torchvision sets (…/MNIST/raw and so on); the environment variable DDPM_TEACH_DATA
            unless given, else a cache folder of the user's, where they are downloaded to at the first use.

    Raises:
        TypeError: for a size that isn't a whole number.
        ValueError: for an unknown name or split, n < 1 or more than there are, a size smaller than the pictures, or a
            damaged file (it is named,
            and nothing is downloaded over it).
        FileNotFoundError: if a set isn't at hand and can't be downloaded (no partial file is left), or is still packed.
    """
    if name not in NAMES:
        raise ValueError(f"name: unknown data set {name!r}; known are {', '.join(NAMES)}")
    splits = ("train", "test") if name in TORCHVISION else SPLITS
    if split not in splits:
        raise ValueError(f"split: expected one of {', '.join(splits)} for {name}, got {split!r}")
    if n is not None:
        check_int("n", n, 1)
    if name == "scenes":
        images = load_scenes(split, n or SCENES[split])
    else:
        images = _sprites(split) if name == "sprites" else _torchvision(name, split == "train", root)
        if n is not None:
            check_int("n", n, 1, len(images), why=f", what the {split} split of {name} has")
            images = images.subset(torch.arange(n, device="cpu"))
    return images if size is None else _padded(images, size, background=255 if name == "sprites" else 0)


def _sprites(split: str) -> ImageSet:
    pixels, palette, labels, classes, attributes = sprites(split)
    images = torch.from_numpy(palette[pixels]).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.from_numpy(labels).long(), classes, dict(attributes))


def _torchvision(name: str, train: bool, root: str | Path | None) -> ImageSet:
    from torchvision import datasets

    make = getattr(datasets, TORCHVISION[name])
    root = Path(root or os.environ.get("DDPM_TEACH_DATA") or _cache()).expanduser()
    with torch.device("cpu"):  # whatever the default device is
        try:
            _check_idx(name, make, root)
            data = make(root, train=train)
        except RuntimeError:  # torchvision's word for "not there", or for a wrong checksum
            _check_checksums(name, make, root)
            _check_unpacked(name, make, root)
            _download(make, name, root)
            data = make(root, train=train)
        pixels, labels = torch.as_tensor(data.data), torch.as_tensor(data.targets).long()
    pixels = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels[:, None]  # (n, h, w, c) or (n, h, w)
    classes = tuple(name.partition(" - ")[0] for name in data.classes)  # "7 - seven" is asked for as 7
    return ImageSet(pixels.contiguous(), labels, classes)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddpm-teach"


def _files(make: type, root: Path) -> dict[Path, str | None]:
    """The unpacked files that torchvision reads, with their checksums where it knows them (CIFAR10)."""
    if hasattr(make, "base_folder"):
        checksums = dict([*make.train_list, *make.test_list, (make.meta["filename"], make.meta["md5"])])
        return {root / make.base_folder / file: checksum for file, checksum in checksums.items()}
    return {root / make.__name__ / "raw" / packed.removesuffix(".gz"): None for packed, _ in make.resources}


def _damaged(name: str, file: Path, what: str) -> ValueError:
    return ValueError(
        f"{name}: {file} {what}; put the right file there, or remove {file.parent}, and the set is downloaded anew"
    )


def _check_idx(name: str, make: type, root: Path) -> None:
    """Refuses files of MNIST's format that aren't whole, or labels that aren't those of the pictures.

    torchvision asks only whether they exist, and reads what there is.
    """
    lengths = {}
    for file, checksum in _files(make, root).items():
        if checksum is None and file.exists():
            lengths[file] = _idx_length(name, file, 3 if "images" in file.name else 1)
    for file, n in lengths.items():
        images = file.with_name(file.name.replace("labels-idx1", "images-idx3"))
        if lengths.get(images, n) != n:
            raise _damaged(name, file, f"has {n} labels for the {lengths[images]} pictures in {images.name}")
        if file != images and n and (last := max(file.read_bytes()[8:])) >= len(make.classes):
            raise _damaged(name, file, f"has a label {last}, of {len(make.classes)} classes")


def _idx_length(name: str, file: Path, dimensions: int) -> int:
    """How many pictures or labels there are, by the header: 0, 0, 8 (bytes), the dimensions, and a length for each."""
    if file.is_dir():
        raise _damaged(name, file, "is a folder; move the file in it to its place")
    try:
        with file.open("rb") as stream:
            size, header = file.stat().st_size, stream.read(4 + 4 * dimensions)
    except OSError as error:
        raise _damaged(name, file, f"can't be read ({error.strerror})") from None
    if not header:
        raise _damaged(name, file, "is empty")
    if header.startswith(b"\x1f\x8b"):
        raise _damaged(name, file, "is still packed (it is a .gz by another name): unpack it")
    if header[:4] != bytes([0, 0, 8, dimensions])[: len(header)]:
        raise _damaged(name, file, f"isn't an IDX file of bytes in {dimensions} dimensions")
    lengths = [int.from_bytes(header[i : i + 4], "big") for i in range(4, len(header), 4)]
    whole = len(header) + int(np.prod(lengths))
    if len(header) < 4 + 4 * dimensions or size < whole:
        raise _damaged(name, file, f"is cut off after {size} bytes")
    if size > whole:
        raise _damaged(name, file, f"is longer than its header says ({size} bytes for {whole})")
    if 0 in lengths:
        raise _damaged(name, file, f"holds nothing (lengths {lengths})")
    return lengths[0]


def _check_checksums(name: str, make: type, root: Path) -> None:
    from torchvision.datasets.utils import check_integrity

    for file, checksum in _files(make, root).items():
        if checksum is not None and file.exists() and not check_integrity(file, checksum):
            empty = file.is_file() and file.stat().st_size == 0
            raise _damaged(name, file, "is empty" if empty else "is damaged (another checksum than torchvision knows)")


def _check_unpacked(name: str, make: type, root: Path) -> None:
    """Refuses a set that was fetched by hand and not unpacked, or unpacked under another name."""
    for file in _files(make, root):
        if file.exists():
            continue
        folders = (file.parent, file.parent.parent, root)
        if hasattr(make, "filename"):  # one archive for all
            packed, unpack = [folder / make.filename for folder in folders], f"python -m tarfile -e {{}} {root}"
        else:
            packed, unpack = [folder / f"{file.name}.gz" for folder in folders], "python -m gzip -d {}"
        for archive in packed:
            if archive.is_file():
                raise FileNotFoundError(
                    f"{name}: {archive} is still packed; unpack it to {file}: {unpack.format(archive)}"
                )
        other = file.with_name(file.name.replace("-idx", ".idx"))  # as some programs unpack it
        if other != file and other.exists():
            raise FileNotFoundError(
                f"{name}: {other} has another name than torchvision reads; rename it to {file.name}"
            )


def _download(make: Callable[..., object], name: str, root: Path) -> None:
    """Downloads into a temporary folder beside its place and moves it there when it is whole."""
    timeout = socket.getdefaulttimeout()
    temporary = None
    try:
        root.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=root, prefix=".download-"))
        socket.setdefaulttimeout(10)  # torchvision itself would wait for ever
        make(temporary, download=True)
        for file in [path for path in temporary.rglob("*") if path.is_file()]:
            place = root / file.relative_to(temporary)
            place.parent.mkdir(parents=True, exist_ok=True)
            os.replace(file, place)
    except Exception as error:  # of the file system, the network, the archive, or torchvision's own
        raise FileNotFoundError(
            f"{name}: not found in {root}, and the download failed ({type(error).__name__}): set DDPM_TEACH_DATA to a"
            f" folder with {TORCHVISION[name]} as torchvision stores it, or download it on another machine and copy it"
            f' to {root}, or use the embedded "sprites"'
        ) from None
    finally:
        socket.setdefaulttimeout(timeout)
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def _padded(images: ImageSet, size: int, background: int) -> ImageSet:
    height, width = images.image_shape[1:]
    check_int("size", size, max(height, width), why=" (pictures are padded, never shrunk)")
    left, top = (size - width) // 2, (size - height) // 2
    sides = (left, size - width - left, top, size - height - top)
    return replace(images, images=torch.nn.functional.pad(images.images, sides, value=background))
