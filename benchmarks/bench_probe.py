"""Speed of the linear probe, compared with the time to read the data twice, the minimum of every step.

python benchmarks/bench_probe.py [--frames 430000] [--dim 600] [--classes 4]
"""

import argparse
import json
import time

import torch

from ssl_behavior.logistic import Design, fit_head
from ssl_behavior.seeds import torch_generator

PENALTIES = (0.1, 0.03, 0.01, 1e-3)


def labeled_clouds(frames: int, dim: int, classes: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Correlated, standardized embeddings with labels that a linear probe predicts in part; later classes are rarer."""
    generator = torch_generator(0, "bench")
    mixing = torch.randn(dim, dim, generator=generator) / dim**0.5
    embedded = torch.randn(frames, dim, generator=generator) @ mixing
    embedded.sub_(embedded.mean(0)).div_(embedded.std(0))
    scores = embedded[:, :classes] + torch.randn(frames, classes, generator=generator)
    label = (scores - 0.7 * torch.arange(classes)).argmax(1)
    return embedded, torch.nn.functional.one_hot(label, classes).to(torch.int8)


def seconds_per_pass(embedded: torch.Tensor, classes: int) -> float:
    """The two products of a step and nothing else: the best of five."""
    weights, best = torch.randn(classes, embedded.shape[1]), float("inf")
    for _ in range(5):
        start = time.perf_counter()
        logits = weights @ embedded.T
        _ = logits @ embedded
        best = min(best, time.perf_counter() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=430_000)
    parser.add_argument("--dim", type=int, default=600)
    parser.add_argument("--classes", type=int, default=4)
    options = parser.parse_args()
    embedded, target = labeled_clouds(options.frames, options.dim, options.classes)
    pass_seconds = seconds_per_pass(embedded, options.classes)
    start = time.perf_counter()
    design = Design(embedded, target, "multinomial", balanced=False)
    design_seconds = time.perf_counter() - start
    evaluations = 0
    original = design.loss_and_gradient

    def counted(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        nonlocal evaluations
        evaluations += 1
        return original(logits)

    design.loss_and_gradient = counted  # type: ignore[method-assign]
    start, head = time.perf_counter(), None
    for penalty in PENALTIES:
        head = fit_head(design, penalty, head)
    fit_seconds = time.perf_counter() - start
    pass_seconds = min(pass_seconds, seconds_per_pass(embedded, options.classes))
    print(json.dumps({
        "benchmark": "probe", "frames": options.frames, "dim": options.dim, "classes": options.classes,
        "threads": torch.get_num_threads(), "torch": torch.__version__,
        "design_seconds": round(design_seconds, 2), "path_seconds": round(fit_seconds, 2), "penalties": len(PENALTIES),
        "evaluations": evaluations, "seconds_per_evaluation": round(fit_seconds / evaluations, 4),
        "ceiling_seconds_per_evaluation": round(pass_seconds, 4),
        "share_of_ceiling": round(pass_seconds * evaluations / fit_seconds, 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
