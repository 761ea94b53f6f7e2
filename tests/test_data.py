"""The data sets: what the sprites promise, and what happens where a set is missing."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm_teach import data
from ddpm_teach.data import ImageSet, load
from ddpm_teach.paths import course_path
from ddpm_teach.pictures import to_uint8


@pytest.fixture(scope="module")
def sprites() -> dict[str, ImageSet]:
    return {split: load("sprites", split) for split in ("train", "test")}


# --- sprites --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "least"), [("train", 24_000), ("test", 2_000)])  # the numbers of issue 2
def test_the_sprites_are_as_many_as_promised_in_balanced_classes(sprites, split, least):
    images = sprites[split]
    assert len(images) == len(images.labels) >= least
    assert images.images.dtype == torch.uint8 and images.labels.dtype == torch.long
    assert images.images.shape[1:] == (3, 16, 16) == images.image_shape
    assert len(images.classes) == 5 == len(set(images.classes))
    assert images.labels.bincount(minlength=5).tolist() == [len(images) // 5] * 5


def test_no_sprite_occurs_twice_within_or_across_the_splits(sprites):
    pictures = [picture.tobytes() for split in sprites.values() for picture in split.images.numpy()]
    assert len(set(pictures)) == len(pictures)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_sprite_has_its_words(sprites, split):
    """Each attribute is a column as long as the split; every class has at least 6 kinds, of which none is rare."""
    images = sprites[split]
    assert set(images.attributes) == {"kind", "color", "accent", "item", "facing"}
    for name, column in images.attributes.items():
        assert len(column) == len(images) and column.dtype.kind == "U", name
    for label in range(5):
        kinds, counts = np.unique(images.attributes["kind"][images.labels.numpy() == label], return_counts=True)
        assert len(kinds) >= 6 and counts.min() > counts.max() / 2, images.classes[label]


def test_side_heroes_face_sideways_and_heroes_do_not(sprites):
    facing, labels = sprites["train"].attributes["facing"], sprites["train"].labels.numpy()
    classes = sprites["train"].classes
    sideways = {"left", "right"}
    assert set(facing[labels == classes.index("side hero")]) <= sideways
    assert not set(facing[labels == classes.index("hero")]) & sideways


def test_sprites_stand_on_white(sprites):
    """All four corners are white in 95 of 100 sprites of every class, and no sprite is all white or all ink."""
    images, labels = sprites["train"].images, sprites["train"].labels
    white = (images == 255).all(1)
    corners = white[:, [0, 0, -1, -1], [0, -1, 0, -1]].all(1)
    for label in range(5):
        assert corners[labels == label].float().mean() >= 0.95
    assert (share := white.float().mean((1, 2))).max() < 0.95 and share.min() > 0.05


def test_the_classes_differ_and_the_splits_have_one_law(sprites):
    """A class has the same mean sprite in both splits, up to the spread of a mean, and another one than the others."""
    means = {split: [s.pictures(s.labels == k).mean(0) for k in range(5)] for split, s in sprites.items()}
    for k in range(5):
        # 500 test sprites: a pixel's mean has a standard error of at most 1 / √500 = 0.045; 5 of them for the worst one
        assert (means["train"][k] - means["test"][k]).abs().max() < 5 / 500**0.5
        assert all((means["train"][k] - means["train"][j]).abs().max() > 5 / 500**0.5 for j in range(k))


def test_the_file_is_small_and_holds_no_pickle():
    path = course_path("data/sprites/sprites.npz")
    assert path.stat().st_size <= 3_000_000
    with np.load(path, allow_pickle=False) as file:
        assert all(file[name].dtype != object for name in file.files)


@pytest.fixture
def make_sprites(monkeypatch):
    """The drawing script as a module; its neighbours (canvas, heroes, …) are forgotten afterwards."""
    folder = course_path("data/sprites")
    if not (folder / "make_sprites.py").exists():
        pytest.skip("the script that draws the sprites is not in this installation, only the sprites are")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = set(sys.modules)
    yield importlib.import_module("make_sprites")
    for name in set(sys.modules) - before:
        if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def test_the_script_draws_the_same_sprites_again(redrawn_sprites):
    """Same seed, same bytes, of every array in the file. (The compressed bytes also depend on the LZMA library.)"""
    with zipfile.ZipFile(course_path("data/sprites/sprites.npz")) as file, zipfile.ZipFile(redrawn_sprites) as again:
        assert file.namelist() == again.namelist() and len(file.namelist()) > 10
        assert [name for name in file.namelist() if file.read(name) != again.read(name)] == []


def test_the_same_arrays_give_the_same_file_whenever_they_are_saved(make_sprites, tmp_path, monkeypatch):
    import time

    arrays = {"a": np.arange(1000, dtype=np.uint8), "b": np.array(["x", "yz"])}
    make_sprites.save(arrays, tmp_path / "one.npz")
    later = time.time() + 1e8
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda *args: time.gmtime(later))
    make_sprites.save(arrays, tmp_path / "other.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "other.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as file:
        assert all(np.array_equal(file[name], array) for name, array in arrays.items())


# --- ImageSet -------------------------------------------------------------------------------------------------------


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


# --- padding --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("size", "before"), [(16, 0), (20, 2), (28, 6), (17, 0), (19, 1)])
def test_padding_puts_the_sprite_in_the_middle_of_white(sprites, size, before):
    padded, plain = load("sprites", "test", size=size), sprites["test"]
    assert padded.image_shape == (3, size, size) and padded.images.dtype == torch.uint8
    inside = slice(before, before + 16)
    assert torch.equal(padded.images[:, :, inside, inside], plain.images)
    frame = torch.ones(size, size, dtype=torch.bool)
    frame[inside, inside] = False
    assert (padded.images[:, :, frame] == 255).all()
    assert torch.equal(padded.labels, plain.labels)


# --- MNIST in torchvision's layout ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def mnist_root() -> Path:
    """The real MNIST: where the variable says, or beside the clone."""
    places = [os.environ.get("DDPM_TEACH_DATA"), Path(__file__).parents[2] / "shared" / "data"]
    for place in places:
        if place and (Path(place) / "MNIST" / "raw" / "t10k-images-idx3-ubyte").exists():
            return Path(place)
    pytest.skip("no MNIST: DDPM_TEACH_DATA names no folder that holds it, and ../shared/data isn't there")


def test_mnist_is_read_as_torchvision_stores_it(mnist_root, monkeypatch, no_network):
    monkeypatch.setenv("DDPM_TEACH_DATA", str(mnist_root))
    images = load("mnist", "test")
    raw = (mnist_root / "MNIST" / "raw" / "t10k-images-idx3-ubyte").read_bytes()[16:]  # IDX: a header of 16 bytes
    labels = (mnist_root / "MNIST" / "raw" / "t10k-labels-idx1-ubyte").read_bytes()[8:]
    assert images.images.shape == (10_000, 1, 28, 28) and len(images.classes) == 10
    assert images.images.numpy().tobytes() == raw and bytes(images.labels.tolist()) == labels
    assert not no_network


def test_mnist_padded_to_32_has_two_black_pixels_on_every_side(mnist_root):
    plain, padded = load("mnist", "test", root=mnist_root), load("mnist", "test", size=32, root=mnist_root)
    assert padded.image_shape == (1, 32, 32)
    assert torch.equal(padded.images[:, :, 2:30, 2:30], plain.images)
    assert padded.images.sum() == plain.images.sum()


def idx(array: np.ndarray) -> bytes:
    """An array in MNIST's own format: two zero bytes, the type (8: bytes), the dimensions, the lengths, the data."""
    lengths = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + lengths + array.astype(np.uint8).tobytes()


