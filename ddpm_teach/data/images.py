"""Pictures with labels: one uint8 tensor, from which batches are cut on the device. Lesson 03.

No per-image transforms and no worker processes: a whole data set of the course is a few dozen megabytes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from ddpm_teach.checks import check_classes, shown
from ddpm_teach.data.attributes import Attributes, rows, width, words_of
from ddpm_teach.data.tokens import Tokenizer
from ddpm_teach.hardware.precision import check_device


@dataclass
class ImageSet:
    """Pictures with labels, checked where they enter: what a network would learn wrongly from is refused here.

    Attributes:
        images: (n, c, h, w) uint8, channels first; n may be 0.
        labels: (n,) long, indices into `classes`.
        classes: the names of the classes. Pictures without classes have none, (), and all their labels are 0.
        attributes: more columns about each picture: name → array of n words (sprites only).
        told: the columns and words that a network is told of each picture, in the order of the context's places; the
            class alone, if empty; or the tokenizer of the captions that it is told. See `conditioned`, `captioned`.

    Raises:
        TypeError: for images that aren't a uint8 tensor, labels that aren't a long one, classes that aren't names, or
            attributes that aren't a dict.
        ValueError: for other shapes, for labels that don't name a class, for a class named twice, or for columns of
            another length.
    """

    images: UInt8[Tensor, "n c h w"]
    labels: Tensor
    classes: tuple[str, ...]
    attributes: dict[str, np.ndarray] = field(default_factory=dict)
    told: Attributes | Tokenizer = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_images()
        self.classes = check_classes(self.classes)
        _check_labels(self.labels, len(self.images), len(self.classes))
        self.attributes = _checked_columns(self.attributes, len(self.images))
        self._rows = self._told_rows()

    def _check_images(self) -> None:
        _check_images(self.images)

    def _told_rows(self) -> Tensor | None:
        """What a network is told of every picture; None for its class."""
        by_words = isinstance(self.told, Tokenizer)
        if missing := ({"caption"} if by_words else set(self.told)) - set(self.attributes):
            raise ValueError(f"told: expected columns of the attributes, got {', '.join(sorted(missing))}")
        if by_words:
            return self.told.encode(self.attributes["caption"].tolist()).to(self.images.device)
        return rows(self.attributes, self.told).to(self.images.device) if self.told else None

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(c, h, w)."""
        return tuple(self.images.shape[1:])

    def to(self, device: torch.device | str) -> ImageSet:
        """The same set with pictures and labels on another device. A ValueError for one that isn't here."""
        device = check_device(device)
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def subset(self, index: Tensor | Sequence[int]) -> ImageSet:
        """The pictures at `index`, with their labels and attributes.

        Args:
            index: whole numbers, from -n (the first picture) to n - 1, or a mask: a bool for each picture.

        Raises:
            TypeError: for what is neither.
            ValueError: for a picture that isn't there, or a mask of another length.
        """
        index = _checked_index(index, len(self)).to(self.images.device)
        attributes = {name: words[index.cpu().numpy()] for name, words in self.attributes.items()}
        return replace(self, images=self.images[index], labels=self.labels[index], attributes=attributes)

    def pictures(self, index: Tensor | slice) -> Float[Tensor, "b c h w"]:
        """The pictures at `index` as float32 in [-1, 1]: 0 → -1, 255 → 1."""
        return self.images[index].float() / 127.5 - 1

    @property
    def context_dim(self) -> int | tuple[int, ...]:
        """The width of `contexts`: the number of classes, or of all words that are told; (length,) of captions."""
        return (self.told.length,) if isinstance(self.told, Tokenizer) else width(self.told) or len(self.classes)

    def conditioned(self, attributes: Attributes | None = None) -> ImageSet:
        """The same pictures for a network that is told their attributes.

        Args:
            attributes: columns and words, as those of the training pictures; all that occur here unless given.

        Raises:
            ValueError: if there are none.
        """
        told = words_of(self.attributes) if attributes is None else attributes
        if not told:
            raise ValueError("attributes: these pictures have none; a network can be told their class alone")
        return replace(self, told=told)

    def captioned(self, tokenizer: Tokenizer) -> ImageSet:
        """The same pictures for a network that is told their captions, as rows of the words' numbers.

        Raises:
            ValueError: if they have none, or one that the tokenizer can't encode.
        """
        return replace(self, told=tokenizer)

    def contexts(self, index: Tensor | slice) -> Shaped[Tensor, "b k"]:
        """What a network is told of the pictures at `index`, (b, context_dim): one-hot classes, rows of attributes, or
        of words' numbers (long)."""
        if self._rows is not None:
            return self._rows[index].long() if isinstance(self.told, Tokenizer) else self._rows[index].float()
        k = len(self.classes)
        return torch.nn.functional.one_hot(self.labels[index], max(k, 1))[:, :k].float()

    def fingerprint(self) -> str:
        """64 hexadecimal digits that are others for other pictures, labels, classes, or another order of them; where
        attributes are told, for others of these, too."""
        if isinstance(self.told, Tokenizer):
            told = [list(self.told.words)]
        else:
            told = [{name: list(words) for name, words in self.told.items()}] if self.told else []
        digest = hashlib.sha256(json.dumps([self.image_shape, self.classes, *told]).encode())
        for tensor in (self.images, self.labels, *([] if self._rows is None else [self._rows])):
            digest.update(tensor.cpu().contiguous().numpy())
        return digest.hexdigest()


