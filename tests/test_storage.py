"""Files: whole or not there, every kind of damage noticed, nothing in them ever run."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import pytest
import torch

from ddpm_teach import storage
from ddpm_teach.diffusion.schedule import linear
from ddpm_teach.model import Model, load_model, load_weights, save_weights
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
    import hashlib
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