def write_mnist(root: Path) -> np.ndarray:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (6, 28, 28))
    for split in ("train", "t10k"):
        (raw / f"{split}-images-idx3-ubyte").write_bytes(idx(pixels))
        (raw / f"{split}-labels-idx1-ubyte").write_bytes(idx(np.array([3, 1, 4, 1, 5, 9])))
    return pixels


def test_a_set_is_found_in_the_folder_that_the_variable_names(tmp_path, monkeypatch, no_network):
    pixels = write_mnist(tmp_path / "there")
    monkeypatch.setenv("DDPM_TEACH_DATA", str(tmp_path / "there"))
    images = load("mnist")
    assert np.array_equal(images.images[:, 0].numpy(), pixels) and images.labels.tolist() == [3, 1, 4, 1, 5, 9]
    monkeypatch.setenv("DDPM_TEACH_DATA", str(tmp_path / "elsewhere"))
    assert len(load("mnist", root=tmp_path / "there")) == 6, "root= comes before the variable"
    assert not no_network


def test_a_download_is_moved_to_its_place_when_it_is_whole(tmp_path, monkeypatch):
    """torchvision's downloader is replaced: first by one that fails half-way, then by one that writes the set."""
    from torchvision import datasets

    real = datasets.MNIST.__init__

    def half(self, root, train=True, download=False):
        if download:
            assert not (tmp_path / "cache" / "MNIST").exists()
            write_mnist(Path(root))
            next(Path(root).rglob("t10k-labels*")).unlink()
            raise ConnectionResetError("cut off")
        real(self, root, train)

    def whole(self, root, train=True, download=False):
        if download:
            write_mnist(Path(root))
        real(self, root, train)

    monkeypatch.setattr(datasets.MNIST, "__init__", half)
    with pytest.raises(FileNotFoundError):
        load("mnist", root=tmp_path / "cache")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    monkeypatch.setattr(datasets.MNIST, "__init__", whole)
    assert len(load("mnist", root=tmp_path / "cache")) == 6
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["MNIST"], "no temporary folder is left"
    shutil.rmtree(tmp_path / "cache")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10"])
