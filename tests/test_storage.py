"""Files: whole or not there, every kind of damage noticed, nothing in them ever run."""

from __future__ import annotations

import errno
import hashlib
import os
import pickle
import random
from pathlib import Path

import pytest
import torch

from ddpm_teach import show, storage
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.diffusion.types import Frame
from ddpm_teach.model import Model
from ddpm_teach.model_files import load_model, load_weights, save_weights
from ddpm_teach.nets import ContextUNet
from ddpm_teach.storage import read_tensors, write_bytes, write_tensors
from ddpm_teach.training.checkpoint import load_checkpoint, save_checkpoint
from tests.small_runs import new_run


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    return {
        "double": torch.randn(3, 4).double(),
        "half": torch.randn(5).half(),
        "brain": torch.randn(2, 2).bfloat16(),
        "whole": torch.arange(6).reshape(2, 3),
        "bytes": torch.arange(7, dtype=torch.uint8),
        "scalar": torch.tensor(2.5),
        "transposed": torch.randn(3, 2).T,
        "empty": torch.empty(0, 3),
        "special": torch.tensor([float("nan"), float("inf"), -0.0]),
    }


META = {"words": ["grün", 'a "quote"', "line\nbreak"], "number": 0.1, "nested": {"none": None, "yes": True}}


def test_what_is_written_is_read(tmp_path, tensors):
    write_tensors(tmp_path / "new" / "file.safetensors", "weights", tensors, META)
    again, meta = read_tensors(tmp_path / "new" / "file.safetensors", "weights")
    assert meta == META and again.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert again[name].dtype == tensor.dtype and again[name].shape == tensor.shape
        # compared as bytes, so that NaN and -0.0 count
        assert (
            again[name].contiguous().view(-1).view(torch.uint8).tolist()
            == tensor.contiguous().view(-1).view(torch.uint8).tolist()
        )


def test_the_file_is_an_ordinary_safetensors_file(tmp_path, tensors):
    from safetensors.torch import load_file

    write_tensors(tmp_path / "file", "weights", tensors, META)
    assert torch.equal(load_file(tmp_path / "file")["whole"], tensors["whole"])


def test_the_checksum_in_the_file_is_what_the_documentation_says(tmp_path, tensors):
    """sha256 over the file with the 64 digits set to zero, computed here from the description alone."""
    import json

    write_tensors(tmp_path / "file", "weights", tensors, META)
    data = (tmp_path / "file").read_bytes()
    digits = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]["sha256"]
    assert hashlib.sha256(data.replace(digits.encode(), b"0" * 64)).hexdigest() == digits


def assert_refused(path: Path, data: bytes, kind: str = "weights") -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match="not a (whole )?ddpm-teach"):
        read_tensors(path, kind)


