"""`ddpm-teach evaluate`: how good a model's samples are, and whether they show what words ask for. Lessons 10, 13."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict

from ddpm_teach.checks import check_int
from ddpm_teach.cli.options import (
    add_device,
    add_sampler,
    announcement,
    check_output,
    device_named,
    file_name,
    file_path,
    sampler_for,
    sampler_of,
    whole,
)
from ddpm_teach.data.sets import load
from ddpm_teach.evaluation.evaluate import PARTS, evaluate, judge_of
from ddpm_teach.evaluation.maps import nouns_in_boxes
from ddpm_teach.evaluation.metrics import CLASSIFIERS
from ddpm_teach.evaluation.reading import load_reader
from ddpm_teach.evaluation.scenes import evaluate_scenes
from ddpm_teach.model import Model
from ddpm_teach.model_files import NAMES, load_model
from ddpm_teach.sampler import Sampler
from ddpm_teach.storage import write_bytes

MOST = 1_000_000  # samples: more say nothing new, and take days
EPILOG = """examples:
  ddpm-teach evaluate sprites
  ddpm-teach evaluate runs/mnist32/best.pt --sampler heun --steps 25 --n 10000"""


def add_options(command: argparse.ArgumentParser) -> None:
    """What is judged, and how it draws."""
    command.epilog = EPILOG
    judged = " and ".join(CLASSIFIERS)
    text = f"{', '.join(NAMES)}, a weights file, or a checkpoint; of pictures and classes like those of {judged}"
    command.add_argument("weights", type=file_name, metavar="WEIGHTS", help=f"{text}, for which there is a judge")
    add_sampler(command)
    command.add_argument("--n", type=whole, metavar="N", default=2000, help="samples (default: %(default)s)")
    add_device(command)
    command.add_argument(
        "--json", type=file_path, metavar="FILE", help="write all measures there, with their errors, floors, ceilings"
    )


def run(args: argparse.Namespace) -> int:
    """Samples, and prints how far from real pictures they are, how many are as asked for, and the seconds."""
    check_int("n", args.n, PARTS, MOST)
    if args.json:
        check_output("--json", args.json)
    sampler, device = sampler_of(args), device_named(args.device)
    model = load_model(args.weights, device)
    if model.tokenizer is not None:
        return _of_scenes(model, sampler_for(model, sampler, args), args)
    sampler = sampler_for(model, sampler, args)
    load(judge_of(model).dataset, "test")  # what is missing is told now
    print(announcement(model, sampler, device), flush=True)
    result = evaluate(model, sampler, args.n, args.seed)
    print(f"{args.weights}, {sampler.kind}, {sampler.steps} steps, {result.n} samples")
    print(f"Fréchet distance  {result.frechet}   (training pictures in their place: {result.floor})")
    if result.accuracy is not None:
        print(f"class accuracy    {result.accuracy.value:.1%} ± {result.accuracy.error:.1%}")
    for name, (samples, real) in result.named.items():
        print(f"{name:17} {samples.value:.1%} ± {samples.error:.1%} as asked   (of real pictures: {real:.1%})")
    for name, (samples, real) in result.looks.items():
        print(f"{name:17} {samples}   (real pictures: {real:.3g})")
    print(f"seconds           {result.seconds:.3f} a sample")
    _keep(args, {**asdict(sampler), **result.record()})
    return 0


def _of_scenes(model: Model, sampler: Sampler, args: argparse.Namespace) -> int:
    """Has captions drawn, and prints how much of what they ask for is there."""
    print(announcement(model, sampler, model.device), flush=True)
    reader, tuned, how = load_reader(), model.tuned(sampler.precision), asdict(sampler)
    result = evaluate_scenes(lambda captions, seed: tuned.draw(captions, seed=seed, **how), reader, args.n, args.seed)
    if not model.net.config.get("pooled"):  # which sees one word, the mean of all
        result = result._replace(maps=nouns_in_boxes(model, args.n, args.seed))
    print(f"{args.weights}, {sampler.kind}, {sampler.steps} steps, {result.n} captions", *result.lines(), sep="\n")
    _keep(args, {**how, **result.record()})
    return 0


def _keep(args: argparse.Namespace, measures: dict) -> None:
    """Writes --json, if it is asked for."""
    if args.json:
        how = {"weights": args.weights, "seed": args.seed}
        write_bytes(args.json, json.dumps(how | measures, indent=1, ensure_ascii=False).encode())
        print(f"{args.json}: all of this")