@pytest.mark.parametrize("by", ["root", "variable", "cache"])
def test_a_missing_set_without_network_names_three_remedies_and_leaves_nothing(
    tmp_path, monkeypatch, no_network, name, by
):
    import socket

    monkeypatch.delenv("DDPM_TEACH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if by == "variable":
        monkeypatch.setenv("DDPM_TEACH_DATA", str(tmp_path / "named"))
    timeout = socket.getdefaulttimeout()
    with pytest.raises(FileNotFoundError) as error:
        load(name, root=tmp_path / "given" if by == "root" else None)
    message = str(error.value)
    assert message.startswith(f"{name}: ") and "\n" not in message
    for remedy in ("DDPM_TEACH_DATA", "another machine", '"sprites"'):
        assert remedy in message
    folder = {"root": "given", "variable": "named", "cache": "cache/ddpm-teach"}[by]
    assert str(tmp_path / folder) in message
    assert no_network, "a download was tried"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert not list(tmp_path.rglob(".download-*"))
    assert socket.getdefaulttimeout() == timeout


def test_a_root_that_cannot_be_made_is_told_like_a_missing_set(tmp_path, no_network):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FileNotFoundError, match="DDPM_TEACH_DATA"):
        load("mnist", root=tmp_path / "file" / "below")
    assert os.listdir(tmp_path) == ["file"]


def test_sprites_need_no_network_and_no_torchvision(no_network, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert len(load("sprites", "test")) and not no_network


@pytest.mark.parametrize(
    "bad", [dict(name="MNIST"), dict(name="sprite"), dict(split="val"), dict(size=15), dict(size=0)]
)
def test_unknown_names_and_sizes_are_refused(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))}: "):
        load(**({"name": "sprites", "split": "test"} | bad))


def test_the_user_cache_follows_the_variable(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.sep + "somewhere")
    assert data._cache() == Path(os.sep + "somewhere") / "ddpm-teach"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data._cache() == Path.home() / ".cache" / "ddpm-teach"


# --- own pictures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def album(tmp_path):
    """Two folders of pictures of many modes and shapes; the middle of each is its colour."""
    from PIL import Image

    for name, colour, count in (("cats", (250, 10, 10), 2), ("dogs", (10, 10, 250), 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("RGB", (40 + 20 * i, 30), colour).save(tmp_path / name / f"{i}.png")
    Image.new("P", (9, 9)).save(tmp_path / "dogs" / "palette.GIF")
    Image.new("RGBA", (50, 5), (10, 10, 250, 255)).save(tmp_path / "dogs" / "wide.webp", lossless=True)
    (tmp_path / "dogs" / "notes.txt").write_text("not a picture")
    return tmp_path


def test_a_folder_of_folders_is_a_data_set_with_classes(album):
    images = data.from_folder(album, 16)
    assert images.classes == ("cats", "dogs") and images.labels.tolist() == [0, 0, 1, 1, 1]
    assert images.images.shape == (5, 3, 16, 16) and images.images.dtype == torch.uint8
    assert images.images[0, :, 8, 8].tolist() == [250, 10, 10]
    assert images.images[4, :, 8, 8].tolist() == [10, 10, 250]


def test_a_folder_without_folders_is_one_class(album):
    images = data.from_folder(album / "cats", 8)
    assert images.classes == ("cats",) and len(images) == 2 and images.contexts(slice(None)).tolist() == [[1], [1]]


def test_a_centred_square_is_cut_out(tmp_path):
    from PIL import Image

    picture = Image.new("RGB", (30, 10), (255, 255, 255))
    picture.paste((0, 0, 0), (10, 0, 20, 10))
    picture.save(tmp_path / "wide.png")
    assert (data.from_folder(tmp_path, 10).images == 0).all()


def test_folders_that_are_none_and_pictures_that_are_none_are_told(album, tmp_path):
    for path, words in ((tmp_path / "nowhere", "is no folder"), (tmp_path / "empty", "no pictures in")):
        if "empty" in path.name:
            path.mkdir()
        with pytest.raises(FileNotFoundError, match=f"path: .*{words}"):
            data.from_folder(path, 16)
    (album / "cats" / "broken.jpg").write_bytes(b"no picture at all")
    with pytest.raises(ValueError, match=r"broken\.jpg: can't be read as a picture"):
        data.from_folder(album, 16)
    with pytest.raises(ValueError, match="size: "):
        data.from_folder(album, 0)
