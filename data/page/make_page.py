"""Makes the files in this folder, which `ddpm-teach page` packs into a page. It needs npm, and the developers' tools.

    python make_page.py           # all of them
    python make_page.py network   # the network alone, after data/weights/sprites.safetensors has changed

sprites.onnx.gz             the network's graph, made from the package; its weights are in data/weights
runtime.mjs.gz, .wasm.gz    onnxruntime-web's smallest build: WebAssembly on the CPU
LICENSE, NOTICES.gz         the runtime's licence, and those of what is in it
"""

from __future__ import annotations

import gzip
import subprocess
import sys
import tarfile
import tempfile
from importlib import metadata
from pathlib import Path

from ddpm_teach import load_model
from ddpm_teach.course.page.export import export_onnx

HERE = Path(__file__).parent
RUNTIME = "onnxruntime-web@1.30.0"
BUILD = {"runtime.mjs": "ort.wasm.bundle.min.mjs", "runtime.wasm": "ort-wasm-simd-threaded.wasm"}


def write(name: str, data: bytes) -> None:
    """Packed, the same bytes for the same data."""
    (HERE / f"{name}.gz").write_bytes(packed := gzip.compress(data, 9, mtime=0))
    print(f"{name}: {len(data):,} bytes, {len(packed):,} packed")


def make_network() -> None:
    """The graph of the sprites' network."""
    write("sprites.onnx", export_onnx(load_model("sprites"), HERE.parent / "weights" / "sprites.safetensors"))


def make_runtime() -> None:
    """The files of the npm package; its licence is in the Python package of the same project."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", RUNTIME], cwd=folder, check=True)
        (archive,) = Path(folder).glob("*.tgz")
        with tarfile.open(archive) as files:
            for name, source in BUILD.items():
                write(name, files.extractfile(f"package/dist/{source}").read())
    licences = Path(metadata.distribution("onnxruntime").locate_file("onnxruntime"))
    (HERE / "LICENSE").write_bytes((licences / "LICENSE").read_bytes())
    write("NOTICES", (licences / "ThirdPartyNotices.txt").read_bytes())


if __name__ == "__main__":
    if sys.argv[1:] != ["network"]:
        make_runtime()
    make_network()