def check_images(images: ImageSet) -> None:
    """Refuses what isn't an ImageSet, above all its pictures alone."""
    if not isinstance(images, ImageSet):
        raise TypeError(
            f"images: expected an ImageSet, got {shown(images)}; use load(name), or ImageSet(images, labels, classes)"
        )


def _check_images(images: Tensor) -> None:
    if not isinstance(images, Tensor):
        raise TypeError(
            f"images: expected a uint8 tensor (n, c, h, w), got a {type(images).__name__}; use torch.as_tensor(images)"
        )
    if images.dtype != torch.uint8:
        raise TypeError(f"images: expected uint8 (0…255), got {images.dtype}{_to_bytes(images)}")
    shape = tuple(images.shape)
    if images.ndim != 4:
        remedy = "use images[:, None]" if images.ndim == 3 else "give one tensor for all pictures"
        raise ValueError(f"images: expected shape (n, c, h, w), got {shape}; {remedy} (grey pictures have c = 1)")
    _, channels, height, width = shape
    # Many channels on a side of at most 4, or a square with a shorter last side: the channels stand last.
    if (channels > 4 and width <= 4) or channels == height > width:
        raise ValueError(
            f"images: expected channels first (n, c, h, w), got {shape}, where they look last; use"
            " images.permute(0, 3, 1, 2)"
        )
    if min(channels, height, width) == 0:
        raise ValueError(f"images: expected at least one channel and pixel, got shape {shape}; leave this set out")


def _to_bytes(images: Tensor) -> str:
    """The end of the sentence that refuses other numbers than bytes: their range, and what makes bytes of them."""
    if images.is_complex():
        return "; a picture has real numbers, images.real or images.abs(): bring them to 0…255"
    if images.numel() == 0 or images.is_meta:
        return "; use images.to(torch.uint8)"
    if images.dtype == torch.bool:
        return "; use images.to(torch.uint8) * 255"
    low, high = (bound.item() for bound in images.double().aminmax())  # torch finds none of uint16, or of float8
    span = f" from {low:.4g} to {high:.4g}"
    if images.is_floating_point():
        if low >= 0 and high <= 1:
            return f"{span}; use (x * 255).round().to(torch.uint8), which takes [0, 1] to 0…255"
        if low >= -1.01 and high <= 1.01:  # a picture in [-1, 1] that was resized or rounded
            return f"{span}; use ((x + 1) * 127.5).round().clamp(0, 255).to(torch.uint8), which takes [-1, 1] to 0…255"
        if low >= 0 and high <= 255:
            return f"{span}; use x.round().to(torch.uint8)"
        return f"{span}; undo what normalised them, then bring them to 0…255 (NaN has no place there)"
    if low >= 0 and high <= 255:
        return f"{span}; use images.to(torch.uint8)"
    if low >= 0 and high <= 65535:
        return f"{span}; 16 bits become 8 by (images.float() / 257).round().to(torch.uint8)"
    return f"{span}; bring them to 0…255 first"


