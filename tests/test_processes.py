"""Two processes that train together are one run. They are real: torchrun starts them, gloo carries the gradients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import ddpm_teach as dt
from ddpm_teach.training.distributed import ALONE, Processes
from tests.small_runs import assert_same, new_run, snapshot

HERE = Path(__file__).parent


def short_run(processes: Processes, steps: int = 50) -> dict:
    """LayerNormUNet on sprites in grey, cut to 12×12: the losses, and the size of the averaged weights at the end."""
    torch.manual_seed(0)
    sprites = dt.load("sprites", "test")
    grey = dt.ImageSet(sprites.images[:, :1, 2:14, 2:14].contiguous(), sprites.labels, sprites.classes)
    options = dt.RunOptions(steps=steps, batch_size=16, precision="float32")
    state = dt.TrainState.create(dt.LayerNormUNet((1, 12, 12)), dt.linear(), options, grey.classes)
    losses = [log.loss.item() for log in dt.train(state, grey, processes)]
    return {"losses": losses, "weights": [weight.norm().item() for weight in state.ema.module.parameters()]}


def torchrun(*command: str, folder: Path) -> subprocess.CompletedProcess:
    """Two processes on this machine, a thread each, that meet over the loopback address."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_addr", "127.0.0.1"]
    launcher += ["--master_port", "0", "--rdzv_backend", "c10d", "--rdzv_endpoint", "127.0.0.1:0"]
    return subprocess.run([*launcher, *command], cwd=folder, env=env, capture_output=True, text=True, timeout=300)


def test_two_processes_follow_the_loss_curve_of_one(tmp_path):
    run = torchrun(str(Path(__file__).resolve()), str(tmp_path / "losses"), folder=tmp_path)
    assert run.returncode == 0, run.stderr
    first, second = (json.loads((tmp_path / f"losses-{rank}.json").read_text()) for rank in (0, 1))
    assert first == second  # both end with the same network
    alone = short_run(ALONE)
    assert alone["losses"][-1] < 0.9 * alone["losses"][0]  # it did learn
    assert first["losses"] == pytest.approx(alone["losses"], rel=1e-4)
    assert first["weights"] == pytest.approx(alone["weights"], rel=1e-3)  # Adam doubles what rounding leaves


def test_launchers_start_two_processes_that_write_one_run_and_go_on_with_it(tmp_path):
    """torchrun; accelerate's own launcher, which takes one process without a GPU; and its launcher for notebooks."""
    options = ["train", "sprites", "--budget", "cpu-minutes", "--batch-size", "2", "--out", "run"]
    run = torchrun("-m", "ddpm_teach", *options, "--steps", "2", folder=tmp_path)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("2 of 2 steps") == 1
    assert (tmp_path / "run" / "losses.csv").read_text().splitlines()[-1].startswith("2,")

    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--cpu", "--num_processes", "1", "-m"]
    command = [*launcher, "ddpm_teach", *options, "--resume", "--steps", "3"]
    resumed = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert resumed.returncode == 0 and "3 of 3 steps" in resumed.stdout, resumed.stderr

    # One process after the other: notebook_launcher takes one without a GPU, debug_launcher forks two in the same way.
    cell = (
        "from accelerate import debug_launcher, notebook_launcher\n"
        "from ddpm_teach.cli import main\n"
        f"options = {[*options, '--resume', '--steps']}\n"
        "notebook_launcher(main, ([*options, '4'],), num_processes=1)\n"
        "debug_launcher(main, ([*options, '5'],), num_processes=2)\n"
    )
    run = subprocess.run([sys.executable, "-c", cell], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("4 of 4 steps") == run.stdout.count("5 of 5 steps") == 1


def test_each_process_takes_its_own_share_of_every_batch():
    class Fake:
        num_processes = 3

        def __init__(self, rank):
            self.process_index = rank

    batch = torch.arange(12)
    shares = [Processes(Fake(rank)).share(batch) for rank in range(3)]
    assert all(len(share) == 4 for share in shares)
    assert sorted(torch.cat(shares).tolist()) == batch.tolist()


def test_a_batch_that_cannot_be_shared_is_refused_at_the_call(toy_images):
    class Fake:
        num_processes, process_index = 3, 0

    state = new_run()
    before = snapshot(state)
    with pytest.raises(ValueError, match="^batch_size: expected a multiple of the 3 processes, got 8"):
        dt.train(state, toy_images, Processes(Fake()))
    assert_same(snapshot(state), before)


def test_a_network_is_wrapped_once_however_often_it_trains(toy_images):
    """The accelerator keeps every wrapper alive."""

    class Fake:
        num_processes, process_index, wrappers = 1, 0, []

        def prepare_model(self, net):
            self.wrappers.append(net)
            return net

        def reduce(self, value, how):
            return value

        device = torch.device("cpu")

    processes, state = Processes(Fake()), new_run()
    for _ in range(3):
        next(dt.train(state, toy_images, processes))
    assert len(Fake.wrappers) == 1


def test_alone_nothing_is_wrapped_or_waited_for():
    net = dt.LayerNormUNet((1, 12, 12))
    assert Processes.launched().count == 1 and ALONE.wrapped(net) is net
    assert ALONE.any(True) and not ALONE.any(False)
    assert ALONE.first(7) == 7 and ALONE.share(torch.arange(3)).tolist() == [0, 1, 2]
    ALONE.wait()


if __name__ == "__main__":
    both = Processes.launched()
    assert both.count == 2
    torch.set_num_threads(1)
    Path(f"{sys.argv[1]}-{both.rank}.json").write_text(json.dumps(short_run(both)))
    both.leave()
