"""Results over the number of labeled recordings, for some systems of the benchmark: figures and numbers."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from probe.benchmark.plan import Bench, Entry
from probe.benchmark.run import Part, TaskPlan
from probe.predictions import remembered
from probe.systems import Curve, draw_curves, label_curve
from ssl_behavior.errors import InputError
from ssl_behavior.files import write_json

__all__ = ["run_curves"]


def run_curves(
    bench: Bench,
    plan: TaskPlan,
    entries: Sequence[Entry],
    counts: Sequence[int],
    seeds: Callable[[Entry], int],
    say: Callable[[str], None],
) -> list[Path]:
    """Curves of a task's parts: a figure each under `curves`, and the numbers as JSON. Predictions are kept.

    Parameters
    ----------
    counts : numbers of labeled recordings, all there are in place of more; none = 1, 2, 4, 8 ... and all.

    Returns
    -------
    The figures.

    Raises
    ------
    InputError
        If matplotlib is not there.
    """
    figures = []
    for name, part in plan.parts.items():
        made = [_curve(bench, entry, plan, part, counts, seeds(entry), say) for entry in entries]
        curves = [curve for curve in made if curve is not None]
        if not curves:
            continue
        title = plan.name if len(plan.parts) == 1 else f"{plan.name}, {name}"
        figure = bench.folder / "curves" / f"{title.replace(', ', '-').replace(' ', '-')}.png"
        figure.parent.mkdir(parents=True, exist_ok=True)
        draw_curves(curves, figure, title)
        contents: dict[str, Any] = {"format": "ssl-behavior curves", "version": 1, "task": title}
        write_json(figure.with_suffix(".json"), contents | {"curves": [curve.to_dict() for curve in curves]})
        figures.append(figure)
    return figures


def _curve(
    bench: Bench,
    entry: Entry,
    plan: TaskPlan,
    part: Part,
    counts: Sequence[int],
    seeds: int,
    say: Callable[[str], None],
) -> Curve | None:
    """A system's curve, or None where it is not for this kind of task or cannot learn it (which is said)."""
    if plan.kind not in entry.kinds or (entry.needs_parent and bench.parent is None):
        return None
    say(f"{entry.title}: {plan.name}, over labeled recordings")
    try:
        system, problem = entry.make(bench, part.role), part.role.problem
        run = partial(remembered, bench.folder / "predictions")
        after, tried = bench.effort.after(entry.after), {min(count, len(part.split.train)) for count in counts}
        curve = label_curve(
            system, problem, part.split, part.macros, range(seeds), after, sorted(tried) or None, run=run
        )
        return replace(curve, system=entry.title)
    except InputError as error:
        say(f"{entry.title}: no curve, {error}")
        return None
