"""The page that draws, without a browser: its network is held to the original, and nothing is missing in it."""

import base64
import gzip
import json
import re
import shutil

import numpy as np
import pytest
import torch

from ddpm_teach import AttentionUNet, ContextUNet, Model, linear, load, load_model
from ddpm_teach.cli import main
from ddpm_teach.course.page import build, build_page
from ddpm_teach.data.attributes import rows
from ddpm_teach.model_files import load_weights, save_weights
from ddpm_teach.storage import course_path


@pytest.fixture(scope="module")
def page():
    return build_page()


def part(page, name):
    return re.search(rf'<script[^>]* id="{name}">\n(.*?)</script>', page, re.S)[1]


def unpacked(text):
    return gzip.decompress(base64.b64decode(text))


def session(graph, weights, folder):
    """A runtime with both files, as the page gives them to its own."""
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime (a development tool) is missing")
    shutil.copy(weights, folder)
    (folder / "network.onnx").write_bytes(graph)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 1
    return runtime.InferenceSession(folder / "network.onnx", options, providers=["CPUExecutionProvider"])


def difference(model, network, b, rng):
    """The largest, between the two networks' predictions for b pictures."""
    x, t = (
        torch.randn(b, *model.image_shape, generator=rng),
        torch.randint(1, model.schedule.T + 1, (b,), generator=rng),
    )
    c = (torch.rand(b, model.context_dim, generator=rng) < 0.1).float()
    (v,) = network.run(None, {"x": x.numpy(), "t": t.numpy(), "c": c.numpy()})
    with torch.no_grad():
        return (model.net(x, t, c) - torch.from_numpy(v)).abs().max().item()


def test_the_graph_in_the_page_predicts_what_the_network_does(page, tmp_path):
    model, rng = load_model("sprites"), torch.Generator().manual_seed(0)
    (tmp_path / "files").mkdir()
    weights = tmp_path / build.WEIGHTS
    weights.write_bytes(unpacked(part(page, "weights")))
    network = session(unpacked(part(page, "graph")), weights, tmp_path / "files")
    for b in (1, 2, 5):
        assert difference(model, network, b, rng) <= 1e-4


@pytest.mark.parametrize(
    "net",
    [
        lambda: AttentionUNet(3, (8, 16, 16, 16, 24, 24), (4,), 8, heads=2, groups=4, dropout=0.5, context_dim=7, T=50),
        lambda: ContextUNet(1, 8, 7, 16, T=50),
    ],
    ids=["AttentionUNet", "ContextUNet"],
)
def test_any_network_of_contexts_is_exported_with_its_weights_left_where_they_are(net, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript (a development tool) is missing")
    from ddpm_teach.course.page.export import export_onnx

    torch.manual_seed(0)
    net = net()
    for weight in net.parameters():  # no layer is zero, as the last ones are at first
        torch.nn.init.normal_(weight, std=0.2)
    save_weights(path := tmp_path / "net.safetensors", Model(net, linear(50), "v", tuple("abcdefg")))
    model, rng = load_weights(path), torch.Generator().manual_seed(0)
    graph = export_onnx(model, path)
    (tmp_path / "files").mkdir()
    network = session(graph, path, tmp_path / "files")
    for b in (1, 3):
        assert difference(model, network, b, rng) <= 1e-3
    for weight in net.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    save_weights(path, Model(net, linear(50), "v", tuple("abcdefg")))
    (tmp_path / "others").mkdir()
    assert difference(model, session(graph, path, tmp_path / "others"), 2, rng) > 0.01


def test_the_page_is_one_file_of_16_megabytes_at_most_with_every_training_pictures_words(page):
    assert len(page.encode()) <= 16_000_000
    assert not re.search(r'(src|href)="(?!data:)', page) and "http" not in part(page, "sampler")
    data, model, images = json.loads(part(page, "data")), load_model("sprites"), load("sprites")
    assert data["alphaBar"] == model.schedule.alpha_bar.tolist() and tuple(data["shape"]) == model.image_shape
    table = np.frombuffer(unpacked(part(page, "records")), np.uint8).reshape(1 + len(model.attributes), -1)
    assert (table[0] == images.labels.numpy()).all() and tuple(data["classes"]) == model.classes
    words = {
        name: np.array(["none", *data["attributes"][name]])[row]
        for name, row in zip(model.attributes, table[1:], strict=True)
    }
    assert torch.equal(rows(words, model.attributes), rows(images.attributes, model.attributes))
    licence = course_path("data/page/LICENSE").read_text("utf-8")
    assert licence in page and b"protobuf" in unpacked(part(page, "notices-text"))


def test_the_command_writes_a_page_and_overwrites_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ddpm_teach.cli.page.build_page", lambda: "<p>a page</p>")
    out = tmp_path / "sprites.html"
    assert main(["page", str(out)]) == 0 and out.read_text() == "<p>a page</p>"
    out.write_text("mine")
    for name, words in [("sprites.html", "exists already"), ("sprites.png", ".html"), ("", "is a folder")]:
        assert main(["page", str(tmp_path / name)]) == 2
        assert words in capsys.readouterr().err
    assert out.read_text() == "mine" and list(tmp_path.iterdir()) == [out]