def test_one_flipped_bit_anywhere_is_noticed(tmp_path, tensors):
    """All 64 bits of the length, every byte of the header, and 200 places among the numbers."""
    write_tensors(tmp_path / "file", "weights", tensors, META)
    good = (tmp_path / "file").read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    rng = random.Random(0)
    bits = [*range(64), *(8 * byte + rng.randrange(8) for byte in range(8, header))]
    bits += [rng.randrange(8 * header, 8 * len(good)) for _ in range(200)]
    for bit in bits:
        bad = bytearray(good)
        bad[bit // 8] ^= 1 << bit % 8
        assert_refused(tmp_path / "bad", bytes(bad))
    assert read_tensors(tmp_path / "file", "weights")[1] == META


def test_a_file_cut_off_anywhere_or_with_more_behind_it_is_noticed(tmp_path, tensors):
    write_tensors(tmp_path / "file", "weights", tensors, META)
    good = (tmp_path / "file").read_bytes()
    for length in {*range(0, 120), *range(120, len(good), 37), len(good) - 1}:
        assert_refused(tmp_path / "bad", good[:length])
    for more in (b"\0", good):
        assert_refused(tmp_path / "bad", good + more)
    assert_refused(tmp_path / "bad", good[:200] + bytes(len(good) - 200))


def test_two_swapped_numbers_are_noticed(tmp_path):
    write_tensors(tmp_path / "file", "weights", {"a": torch.tensor([1.0, 2.0])}, {})
    good = (tmp_path / "file").read_bytes()
    assert_refused(tmp_path / "bad", good[:-8] + good[-4:] + good[-8:-4])


@pytest.mark.parametrize(
    "data", [b"", b"\0", b"\0" * 8, b"\xff" * 8, b"\xff" * 5000, b"PK\x03\x04 no zip", b"<html>404</html>"]
)
def test_what_is_no_file_of_ours_is_refused(tmp_path, data):
    assert_refused(tmp_path / "bad", data)


def test_a_safetensors_file_of_others_is_refused(tmp_path):
    from safetensors.torch import save_file

    for metadata in (None, {"format": "pt"}, {"format": "ddpm-teach weights", "meta": "{}", "sha256": "0" * 64}):
        save_file({"a": torch.zeros(3)}, tmp_path / "file", metadata)
        assert_refused(tmp_path / "bad", (tmp_path / "file").read_bytes())


def test_another_kind_of_file_is_refused_by_its_name(tmp_path, tensors):
    write_tensors(tmp_path / "file", "weights", tensors, META)
    with pytest.raises(ValueError, match="weights"):
        read_tensors(tmp_path / "file", "checkpoint")


@pytest.mark.parametrize("missing", ["nothing", ""])
def test_a_missing_file_is_a_missing_file(tmp_path, missing):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_tensors(tmp_path / missing, "weights")  # the second one is a folder


class Bomb:
    """Unpickling this creates the marker."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("read", [lambda p: read_tensors(p, "weights"), load_weights, load_checkpoint, load_model])
@pytest.mark.parametrize("how", ["pickle", "torch.save", "torch.save, old"])
def test_a_pickle_is_never_executed(tmp_path, read, how):
    marker, path = tmp_path / "executed", tmp_path / "bad"
    if how == "pickle":
        path.write_bytes(pickle.dumps(Bomb(marker)))
    else:
        torch.save({"state_dict": Bomb(marker)}, path, _use_new_zipfile_serialization=how == "torch.save")
    with pytest.raises(ValueError, match="not a ddpm-teach .*another program"):
        read(path)
    assert not marker.exists()
    with path.open("rb") as file:  # the bomb is live: the standard way of loading it sets it off
        torch.load(file, weights_only=False) if how != "pickle" else pickle.load(file)
    assert marker.exists()


@pytest.mark.parametrize("broken", ["fsync", "replace", "chmod", "fdopen"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_failure_while_writing_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, broken, error):
    path = tmp_path / "file"
    write_bytes(path, b"old")

    def fail(*args):
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(storage.os, broken, fail)
        with pytest.raises(type(error)):
            write_bytes(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


def test_the_file_is_synced_before_it_gets_its_name(tmp_path, monkeypatch):
    """A rename that reaches the disk before the contents would leave an empty file after a power cut."""
    done = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(storage.os, name, lambda *args, real=real, name=name: (done.append(name), real(*args))[1])
    write_bytes(tmp_path / "file", b"x" * 10_000)
    assert done == ["fsync", "replace"]


def test_a_file_that_cannot_be_said_in_json_is_not_written(tmp_path):
    with pytest.raises(TypeError):
        write_tensors(tmp_path / "file", "weights", {}, {"bad": object()})
    assert os.listdir(tmp_path) == []


def test_weights_come_back_in_half_precision_with_all_that_sampling_needs(tmp_path):
    model = Model(ContextUNet(1, 8, 2, 16), linear(), "v", ("left", "right"))
    save_weights(tmp_path / "w", model, steps=7)
    again, meta = load_weights(tmp_path / "w"), read_tensors(tmp_path / "w", "weights")[1]
    assert again.classes == ("left", "right") and meta["steps"] == 7 and again.net.config == model.net.config
    assert again.target is model.target and again.net.target == "v"
    assert torch.equal(again.schedule.alpha_bar, model.schedule.alpha_bar), "to the last bit"
    assert not again.net.training and not any(p.requires_grad for p in again.net.parameters())
    for (name, a), b in zip(again.net.state_dict().items(), model.net.state_dict().values(), strict=True):
        assert a.dtype == b.dtype, name
        assert torch.equal(a, b.half().to(b.dtype) if b.is_floating_point() else b), name


def test_a_student_s_times_are_kept_with_its_weights(tmp_path):
    for times in ((1000, 750, 500, 250, 0), ()):
        model = Model(ContextUNet(1, 8, 2, 16), linear(), "v", times=list(times))
        save_weights(tmp_path / "w", model)
        assert load_model(tmp_path / "w").times == load_weights(tmp_path / "w").times == model.times == times
        assert model.tuned("bfloat16").times == model.to("cpu").times == times
        assert ("times" in read_tensors(tmp_path / "w", "weights")[1]) == bool(times)
    tensors, meta = read_tensors(tmp_path / "w", "weights")
    for wrong in ([500, 0], [1000, 500.5, 0], 4, None, ["1000", "0"]):
        write_tensors(tmp_path / "bad", "weights", tensors, meta | {"times": wrong})
        with pytest.raises(ValueError, match="(?s)bad: holds what can't be read here .*times"):
            load_weights(tmp_path / "bad")


@pytest.mark.parametrize("kind", ["weights", "checkpoint"])
def test_weights_and_checkpoints_are_checked_like_any_file(tmp_path, kind):
    run = new_run()
    save, load = {
        "weights": (lambda p: save_weights(p, run.model), load_weights),
        "checkpoint": (lambda p: save_checkpoint(p, run), load_checkpoint),
    }[kind]
    save(tmp_path / "file")
    good = (tmp_path / "file").read_bytes()
    for place in (3, 100, len(good) // 2, len(good) - 1):
        bad = bytearray(good)
        bad[place] ^= 16
        (tmp_path / "bad").write_bytes(bad)
        for read in (load, load_model):
            with pytest.raises(ValueError, match="not a (whole )?ddpm-teach"):
                read(tmp_path / "bad")
    load(tmp_path / "file")
    assert load_model(tmp_path / "file").classes == ("left", "right")
    other = {"weights": load_checkpoint, "checkpoint": load_weights}[kind]
    with pytest.raises(ValueError, match=f"calls itself ddpm-teach {kind}"):
        other(tmp_path / "file")


def test_a_network_whose_values_half_precision_cannot_hold_is_refused(tmp_path):
    """float16 ends at 65,504: a larger weight would come back as infinity."""
    net = ContextUNet(1, 8, 2, 16)
    with torch.no_grad():
        net.stem.shortcut.weight.fill_(1e6)
    with pytest.raises(ValueError, match="^net: .*half precision"):
        save_weights(tmp_path / "w", Model(net, linear()))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["write_bytes", "write_tensors", "weights", "checkpoint", "png", "film", "page"])
def test_a_folder_in_the_place_of_a_file_is_told_with_its_own_name(tmp_path, name):
    """And not with the name of the temporary file."""
    run, x = new_run(), torch.zeros(1, 1, 4, 4)
    write, ending = {
        "write_bytes": (lambda path: write_bytes(path, b"0"), ""),
        "write_tensors": (lambda path: write_tensors(path, "weights", {}, {}), ""),
        "weights": (lambda path: save_weights(path, run.model), ""),
        "checkpoint": (lambda path: save_checkpoint(path, run), ""),
        "png": (lambda path: show.save_png(x, path), ".png"),
        "film": (lambda path: show.save_film([x], path), ".gif"),
        "page": (lambda path: show.scrub([Frame(1, x), Frame(0, x)], linear()).save(path), ".html"),
    }[name]
    path = tmp_path / f"there{ending}"
    path.mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder; add a file name") as error:
        write(path)
    assert str(error.value).startswith(str(path)) and not list(path.iterdir()) and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("broken", ["fsync", "replace", "chmod", "fdopen"])
def test_what_the_system_refuses_is_told_with_the_name_of_the_file(tmp_path, monkeypatch, broken):
    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device", *args[:1] if broken == "replace" else ())

    monkeypatch.setattr(storage.os, broken, full)
    with pytest.raises(OSError, match="No space left") as error:
        write_bytes(tmp_path / "file", b"new")
    assert error.value.filename == str(tmp_path / "file") and error.value.errno == errno.ENOSPC


@pytest.mark.parametrize("name", ["x" * 250, "ü" * 125])
def test_a_name_may_be_as_long_as_the_system_allows(tmp_path, name):
    write_bytes(tmp_path / name, b"new")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("shipped", [True, False])
def test_a_damaged_file_is_restored_from_where_it_came(tmp_path, monkeypatch, shipped):
    monkeypatch.setattr(storage, "_ROOTS", (tmp_path,))
    path = tmp_path / ("data" if shipped else "runs") / "last.pt"
    write_tensors(path, "weights", {}, {})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="damaged or cut off") as error:
        read_tensors(path, "weights")
    assert ("git checkout" in str(error.value)) == shipped and ("from a copy" in str(error.value)) != shipped


@pytest.mark.parametrize(
    "header",
    [
        b"no JSON",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"__metadata__":{}}',
        b'{"__metadata__":{"format":"ddpm-teach weights"}}',
        b'{"__metadata__":{"format":"ddpm-teach weights","meta":"{"}}',
        b'{"__metadata__":{"format":"ddpm-teach weights","meta":"{}"},"a":{"dtype":"F32","shape":[9]}}',
    ],
)
def test_a_file_of_others_with_a_right_checksum_is_refused_too(tmp_path, header):
    """`header` with our checksum behind it, or in it: the file isn't damaged, and isn't ours."""
    data = header + b' "sha256":"' + b"0" * 64 + b'"'
    if header.startswith(b'{"__metadata__":{"'):
        data = header.replace(b'{"format"', b'{"sha256":"' + b"0" * 64 + b'","format"')
    data = len(data).to_bytes(8, "little") + data
    digits = hashlib.sha256(data).hexdigest().encode()
    assert_refused(tmp_path / "bad", data.replace(b"0" * 64, digits))


def test_a_link_stays_a_link_and_a_file_keeps_its_mode(tmp_path):
    """A new file has the mode that the process gives any; the temporary one's would shut out everybody else."""
    target, link = tmp_path / "there" / "file", tmp_path / "link"
    write_bytes(target, b"old")
    (tmp_path / "plain").write_bytes(b"")
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
    target.chmod(0o640)
    link.symlink_to(target)
    write_bytes(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new" and target.stat().st_mode & 0o777 == 0o640