def _checked_columns(columns: dict[str, np.ndarray], n: int) -> dict[str, np.ndarray]:
    if not isinstance(columns, Mapping):
        raise TypeError(
            f'attributes: expected a dict of columns, got {shown(columns)}; use {{"name": column}}, or {{}}'
        )
    columns = {name: np.asarray(column) for name, column in columns.items()}
    for name, column in columns.items():
        if column.shape[:1] != (n,):
            raise ValueError(
                f"attributes: expected one word for each of {n} pictures, got {shown(column)} in {name!r}; give a"
                " column as long as images"
            )
    return columns


def _checked_index(index: Tensor | Sequence[int], n: int) -> Tensor:
    try:
        index = index if isinstance(index, Tensor) else torch.as_tensor(index, device="cpu")
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"index: expected whole numbers, or a mask, got {shown(index)}; use torch.tensor(…)") from None
    if index.numel() == 0:
        index = index.long()  # of an empty list torch makes floats
    if index.is_floating_point() or index.is_complex() or index.ndim != 1:
        raise TypeError(
            f"index: expected a row of whole numbers, or of bools, got {index.dtype} of shape {tuple(index.shape)};"
            " use torch.tensor([…])"
        )
    if index.dtype == torch.bool:
        if len(index) != n:
            raise ValueError(f"index: expected a mask of {n} bools, one for each picture, got {len(index)}")
        return index.nonzero().flatten()
    index = index.long()
    if len(index) and ((index < -n) | (index >= n)).any():
        low, high = index.aminmax()
        raise ValueError(f"index: expected pictures in 0…{n - 1}, got {int(low)} to {int(high)}; leave these out")
    return index


def _check_labels(labels: Tensor, n: int, classes: int) -> None:
    """The range is one look at the device (a wait, where that isn't the CPU): both ends come over together."""
    if not isinstance(labels, Tensor):
        raise TypeError(f"labels: expected a long tensor ({n},), got a {type(labels).__name__}; use torch.tensor(…)")
    shape = tuple(labels.shape)
    if shape == (n, classes) and classes > 1:
        raise ValueError(f"labels: expected shape ({n},), got one-hot rows {shape}; use labels.argmax(1)")
    if labels.dtype != torch.long:
        raise TypeError(f"labels: expected whole numbers (a long tensor), got {labels.dtype}; use labels.long()")
    if shape != (n,):
        remedy = (
            "use labels.flatten()" if labels.ndim != 1 and labels.numel() == n else "give one label for each picture"
        )
        raise ValueError(f"labels: expected shape ({n},), one for each picture, got {shape}; {remedy}")
    if n == 0 or labels.is_meta:
        return
    low, high = torch.stack(labels.aminmax()).tolist()
    last = max(classes, 1) - 1
    if low >= 0 and high <= last:
        return
    if low == 1 and high == last + 1:
        remedy = "these count from 1: use labels - 1"
    elif low < 0:
        remedy = "leave such pictures out, for example those with no label"
    else:
        remedy = f"name {high + 1} classes, or number the labels anew: labels.unique(return_inverse=True)[1]"
    raise ValueError(
        f"labels: expected 0 ≤ label < {last + 1} ({classes} classes), got labels from {low} to {high}; {remedy}"
    )
