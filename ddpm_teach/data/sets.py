"""Data sets: all pictures as one uint8 tensor, from which batches are cut on the device.

No per-image transforms and no worker processes: a whole data set of the course is a few dozen megabytes. Lesson 03.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from ddpm_teach.checks import check_int
from ddpm_teach.paths import course_path

TORCHVISION = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "cifar10": "CIFAR10"}
NAMES = ("sprites", *TORCHVISION)


@dataclass
class ImageSet:
    """Pictures with labels.

    Attributes:
        images: (n, c, h, w) uint8.
        labels: (n,) long, indices into `classes`.
        classes: the names of the classes.
        attributes: more columns about each picture: name → list of n words (sprites only).
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Tensor
    classes: tuple[str, ...]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        return tuple(self.images.shape[1:])

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set with pictures and labels on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, index: Tensor) -> ImageSet:
        """The pictures at `index`, with their labels and attributes."""
        attributes = {name: words[index.numpy()] for name, words in self.attributes.items()}
        return replace(self, images=self.images[index], labels=self.labels[index], attributes=attributes)

    def pictures(self, index: Tensor | slice) -> Float[Tensor, "b c h w"]:
        """The pictures at `index` as float32 in [-1, 1]: 0 → -1, 255 → 1."""
        return self.images[index].float() / 127.5 - 1

    def contexts(self, index: Tensor | slice) -> Float[Tensor, "b k"]:
        """The labels at `index` as one-hot vectors (b, number of classes)."""
        return torch.nn.functional.one_hot(self.labels[index], len(self.classes)).float()

    def fingerprint(self) -> str:
        """64 hexadecimal digits that are others for other pictures, labels, classes, or another order of them."""
        digest = hashlib.sha256(json.dumps([self.image_shape, self.classes]).encode())
        for tensor in (self.images, self.labels):
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()


def load(name: str, split: str = "train", size: int | None = None, root: str | Path | None = None) -> ImageSet:
    """A data set by name.

    Args:
        name: "sprites" (embedded), or "mnist", "fashion_mnist", "cifar10" (through torchvision).
        split: "train" or "test".
        size: pad the pictures with background to size × size, for networks that want it (28 → 32).
        root: the folder of the torchvision sets (…/MNIST/raw and so on); the environment variable DDPM_TEACH_DATA
            unless given, else a cache folder of the user's, where they are downloaded to at the first use.

    Raises:
        ValueError: for an unknown name or split, or a size smaller than the pictures.
        FileNotFoundError: if a set isn't at hand and can't be downloaded; no partial file is left.
    """
    if name not in NAMES:
        raise ValueError(f"name: unknown data set {name!r}; known are {', '.join(NAMES)}")
    if split not in ("train", "test"):
        raise ValueError(f'split: expected "train" or "test", got {split!r}')
    images = _sprites(split) if name == "sprites" else _torchvision(name, split == "train", root)
    return images if size is None else _padded(images, size, background=255 if name == "sprites" else 0)


def from_folder(path: str | Path, size: int) -> ImageSet:
    """Your own pictures: all in a folder, each cut to a centred square and scaled to size × size, in RGB. Lesson 07.

    Folders inside are the classes, by name; without any, all pictures are of one class, named after the folder. Files
    that aren't pictures are passed over.

    Args:
        size: such as 16, 28 or 32.

    Raises:
        FileNotFoundError: if there is no such folder, or no picture in it.
        ValueError: for a picture that can't be read (it is named), or a size below 1.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    path, suffixes = Path(path), {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp"}
    check_int("size", size, 1)
    classes = folder_classes(path)
    folders = [path / name for name in classes if (path / name).is_dir()] or [path]
    pixels, labels = [], []
    for label, folder in enumerate(folders):
        for file in sorted(file for file in folder.iterdir() if file.suffix.lower() in suffixes):
            try:
                with Image.open(file) as picture:
                    square = ImageOps.fit(picture.convert("RGB"), (size, size), Image.Resampling.LANCZOS)
            except (UnidentifiedImageError, OSError) as error:
                raise ValueError(f"{file}: can't be read as a picture ({error}); mend or remove it") from None
            pixels.append(np.asarray(square))
            labels.append(label)
    if not pixels:
        raise FileNotFoundError(f"path: no pictures in {path}; expected files such as .png or .jpg, or folders of them")
    images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
    return ImageSet(images, torch.tensor(labels), classes)


def folder_classes(path: Path) -> tuple[str, ...]:
    """The classes of `from_folder`: the names of the folders inside, or of the folder itself where it has none.

    Raises:
        FileNotFoundError: if there is no such folder.
    """
    if not path.is_dir():
        raise FileNotFoundError(f"path: {path} is no folder; give one with pictures in it")
    inside = (folder.name for folder in path.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    return tuple(sorted(inside)) or (path.resolve().name,)


def _sprites(split: str) -> ImageSet:
    with np.load(course_path("data/sprites/sprites.npz"), allow_pickle=False) as file:
        pixels = file["palette"][file[f"{split}_pixels"]]  # (n, 16, 16, 3)
        labels = torch.from_numpy(file[f"{split}_labels"]).long()
        words = {name.removeprefix("words_"): file[name] for name in file.files if name.startswith("words_")}
        attributes = {name: words[name][file[f"{split}_{name}"]] for name in words}
        classes = tuple(file["classes"].tolist())
    return ImageSet(torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(), labels, classes, attributes)


def _torchvision(name: str, train: bool, root: str | Path | None) -> ImageSet:
    from torchvision import datasets

    make = getattr(datasets, TORCHVISION[name])
    root = Path(root or os.environ.get("DDPM_TEACH_DATA") or _cache())
    try:
        found = make(root, train=train)
    except RuntimeError:  # torchvision's word for "not there"
        _download(make, name, root)
        found = make(root, train=train)
    pixels = torch.as_tensor(found.data)
    pixels = pixels.permute(0, 3, 1, 2) if pixels.ndim == 4 else pixels[:, None]  # (n, h, w, c) or (n, h, w)
    classes = tuple(name.partition(" - ")[0] for name in found.classes)  # "7 - seven" is asked for as 7
    return ImageSet(pixels.contiguous(), torch.as_tensor(found.targets).long(), classes)


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ddpm-teach"


def _download(make: type, name: str, root: Path) -> None:
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
    except (OSError, RuntimeError) as error:
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
    if size < max(height, width):
        raise ValueError(
            f"size: expected at least {max(height, width)} (pictures are padded, never shrunk), got {size}"
        )
    left, top = (size - width) // 2, (size - height) // 2
    sides = (left, size - width - left, top, size - height - top)
    return replace(images, images=torch.nn.functional.pad(images.images, sides, value=background))
