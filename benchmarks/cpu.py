"""Epoch times of the engine beside the plain reference, in one run, on the same data and state.

    python benchmarks/cpu.py                       # 60,000 images, every layer and model
    python benchmarks/cpu.py --images 6000 --warm-up 10 --epochs 3 --reference-epochs 1
    python benchmarks/cpu.py --models FF --weights run/weights.safetensors   # from a trained net

Images are MNIST's where `FFENSEMBLES_DATA` names a folder that has them, else random ones of the
same density. A layer is warmed up by some epochs of the engine (or starts from the given
weights), so that both are timed in a state that training really is in. The share of the peak says
how many multiply-adds of the *plain* algorithm the engine gets through per second, over the
processor's measured float32 peak: above 100 % it does less than the plain algorithm would.
"""

import argparse
import resource
from pathlib import Path

import torch
from common import (
    PROTOCOLS,
    images,
    layers_of,
    product_peak,
    products,
    stacked_weights,
    task,
    timed,
)
from safetensors.torch import load_file

from ffensembles.engine.stages import open_stage, stage_kind
from ffensembles.models.plain import PlainStage
from ffensembles.training import devices

CPU = torch.device("cpu")


def main() -> None:
    """Time everything and print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--warm-up", type=int, default=40)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--reference-epochs", type=int, default=2)
    parser.add_argument("--weights", type=Path, help="a trained run's weights.safetensors")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="sigmoid-linf")
    parser.add_argument("--models", nargs="+", default=["FF", "BPFF", "BP"])
    options = parser.parse_args()
    if options.weights and len(options.models) > 1:
        parser.error("--weights: name the model of these weights with --models")
    devices.choose("cpu", options.threads)
    kind, pixels, labels = images(options.images)
    top = product_peak(CPU, 2048)
    print(f"{len(labels)} {kind} images, {devices.describe(CPU)}")
    print(f"peak of the float32 matrix product: {2 * top / 1e9:.0f} GFLOP/s\n")
    print("| model | layer | engine | engine s/epoch | plain s/epoch | ratio | share of peak |")
    print("|---|---|---|---|---|---|---|")
    for model in options.models:
        recipe = PROTOCOLS[options.protocol][model]
        run = task(recipe, pixels, labels, CPU)
        weights = stacked_weights([run])
        if options.weights:
            weights = {name: w[None].clone() for name, w in load_file(options.weights).items()}
        fasts, plains = [], []
        for layer in layers_of(recipe):
            kind_ = stage_kind(run, "fast")
            stage = open_stage(kind_, [run], weights, layer, block_size=2048)
            for index in range(options.warm_up if recipe.batch_size is None else 1):
                stage.epoch(index)
            fasts.append(timed(stage.epoch, options.epochs, options.warm_up, CPU))
            del stage
            own = {key: w[0].clone() for key, w in weights.items()}
            plain = PlainStage(run, own, layer)
            plains.append(timed(plain.epoch, options.reference_epochs, 0, CPU))
            del plain, own
            share = products(recipe, layer, len(labels)) / fasts[-1] / top
            name = layer or "all"
            row(model, name, kind_.__name__, fasts[-1], plains[-1], f"{share:.0%}")
        if len(fasts) > 1:
            row(model, "together", "", sum(fasts), sum(plains), "")
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    print(f"\npeak memory of this process, reference included: {used:.2f} GB")


def row(model: str, layer: object, kind: str, fast: float, plain: float, share: str) -> None:
    """Print a row of the table."""
    ratio = plain / fast
    print(f"| {model} | {layer} | {kind} | {fast:.3f} | {plain:.3f} | {ratio:.1f} | {share} |",
          flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
