"""Messages of the library, which name arguments in backticks, as the command line shows them: with options."""

import pytest

from ssl_behavior.cli import main
from ssl_behavior.store import write_store
from tests.probe.conftest import make_recording


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a labeled store, a file, a folder of other contents, and a file of programs."""
    folder = tmp_path_factory.mktemp("place")
    subsets = ("train", "train", "test")
    write_store(folder / "store", [make_recording(f"r{n}", 151 + n, subset=subset) for n, subset in enumerate(subsets)])
    (folder / "file").write_text("")
    (folder / "other").mkdir()
    (folder / "other" / "thesis.txt").write_text("years of work")
    (folder / "mine.py").write_text("")
    (folder / "embeddings").mkdir()
    (folder / "embeddings" / "embeddings.json").write_text("{}")
    return folder


PRETRAIN = "pretrain {0}/store --device cpu --steps 1"
PROBE = "probe {0}/run {0}/store"
BENCHMARK = "benchmark store {0}/store --task behavior --device cpu"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (f"{PRETRAIN} --out {{0}}/other", "exists and is not a run: choose another --out"),
        (f"{PRETRAIN} --out {{0}}/new --labeled r0", "--labeled (which a split sets, too) and --streams: this recipe"),
        (f"{PRETRAIN} --out {{0}}/new --recipe cpc --programs {{0}}/mine.py", "--programs: this recipe learns from no"),
        (f"{PRETRAIN} --out {{0}}/new --recipe cpc --programs {{0}}/mine.py", "choose another --recipe, e.g. cpc_prog"),
        (
            f"{PRETRAIN} --out {{0}}/new --recipe joint --method.labels.balanced true --data.sampling.rare_share 0.5",
            "choose one, --method.labels.balanced false or --data.sampling.rare_share 0",
        ),
        (
            f"{PROBE} --out {{0}}/file --task behavior --overwrite",
            "which --overwrite does not replace: choose another --out",
        ),
        (f"{PROBE} --out {{0}}/new --task S9", "--task S9: {0}/store has no such label stream"),
        (f"{PROBE} --out {{0}}/new --task behavior --background rest", "--background rest: the task 'behavior' has"),
        (f"{PROBE} --out {{0}}/new --task behavior --macro attack,rest", "--macro attack,rest: ['rest'] are not"),
        (f"{PROBE} --out {{0}}/new --task behavior --macro mount,mount", "--macro mount,mount: a class is named twice"),
        (f"{PROBE} --out {{0}}/new --task behavior --macro=", "--macro: [''] are not classes"),
        (f"{BENCHMARK} --out {{0}}/file", "is a file, not a folder; choose another --out"),
        (f"{BENCHMARK} --out {{0}}/other", "exists and holds no benchmark; choose another --out"),
        (f"{BENCHMARK} --out {{0}}/new --effort minute", "--effort minute: did you mean minutes?"),
        (f"{BENCHMARK} --out {{0}}/new --systems conv2d", "--systems: there is no system 'conv2d'"),
        (f"{BENCHMARK} --out {{0}}/new --curves conv2d", "--curves: there is no system 'conv2d'"),
        (f"{BENCHMARK} --out {{0}}/new --seeds 2,conv2d=1", "--seeds: there is no system 'conv2d'"),
        (f"{BENCHMARK} --out {{0}}/new --pretrained rpc=run", "--pretrained names rpc: the encoders of this benchmark"),
        (f"{BENCHMARK} --out {{0}}/new --new-task behavior", "is given in --task and in --new-task; give it in one"),
        (f"{BENCHMARK} --out {{0}}/new --macro S9=all", "--macro names S9: --task and --new-task have no task of that"),
        ("annotate {0}/embeddings {0}/store --out {0}/new", "no labels: give a probe of them (--probe)"),
    ],
)
def test_messages_show_the_options_of_the_command(place, capsys, words, message):
    assert main([word.format(place) for word in words.split()]) == 2
    error = capsys.readouterr().err
    assert message.format(place) in error and "`" not in error
    assert not (place / "new").exists()
