"""The data sets: what the sprites promise, what happens where a set is missing or damaged, and what a set refuses."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import os
import pickle
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from ddpm_teach.data import sets
from ddpm_teach.data.images import ImageSet
from ddpm_teach.data.sets import load
from ddpm_teach.data.sprites import COMBINATIONS, sprites as stored
from ddpm_teach.storage import course_path


@pytest.fixture(scope="module")
def sprites() -> dict[str, ImageSet]:
    return {split: load("sprites", split) for split in ("train", "test", "held_out")}


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


@pytest.mark.parametrize("split", ["train", "test", "held_out"])
def test_every_sprite_has_its_words(sprites, split):
    """Each attribute is a column as long as the split; every class has at least 6 kinds, of which none is rare."""
    images = sprites[split]
    for name, column in images.attributes.items():
        assert len(column) == len(images) and column.dtype.kind == "U", name
    for label in range(5 if split != "held_out" else 0):
        kinds, counts = np.unique(images.attributes["kind"][images.labels.numpy() == label], return_counts=True)
        assert len(kinds) >= 6 and counts.min() > counts.max() / 2, images.classes[label]


@pytest.mark.parametrize("split", ["train", "test", "held_out"])
def test_every_colour_that_is_recorded_is_seen(sprites, split, make_sprites):
    """At least two pixels have a tone of the ramp; a part that isn't there has no colour."""
    from canvas import BLACK, RAMPS, WHITE

    table, pixels = sprites[split].attributes, stored(split).pixels
    for column in [name for name in table if name.endswith("color") or name == "skin"]:
        for ramp in set(table[column]) - {"none"}:
            tones = [*RAMPS[ramp][:4], *{"white": [WHITE], "black": [BLACK]}.get(ramp, [])]
            assert np.isin(pixels[table[column] == ramp], tones).sum((1, 2)).min() >= 2, (column, ramp)
    for part in ("hat", "cape", "item", "shield", "pattern"):
        assert ((table[part] == "none") == (table[f"{part}_color"] == "none")).all()


def test_parts_are_independent_of_the_kind(sprites):
    """Every held item occurs with at least four kinds of hero, every hair colour with every kind that shows hair, but
    for what is held out."""
    table, heroes = sprites["train"].attributes, np.isin(sprites["train"].labels, (0, 4))
    kind, item, color = (table[name][heroes] for name in ("kind", "item", "hair_color"))
    assert min(len(set(kind[item == one])) for one in set(item)) >= 4
    colors = set(color) - {"none"}
    held = [words for words in COMBINATIONS if set(words) == {"kind", "hair_color"}]
    for one in set(kind[color != "none"]):
        missing = colors - set(color[kind == one])
        assert missing == {words["hair_color"] for words in held if words["kind"] == one}


def test_held_out_combinations_are_in_that_split_alone(sprites):
    def shows(split: str, words: dict[str, str]) -> int:
        table = sprites[split].attributes
        return int(np.logical_and.reduce([table[column] == word for column, word in words.items()]).sum())

    combinations = COMBINATIONS
    assert len(combinations) >= 10
    for words in combinations:
        assert shows("train", words) == shows("test", words) == 0 < 20 <= shows("held_out", words), words
        for column, word in words.items():
            assert shows("train", {column: word}) >= 50, "each word is common by itself"


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
    del means["held_out"]
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


def test_sets_stay_on_the_cpu_whatever_the_default_device_is(sprites, tmp_path):
    """meta stands for an accelerator: no number could be read from it."""
    write_mnist(tmp_path)
    with torch.device("meta"):
        again, digits = load("sprites", "test"), load("mnist", "test", size=32, root=tmp_path)
        moved = again.subset(torch.tensor([2, 0], device="cpu"))
    assert again.fingerprint() == sprites["test"].fingerprint() and len(moved) == 2
    assert {digits.images.device.type, digits.labels.device.type} == {"cpu"}


def test_fingerprints_are_those_of_the_second_edition(sprites):
    """Checkpoints hold them: a run goes on only with the data it began with."""
    prints = {split: images.fingerprint()[:16] for split, images in sprites.items()}
    assert prints == {"train": "230cbce036d828c6", "test": "e3c19121f89dde4e", "held_out": "0bf8bf0797ac8661"}


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


# --- files that are there and aren't right ---------------------------------------------------------------------------


def damage(root: Path, file: str, how: str) -> None:
    path = root / "MNIST" / "raw" / file
    whole = path.read_bytes()
    header = 16 if "images" in file else 8
    contents = {
        "empty": b"",
        "cut in the header": whole[: header - 2],
        "cut to the header": whole[:header],
        "cut": whole[:-1],
        "longer": whole + b"0",
        "a web page": b"<!DOCTYPE html><title>404</title>" + bytes(4000),
        "still packed": gzip.compress(whole),
        "another kind of array": idx(np.zeros((6, 4))),
        "of no pictures": idx(np.zeros((0, 28, 28) if "images" in file else 0)),
    }
    if how == "a folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(contents[how])


