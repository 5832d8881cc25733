"""Laws of embeddings of scenes, animals and pairs, for one to four animals."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ssl_behavior.embedding import embed_recording, embed_store
from ssl_behavior.methods.cpc import CPC, CPCConfig
from ssl_behavior.methods.summary_prediction import SummaryPrediction, SummaryPredictionConfig
from ssl_behavior.nn import EncoderConfig, MixerConfig
from ssl_behavior.recording import Recording
from ssl_behavior.skeleton import SKELETONS
from ssl_behavior.store import write_store
from ssl_behavior.units import Actors, actors_of
from ssl_behavior.views import drawn_pairs, present_pairs, views_of
from ssl_behavior.window_statistics import SummariesConfig, WindowsConfig
from ssl_behavior.windows import WindowReader

FRAMES = 300
SKELETON = SKELETONS["calms21"]
WINDOWS = WindowsConfig(around_frames=(30,), past_frames=(30,), future_frames=(30,))
CONFIGS = {
    "cpc": (CPC, CPCConfig(encoder=EncoderConfig(latent_dim=8, embedder_dim=8, contexter_dim=8))),
    "summaries": (
        SummaryPrediction,
        SummaryPredictionConfig(
            encoder=EncoderConfig(
                directions="none",
                latent_dim=8,
                mixer=MixerConfig(view_dim=16, dim=16, windows_dim=8, windows=WINDOWS, codes=12),
            ),
            summaries=SummariesConfig(windows=WINDOWS, components=12),
            program_weight=0.0,
        ),
    ),
}


def recording(number, seed=0, exchangeable=True):
    """Mice that walk about, some points missing; the first ones are the same whatever the number."""
    mice = []
    for mouse in range(number):
        rng = np.random.default_rng([seed, mouse])
        angle = np.cumsum(rng.normal(0, 0.1, FRAMES))
        center = 500 + np.cumsum(3 * np.stack([np.cos(angle), np.sin(angle)], 1), axis=0) + 80 * mouse
        body = np.array([[40, 0], [30, 10], [30, -10], [20, 0], [-20, 10], [-20, -10], [-30, 0]], float)
        turn = np.stack([np.stack([np.cos(angle), -np.sin(angle)], 1), np.stack([np.sin(angle), np.cos(angle)], 1)], 1)
        points = center[:, None] + np.einsum("tij,kj->tki", turn, body) + rng.normal(0, 1, (FRAMES, 7, 2))
        points[rng.random((FRAMES, 7)) < 0.1] = np.nan
        mice.append(points)
    names = tuple(f"mouse{one + 1}" for one in range(number))
    skeleton = replace(SKELETON, individuals=names, exchangeable=exchangeable)
    return Recording(
        id=f"r{seed}", keypoints=np.stack(mice, 1).astype(np.float32), fps=30.0, skeleton=skeleton,
        resolution_px=(1500.0, 1500.0),
    )  # fmt: skip


def permuted(one, order):
    return replace(one, keypoints=one.keypoints[:, order])


def with_absent(one, number=1):
    """The same recording with more individuals, of whom nothing is observed."""
    nobody = np.full((FRAMES, number, 7, 2), np.nan, np.float32)
    names = (*one.individuals, *(f"absent{extra}" for extra in range(number)))
    skeleton = replace(one.skeleton, individuals=names)
    return replace(one, keypoints=np.concatenate([one.keypoints, nobody], axis=1), skeleton=skeleton, individuals=names)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    """A method fitted to two recordings of so many animals, with random weights."""
    known = {}

    def make(name, number, exchangeable=True):
        if (name, number, exchangeable) not in known:
            folder = tmp_path_factory.mktemp("store")
            store = write_store(folder / "s", [recording(number, seed, exchangeable) for seed in (1, 2)])
            kind, config = CONFIGS[name]
            torch.manual_seed(0)
            method = kind(config, store.skeleton, 30.0)
            method.fit_inputs(WindowReader([(store, row) for row in store.rows], 64))
            known[name, number, exchangeable] = method
        return known[name, number, exchangeable]

    return make


def embedded(method, one, actors=None):
    values = embed_recording(method, one, actors=actors)
    assert np.isfinite(values).all()
    return values


def close(one, other):
    np.testing.assert_allclose(one, other, rtol=0, atol=2e-5)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_unit_of_one_to_four_animals_has_an_embedding(fitted, name, number):
    method, one = fitted(name, number), recording(number)
    for unit in ("scene", "animal", "pair"):
        for actors in actors_of(unit, one.individuals):
            assert embedded(method, one, actors).shape == (FRAMES, method.embedding_dim)


@pytest.mark.parametrize("number", [2, 3, 4])
@pytest.mark.parametrize("name", CONFIGS)
def test_permuting_exchangeable_animals_permutes_rows_and_nothing_else(fitted, name, number):
    method, one = fitted(name, number), recording(number)
    order = [*range(1, number), 0]
    turned, names = permuted(one, order), one.individuals
    close(embedded(method, turned), embedded(method, one))
    for place, source in enumerate(order):
        own, before = Actors(agent=names[place]), Actors(agent=names[source])
        close(embedded(method, turned, own), embedded(method, one, before))
        other, earlier = (place + 1) % number, order[(place + 1) % number]
        pair = Actors(agent=names[place], target=names[other])
        close(embedded(method, turned, pair), embedded(method, one, Actors(agent=names[source], target=names[earlier])))


@pytest.mark.parametrize("exchangeable", [True, False])
@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("name", CONFIGS)
def test_an_absent_animal_changes_nothing(fitted, name, number, exchangeable):
    method, one = fitted(name, number, exchangeable), recording(number, exchangeable=exchangeable)
    if exchangeable or number == 1:
        more, less, names = with_absent(one, 2 if exchangeable else 0), one, one.individuals
    else:
        # Of animals that are told apart, the encoder knows one that this recording lacks.
        names = one.individuals[:-1]
        less = replace(one, keypoints=one.keypoints[:, :-1], individuals=names)
        less = replace(less, skeleton=replace(one.skeleton, individuals=names))
        more = replace(one, keypoints=np.where(np.arange(number)[:, None, None] < number - 1, one.keypoints, np.nan))
    close(embedded(method, more), embedded(method, less))
    for actors in (*actors_of("animal", names), *actors_of("pair", names)):
        close(embedded(method, more, actors), embedded(method, less, actors))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_run_of_two_embeds_one_and_three_and_the_other_way_round(fitted, name):
    for trained, other in ((2, 3), (2, 1), (3, 2), (1, 2)):
        assert embedded(fitted(name, trained), recording(other)).shape == (FRAMES, fitted(name, trained).embedding_dim)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_pair_depends_on_its_direction_and_on_no_third_animal(fitted, name):
    method, one = fitted(name, 3), recording(3)
    pair, back = (Actors(agent=a, target=b) for a, b in (("mouse1", "mouse2"), ("mouse2", "mouse1")))
    without = replace(one, keypoints=one.keypoints.copy())
    without.keypoints[:, 2] += 40
    close(embedded(method, without, pair), embedded(method, one, pair))
    assert np.abs(embedded(method, one, pair) - embedded(method, one, back)).max() > 1e-3
    animal = Actors(agent="mouse1")
    assert np.abs(embedded(method, without, animal) - embedded(method, one, animal)).max() > 1e-3


@pytest.mark.parametrize("name", CONFIGS)
def test_of_two_animals_one_among_the_others_is_its_pair(fitted, name):
    method, one = fitted(name, 2), recording(2)
    animal, pair = Actors(agent="mouse1"), Actors(agent="mouse1", target="mouse2")
    np.testing.assert_array_equal(embedded(method, one, animal), embedded(method, one, pair))


def test_a_window_of_two_animals_costs_one_view_each_and_of_four_twelve():
    numbers = [views_of(torch.ones(1, number, dtype=torch.bool)).number for number in (1, 2, 3, 4)]
    assert numbers == [1, 2, 6, 12]
    some = torch.tensor([[True, False, True, False]])
    assert views_of(some).number == 2 and views_of(some).animals == (0, 2)


def test_units_take_turns_and_are_drawn_among_present_animals():
    present = torch.tensor([[True, True, True]] * 5 + [[True, False, True]])
    assert drawn_pairs(present, ("scene",), None) is None
    for generator in (None, torch.Generator().manual_seed(0)):
        pairs = drawn_pairs(present, ("scene", "animal", "pair"), generator)
        assert torch.equal(pairs[::3], present_pairs(present)[::3])
        assert pairs[1].sum() == pairs[4].sum() == 2 and (pairs[1].any(dim=1).sum(), pairs[4].any(dim=1).sum()) == (
            1,
            1,
        )
        assert not pairs[5, 1].any() and not pairs[5, :, 1].any()
    seen = torch.stack([drawn_pairs(present[:1], ("pair",), None, first)[0] for first in range(6)])
    assert seen.sum(dim=0).tolist() == [[0, 1, 1], [1, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize("name", CONFIGS)
def test_animals_that_are_told_apart_are_matched_by_name(fitted, name, tmp_path):
    method, one = fitted(name, 2, False), recording(2, exchangeable=False)
    names = one.individuals[::-1]
    turned = replace(one, keypoints=one.keypoints[:, ::-1], individuals=names)
    turned = replace(turned, skeleton=replace(one.skeleton, individuals=names))
    for actors in (Actors(), Actors(agent="mouse1"), Actors(agent="mouse2", target="mouse1")):
        np.testing.assert_array_equal(embedded(method, turned, actors), embedded(method, one, actors))
    stored = embed_store(method, write_store(tmp_path / "s", [turned]), tmp_path / "e", "float32", unit="animal")
    for row in stored.rows:
        np.testing.assert_array_equal(stored.array[row.offset : row.offset + FRAMES], embedded(method, one, row.actors))
