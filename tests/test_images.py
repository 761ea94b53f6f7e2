"""A set of pictures: what it gives to a network, and what it refuses."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

from ddpm_teach.data import images as checked_images
from ddpm_teach.data.sets import load
from ddpm_teach.show.pictures import to_uint8

# As it is installed: with the tests' shape checks, these would answer before the package does.
_spec = importlib.util.spec_from_file_location("images_without_shape_checks", checked_images.__file__)
_module = sys.modules[_spec.name] = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
ImageSet = _module.ImageSet


@pytest.fixture(scope="module")
def sprites() -> dict[str, checked_images.ImageSet]:
    return {"test": load("sprites", "test")}


def test_pictures_are_the_bytes_between_minus_one_and_one():
    """Data left in [0, 1] is a mistake of the tutorials: mean and scale would be wrong."""
    images = ImageSet(
        torch.arange(256, dtype=torch.uint8).reshape(4, 1, 8, 8), torch.tensor([0, 2, 1, 0]), ("a", "b", "c")
    )
    pictures = images.pictures(slice(None))
    assert pictures.dtype == torch.float32 and pictures.min() == -1 and pictures.max() == 1
    assert np.array_equal(to_uint8(pictures), images.images.movedim(1, -1).numpy())
    assert torch.equal(images.pictures(torch.tensor([3, 0])), pictures[[3, 0]])


def test_contexts_are_one_hot_and_keep_absent_classes():
    images = ImageSet(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.tensor([0, 2, 0]), ("a", "b", "c", "d"))
    assert images.contexts(torch.tensor([1, 0])).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0]]
    assert images.contexts(slice(None)).dtype == torch.float32


def test_moving_a_set_keeps_everything(sprites):
    moved = sprites["test"].to("cpu")
    assert torch.equal(moved.images, sprites["test"].images) and torch.equal(moved.labels, sprites["test"].labels)
    assert moved.classes == sprites["test"].classes and moved.attributes == sprites["test"].attributes


def bytes_of(n: int = 4, c: int = 3, h: int = 8, w: int = 8) -> torch.Tensor:
    return (torch.arange(n * c * h * w) % 256).to(torch.uint8).reshape(n, c, h, w)


def pixels_as_floats(low: float, high: float) -> torch.Tensor:
    return bytes_of() / 255 * (high - low) + low


WRONG_IMAGES = {  # what stands for images: the error, and a word of the remedy
    "floats in [0, 1]": (pixels_as_floats(0, 1), TypeError, "(x * 255).round().to(torch.uint8)"),
    "float64 in [0, 1]": (pixels_as_floats(0, 1).double(), TypeError, "(x * 255).round().to(torch.uint8)"),
    "floats in [-1, 1]": (pixels_as_floats(-1, 1), TypeError, "((x + 1) * 127.5).round()"),
    "halves in [-1, 1]": (pixels_as_floats(-1, 1).half(), TypeError, "((x + 1) * 127.5).round()"),
    "floats in [0, 255]": (pixels_as_floats(0, 255), TypeError, "x.round().to(torch.uint8)"),
    "standardised floats": (pixels_as_floats(-2.1, 2.6), TypeError, "undo what normalised"),
    "NaN": (torch.full((2, 3, 8, 8), torch.nan), TypeError, "undo what normalised"),
    "whole numbers": (bytes_of().long(), TypeError, "images.to(torch.uint8)"),
    "16 bits": (bytes_of().int() * 257, TypeError, "(images.float() / 257)"),
    "unsigned 16 bits": ((bytes_of().int() * 257).to(torch.uint16), TypeError, "(images.float() / 257)"),
    "complex numbers": (pixels_as_floats(0, 1).to(torch.complex64), TypeError, "images.real"),
    "negative whole numbers": (bytes_of().int() - 128, TypeError, "0…255"),
    "bools": (bytes_of() > 9, TypeError, "* 255"),
    "no tensor": (bytes_of().numpy(), TypeError, "torch.as_tensor"),
    "channels last": (bytes_of().permute(0, 2, 3, 1), ValueError, ".permute(0, 3, 1, 2)"),
    "grey, channels last": (bytes_of(c=1).permute(0, 2, 3, 1), ValueError, ".permute(0, 3, 1, 2)"),
    "with alpha, channels last": (bytes_of(c=4, w=6).permute(0, 2, 3, 1), ValueError, ".permute(0, 3, 1, 2)"),
    "many channels last": (bytes_of(c=6).permute(0, 2, 3, 1), ValueError, ".permute(0, 3, 1, 2)"),
    "no channel axis": (bytes_of()[:, 0], ValueError, "[:, None]"),
    "a row of numbers": (bytes_of().flatten(), ValueError, "(n, c, h, w)"),
    "films": (bytes_of()[None], ValueError, "(n, c, h, w)"),
    "no pixels": (bytes_of()[..., :0], ValueError, "pixel"),
}


@pytest.mark.parametrize("kind", WRONG_IMAGES)
def test_images_that_would_train_wrongly_are_refused_with_the_remedy(kind):
    images, error, remedy = WRONG_IMAGES[kind]
    with pytest.raises(error) as refusal:
        ImageSet(images, torch.zeros(len(images), dtype=torch.long), ("a",))
    message = str(refusal.value)
    assert message.startswith("images: expected") and remedy in message and "\n" not in message


@pytest.mark.parametrize(("low", "high"), [(0, 1), (-1, 1)])
def test_the_remedy_for_floats_gives_the_bytes_back(low, high):
    """The line in the message, run as it stands there."""
    x = pixels_as_floats(low, high)
    with pytest.raises(TypeError) as refusal:
        ImageSet(x, torch.zeros(len(x), dtype=torch.long), ("a",))
    line = str(refusal.value).partition("; use ")[2].partition(", which")[0]
    assert torch.equal(eval(line, {"x": x, "torch": torch}), bytes_of())


@pytest.mark.parametrize("shape", [(2, 1, 28, 28), (2, 3, 4, 4), (2, 2, 1, 1), (2, 4, 5, 9), (2, 13, 64, 64)])
def test_images_of_any_number_of_channels_are_taken(shape):
    assert ImageSet(torch.zeros(shape, dtype=torch.uint8), torch.zeros(2).long(), ("a",)).image_shape == shape[1:]


WRONG_LABELS = {
    "too few": ([0, 1, 2], ValueError, "one for each picture"),
    "too many": ([0, 1, 2, 0, 1], ValueError, "one for each picture"),
    "a column": ([[0], [1], [2], [0]], ValueError, "flatten"),
    "one-hot": (np.eye(3, dtype=int)[[0, 1, 2, 0]].tolist(), ValueError, "argmax(1)"),
    "one-hot floats": (np.eye(3)[[0, 1, 2, 0]].tolist(), ValueError, "argmax(1)"),
    "floats": ([0.0, 1.0, 2.0, 0.0], TypeError, "labels.long()"),
    "bools": ([True, False, True, False], TypeError, "labels.long()"),
    "negative": ([0, -1, 2, 0], ValueError, "from -1 to 2"),
    "from 1": ([1, 2, 3, 1], ValueError, "labels - 1"),
    "too large": ([0, 1, 2, 7], ValueError, "name 8 classes"),
}


@pytest.mark.parametrize("kind", WRONG_LABELS)
def test_labels_that_name_no_class_are_refused_with_the_remedy(kind):
    labels, error, remedy = WRONG_LABELS[kind]
    with pytest.raises(error) as refusal:
        ImageSet(bytes_of(), torch.tensor(labels), ("a", "b", "c"))
    message = str(refusal.value)
    assert message.startswith("labels: expected") and remedy in message and "\n" not in message


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.int16])
def test_labels_of_another_whole_type_are_told_to_be_long(dtype):
    with pytest.raises(TypeError, match=r"labels: .*labels\.long\(\)"):
        ImageSet(bytes_of(), torch.zeros(4, dtype=dtype), ("a",))


@pytest.mark.parametrize("classes", ["cat", 3, None, (1, 2), ["cat", None]])
def test_classes_are_names(classes):
    with pytest.raises(TypeError, match="classes: expected"):
        ImageSet(bytes_of(), torch.zeros(4).long(), classes)


def test_columns_are_as_long_as_the_set():
    with pytest.raises(ValueError, match="attributes: .*'colour'"):
        ImageSet(bytes_of(), torch.zeros(4).long(), ("a",), {"colour": np.array(["red"])})


@pytest.mark.parametrize(
    "index", [[2, 0], (2, 0), torch.tensor([2, 0]), torch.tensor([-2, 0]), np.array([2, 0]), torch.tensor([2, 0]).int()]
)
def test_a_subset_is_of_these_pictures_whatever_holds_their_numbers(index):
    images = ImageSet(bytes_of(), torch.tensor([0, 1, 1, 0]), ("a", "b"), {"word": list("wxyz")})
    part = images.subset(index)
    assert torch.equal(part.images, bytes_of()[[2, 0]]) and part.labels.tolist() == [1, 0]
    assert part.attributes["word"].tolist() == ["y", "w"] and part.classes == ("a", "b")
    assert len(images.subset([])) == 0 and images.subset([True, False, False, True]).labels.tolist() == [0, 0]


def test_a_set_may_be_empty_and_may_have_no_classes():
    images = ImageSet(bytes_of(), torch.tensor([0, 1, 1, 0]), ["a", "b"], {"word": np.array(list("wxyz"))})
    assert images.classes == ("a", "b")
    empty = images.subset(torch.zeros(0, dtype=torch.long))
    assert len(empty) == 0 == len(empty.attributes["word"]) and empty.contexts(slice(None)).shape == (0, 2)
    plain = ImageSet(bytes_of(), torch.zeros(4).long(), ())
    assert plain.contexts(slice(None)).shape == (4, 0)
    with pytest.raises(ValueError, match="labels: "):
        ImageSet(bytes_of(), torch.ones(4).long(), ())


def test_the_range_of_the_labels_is_read_in_one_go(monkeypatch):
    """On an accelerator every value that is read waits for the device."""
    reads = []
    for name in ("tolist", "item", "__int__", "__bool__", "__float__"):
        real = getattr(torch.Tensor, name)
        monkeypatch.setattr(torch.Tensor, name, lambda self, real=real, name=name: reads.append(name) or real(self))
    ImageSet(bytes_of(), torch.tensor([0, 1, 1, 0]), ("a", "b"))
    assert reads == ["tolist"]