HOW = ["empty", "cut in the header", "cut to the header", "cut", "longer", "a web page", "still packed"]
HOW += ["another kind of array", "of no pictures", "a folder"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_a_damaged_file_is_named_and_nothing_is_downloaded(tmp_path, no_network, file, how):
    write_mnist(tmp_path)
    damage(tmp_path, file, how)
    with pytest.raises(ValueError) as refusal:
        load("mnist", "train" if "train" in file else "test", root=tmp_path)
    message = str(refusal.value)
    assert message.startswith("mnist: ") and file in message and "remove" in message and "\n" not in message
    assert "not found" not in message and not no_network


@pytest.mark.parametrize(
    ("labels", "words"),
    [([1, 2, 3], "3 labels for the 6 pictures"), ([0] * 9, "9 labels for the 6"), ([0, 1, 2, 3, 4, 10], "a label 10")],
)
@pytest.mark.parametrize("size", [None, 32])
def test_labels_of_other_pictures_are_told(tmp_path, no_network, labels, words, size):
    write_mnist(tmp_path)
    (tmp_path / "MNIST" / "raw" / "train-labels-idx1-ubyte").write_bytes(idx(np.array(labels)))
    with pytest.raises(ValueError, match=f"mnist: .*train-labels-idx1-ubyte has {words}"):
        load("mnist", size=size, root=tmp_path)
    assert not no_network


@pytest.mark.parametrize("place", ["MNIST/raw", "MNIST", "."])
@pytest.mark.parametrize("files", ["all", "one"])
def test_a_set_that_is_still_packed_is_told_to_be_unpacked(tmp_path, no_network, place, files):
    write_mnist(tmp_path)
    for file in sorted((tmp_path / "MNIST" / "raw").iterdir())[: None if files == "all" else 1]:
        (tmp_path / place / f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
        file.unlink()
    with pytest.raises(FileNotFoundError, match=r"mnist: .*\.gz is still packed; unpack it to .*-ubyte: python -m"):
        load("mnist", root=tmp_path)
    assert not no_network


def test_a_file_unpacked_under_another_name_is_told_to_be_renamed(tmp_path, no_network):
    write_mnist(tmp_path)
    raw = tmp_path / "MNIST" / "raw"
    (raw / "train-images-idx3-ubyte").rename(raw / "train-images.idx3-ubyte")
    with pytest.raises(FileNotFoundError, match="train-images.idx3-ubyte .*rename it to train-images-idx3-ubyte"):
        load("mnist", root=tmp_path)
    assert not no_network


@pytest.fixture
def cifar_root(tmp_path, monkeypatch) -> Path:
    """A CIFAR10 of 12 pictures as torchvision stores it; its checksums are put in place of the real one's."""
    from torchvision import datasets

    folder = tmp_path / datasets.CIFAR10.base_folder
    folder.mkdir()

    def written(name: str, entry: dict) -> str:
        (folder / name).write_bytes(pickle.dumps(entry))
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    pixels = np.arange(2 * 3072).reshape(2, 3072).astype(np.uint8)
    batches = [[f"data_batch_{i}", written(f"data_batch_{i}", {"data": pixels, "labels": [i, 0]})] for i in range(1, 6)]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", batches)
    test = written("test_batch", {"data": pixels, "labels": [9, 0]})
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", test]])
    meta = written("batches.meta", {"label_names": [f"class {i}" for i in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta})
    return tmp_path


def test_cifar10_is_read_as_torchvision_stores_it(cifar_root, no_network):
    images = load("cifar10", root=cifar_root)
    assert images.images.shape == (10, 3, 32, 32) and images.labels.tolist() == [1, 0, 2, 0, 3, 0, 4, 0, 5, 0]
    assert images.images[0].flatten().tolist() == [i % 256 for i in range(3072)]
    assert images.classes[9] == "class 9" and not no_network


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
@pytest.mark.parametrize("how", ["empty", "cut", "another"])
def test_a_damaged_batch_of_cifar10_is_named_and_nothing_is_downloaded(cifar_root, no_network, file, how):
    path = cifar_root / "cifar-10-batches-py" / file
    whole = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[:-9], "another": whole[:-1] + b"x"}[how])
    with pytest.raises(ValueError, match=f"cifar10: .*{file} is (empty|damaged).*remove"):
        load("cifar10", root=cifar_root)
    assert not no_network


def test_cifar10_that_is_still_packed_is_told_to_be_unpacked(cifar_root, no_network):
    shutil.rmtree(cifar_root / "cifar-10-batches-py")
    (cifar_root / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match=r"cifar10: .*still packed; .*python -m tarfile -e"):
        load("cifar10", root=cifar_root)
    assert not no_network


@pytest.mark.parametrize("keep", [0, 100, 0.5])
def test_damaged_sprites_are_named(tmp_path, monkeypatch, keep):
    whole = course_path("data/sprites/sprites.npz").read_bytes()
    path = tmp_path / "sprites.npz"
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    monkeypatch.setattr("ddpm_teach.data.sprites.course_path", lambda name: path)
    stored.cache_clear()  # read once in a process
    with pytest.raises(ValueError, match=r"sprites\.npz: damaged .*restore"):
        load("sprites")


# --- arguments -------------------------------------------------------------------------------------------------------


def test_sprites_need_no_network_and_no_torchvision(no_network, monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert len(load("sprites", "test")) and not no_network


@pytest.mark.parametrize(
    "bad", [dict(name="MNIST"), dict(name="sprite"), dict(split="val"), dict(size=15), dict(size=0), dict(size=-32)]
)
def test_unknown_names_and_sizes_are_refused(bad):
    with pytest.raises(ValueError, match=f"{next(iter(bad))}: "):
        load(**({"name": "sprites", "split": "test"} | bad))


def test_a_size_is_a_whole_number():
    with pytest.raises(TypeError, match="size"):
        load("sprites", "test", size=32.0)


def test_the_user_cache_follows_the_variable(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.sep + "somewhere")
    assert sets._cache() == Path(os.sep + "somewhere") / "ddpm-teach"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert sets._cache() == Path.home() / ".cache" / "ddpm-teach"
