"""Quality of the default recipe's embedding under a fixed evaluation script, compared with all references.

    python benchmarks/quality_representation.py RATS_STORE --judge quick_probe.py --out DIR [--seeds 0 1 2 3 4]
        [--recipe summaries] [--steps N] [--cpc]

One encoder a seed is pretrained on the tracks of all 38 recordings, without labels; `quick_probe.py` judges its learned
columns on halves (odd against even recordings and back) and on 31-38. Beside it stand the same network untrained (its
readout fitted all the same), window means of the inputs, and principal components of windowed histograms, as they are
and rotated to equal variances; with --cpc also recipe `cpc`, learned columns alone and all but time.
Existing results are reused. The last line of stdout is one JSON object.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from quality_rats import run
from search_representation import VARIANTS, cached, columns_of, judged, load_judge, on_both_splits

from ssl_behavior.checkpoint import load_checkpoint, save_checkpoint
from ssl_behavior.store import Store
from ssl_behavior.windows import WindowReader

SCORES = ("AP2", "S1", "S2", "F1", "four", "one")
REFERENCES = {
    "window means of the inputs": "means, all columns",
    "PCA-128 of windowed histograms": "histograms, PCA",
    "PCA-128 of windowed histograms, equal variances": "histograms, PCA, equal variances",
    "the same, windows to 30 s": "histograms to 30 s, PCA, equal variances",
}


def judge_folder(folder: Path, store: Path, judge: Any, without: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """The judge's numbers of an embeddings folder on halves and on 31-38."""
    loaded = judge.load(folder, store, [], without)
    return {"columns": loaded[0].shape[1], **on_both_splits(judge, loaded)}


def untrained(trained: Path, out: Path, store: Path, seed: int) -> Path:
    """A checkpoint of the same network with new weights, fitted inputs kept and the readout fitted."""
    if not out.exists():
        method = load_checkpoint(trained).fresh(seed)
        opened = Store(store)
        method.finish(WindowReader([(opened, row) for row in opened.rows], 1))
        save_checkpoint(out, method.eval())
    return out


def kept(file: Path, make: Any) -> dict[str, Any]:
    """What `make` gave, made once."""
    if not file.exists():
        file.write_text(json.dumps(make()), encoding="utf-8")
    return json.loads(file.read_text(encoding="utf-8"))


def encoder_rows(options: argparse.Namespace, judge: Any, recipe: str, sides: dict[str, tuple[str, ...]],
                 fresh: bool) -> dict[str, list[dict[str, Any]]]:  # fmt: skip
    """Name of a row -> the judge's numbers of each seed."""
    rows: dict[str, list[dict[str, Any]]] = {}
    steps = ["--steps", options.steps] if options.steps else []
    for seed in options.seeds:
        trained = options.out / f"{recipe}-{seed}"
        run("pretrain", options.store, "--out", trained, "--recipe", recipe, "--seed", seed, "--validation-share", 0,
            "--resume", *steps)  # fmt: skip
        models = {recipe: trained}
        if fresh:
            models[f"{recipe}, untrained"] = untrained(
                trained, options.out / f"{recipe}-{seed}-fresh", options.store, seed
            )
        for name, model in models.items():
            for side, without in sides.items():
                file = options.out / f"{model.name}{side.replace(' ', '-')}.json"
                embeddings = options.out / f"{model.name}-embeddings"
                if not file.exists() and not embeddings.exists():
                    run("embed", model, options.store, "--out", embeddings)
                found = kept(file, lambda e=embeddings, w=without: judge_folder(e, options.store, judge, w))
                rows.setdefault(name + side, []).append(found)
            shutil.rmtree(options.out / f"{model.name}-embeddings", ignore_errors=True)
    return rows


def table(rows: dict[str, list[dict[str, Any]]]) -> str:
    """Markdown: mean +- population standard deviation over seeds, halves | 31-38."""
    lines = ["| representation | columns | " + " | ".join(SCORES) + " |", "|---" * (len(SCORES) + 2) + "|"]
    for name, found in rows.items():
        cells = []
        for score in SCORES:
            sides = (np.array([one[side][score] for one in found]) for side in ("halves", "later"))
            cells.append(" \\| ".join(f"{v.mean():.3f}" + (f" ± {v.std():.3f}" if len(v) > 1 else "") for v in sides))
        lines.append(f"| {name} | {found[0]['columns']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--recipe", default="summaries")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--cpc", action="store_true", help="recipe cpc, too, of the first seed")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    judge, store = load_judge(options.judge), Store(options.store)
    rows = encoder_rows(options, judge, options.recipe, {"": ()}, fresh=True)
    cache = cached(store, options.out)
    for name, variant in REFERENCES.items():
        file = options.out / f"reference-{variant.replace(' ', '-')}.json"

        def make(variant: str = variant, file: Path = file) -> dict[str, Any]:
            columns, _, _ = columns_of(VARIANTS[variant], variant, cache, 0, 0)
            return {"columns": columns[0].shape[1], **judged(columns, store, judge, file.with_suffix(".npy"))}

        rows[name] = [kept(file, make)]
    if options.cpc:
        options.seeds, options.steps = options.seeds[:1], None
        sides = {", learned": ("features_*", "time"), ", all but time": ("time",)}
        rows |= encoder_rows(options, judge, "cpc", sides, fresh=False)
    print(table(rows))
    print(json.dumps({"benchmark": "quality_representation", "recipe": options.recipe, "rows": rows}))


if __name__ == "__main__":
    main()
