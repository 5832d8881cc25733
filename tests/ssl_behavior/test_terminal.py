import io
import re

import pytest
from rich.console import Console

from ssl_behavior.terminal import clock_text, make_table, progress_bars


def console_of(width=80, terminal=False):
    return Console(file=io.StringIO(), width=width, force_terminal=terminal, color_system=None)


def test_table_keeps_every_cell_and_brackets_at_any_width():
    rows = [["a[red]recording[/red]", "0.634 ± 0.002", "12,345"], ["b", "-", "7"]]
    for width in (24, 80):
        console = console_of(width)
        console.print(make_table(["recording", "average precision", "frames"], rows, "scores [S1]"))
        printed = "".join(console.file.getvalue().split())
        assert "…" not in printed
        for words in ("[S1]", "0.634", "0.002"):
            assert words in printed


def test_numbers_are_aligned_right_and_text_left():
    console = console_of()
    console.print(make_table(["n", "what"], [["1", "a"], ["100", "bc"]], text=["what"]))
    first, second = console.file.getvalue().splitlines()[-3:-1]
    assert first.startswith("   1  a ") and second.startswith(" 100  bc ")


def test_table_without_headings_has_no_heading_row():
    console = console_of()
    console.print(make_table(("", ""), [("frames", "7")], text=("",)))
    assert console.file.getvalue().split() == ["frames", "7"]


@pytest.mark.parametrize("transient", [False, True])
def test_bar_of_each_stage_reaches_its_end(transient):
    console = console_of()
    with progress_bars(console, transient) as progress:
        progress("fitting", 0, 0)
        for _ in range(4):
            progress("embedding", 25, 100)
    printed = console.file.getvalue()
    if transient:
        assert printed == ""
    else:
        assert [line.split()[0] for line in printed.splitlines()] == ["fitting", "embedding"]
        assert printed.count("100 %") == 2


def test_finished_transient_stage_may_begin_again():
    console = console_of(terminal=True)
    with progress_bars(console, transient=True) as progress:
        for _ in range(2):
            progress("embedding", 50, 100)
            progress("embedding", 50, 100)
        progress("probing", 1, 4)
    *_, last = re.findall(r"(embedding|probing) ", console.file.getvalue())
    assert last == "probing"


@pytest.mark.parametrize(
    ("seconds", "digits", "text"),
    [(0, 0, "0:00"), (59.6, 0, "1:00"), (3599.6, 0, "1:00:00"), (125, 0, "2:05"), (3599.96, 1, "1:00:00.0")],
)
def test_clocks_round_without_sixty_seconds(seconds, digits, text):
    assert clock_text(seconds, digits) == text
