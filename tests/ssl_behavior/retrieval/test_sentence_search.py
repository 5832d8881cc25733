"""Search for sentences: bouts are those of the programs on whole recordings, and are spread over recordings."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import ssl_behavior as sb
from ssl_behavior.embeddings_folder import EmbeddingRow
from ssl_behavior.errors import InputError
from ssl_behavior.programs import ProgramsConfig, ProgramSet, recording_blocks
from ssl_behavior.programs.recording_blocks import pairs_of_actors
from ssl_behavior.recording import Recording
from ssl_behavior.retrieval import SentenceSearch, find_bouts, sentence_search, signals
from ssl_behavior.store import write_store
from ssl_behavior.units import Actors, actors_of
from ssl_behavior.windows import WindowReader

TWICE = '''
from ssl_behavior.programs import program

@program(units="length/s", invariant="translation rotation reflection", each_animal=True)
def hurry(pose):
    """Twice the speed."""
    return 2 * pose.own.speed
'''


@pytest.fixture(scope="module")
def cages(dyad, tmp_path_factory):
    """Make a store of groups; the second recording lacks the last animal, and is lost for a while in the others."""

    def make(number=2, exchangeable=False, px_per_cm=10.0, frames=(1013, 611), fps=30.0):
        recordings = []
        for place, long in enumerate(frames):
            parts = [dyad("a", long, seed=10 * place + n, missing=0.05) for n in range(2)]
            keypoints = np.concatenate([part.keypoints for part in parts], axis=1)[:, :number].copy()
            keypoints[400:590] = np.nan
            if number > 2 and place == 1:
                keypoints[:, -1] = np.nan
            names = ("m1", "m2", "m3", "m4")[:number]
            skeleton = replace(parts[0].skeleton, individuals=names, exchangeable=exchangeable)
            recordings.append(
                Recording(id=f"c{place}", keypoints=keypoints, fps=fps, skeleton=skeleton, px_per_cm=px_per_cm)
            )
        return write_store(tmp_path_factory.mktemp("cages") / "store", recordings)

    return make


@pytest.fixture(scope="module")
def many(dyad, tmp_path_factory):
    """Twenty recordings of one store, of different lengths."""
    recordings = [dyad(f"r{n:02d}", 300 + n, seed=n) for n in range(20)]
    return write_store(tmp_path_factory.mktemp("many") / "store", recordings)


def measured(store, pick, actors, unit, others="nearest", exchangeable=None):
    """Attribute -> values of a row, by a set fitted to the whole store, on the whole recording at once."""
    skeleton = replace(store.skeleton, individuals=store.individuals)
    if exchangeable is not None:
        skeleton = replace(skeleton, exchangeable=exchangeable)
    reader = WindowReader([(store, row) for row in store.rows], 1)
    programs = ProgramSet(replace(ProgramsConfig(), others=others), skeleton, store.rows[0].fps, unit)
    programs.choose_unit(reader)
    programs.fit_body_length(reader)
    batch = reader.read([(pick, 0, store.rows[pick].frames)])
    values = programs.measure(batch, pairs_of_actors(batch.present, store.individuals, actors))[0]
    return dict(zip(programs.names, values.double().T.numpy(), strict=True))


def runs_of(mask, fewest=6, gap=6):
    """Bouts by going through the frames."""
    bouts = []
    for frame in np.flatnonzero(mask).tolist():
        if bouts and frame - bouts[-1][1] <= gap:
            bouts[-1][1] = frame + 1
        else:
            bouts.append([frame, frame + 1])
    return [(start, stop) for start, stop in bouts if stop - start >= fewest]


def spans(found, row):
    return sorted((bout.start, bout.stop) for bout in found if bout.recording == row)


def test_bouts_of_scenes_are_those_of_the_programs(cages):
    store = cages()
    found = find_bouts(store, "(following > .1 or speed.m2 > 3 cm/s) and not body_gap < 20 px", None, verbose=False)
    total = 0
    for pick, row in enumerate(store.rows):
        values = measured(store, pick, Actors(), "scene")
        any_follows = np.fmax(values["following.m1"], values["following.m2"]) > 0.1
        bouts = runs_of((any_follows | (values["speed.m2"] > 3)) & (values["body_gap"] >= 2))
        assert bouts and spans(found, row.id) == bouts
        total += sum(stop - start for start, stop in bouts)
    assert found.frames == store.num_frames and found.recordings == found.all_recordings == 2
    assert found.share == total / store.num_frames
    assert [bout.margin for bout in found] == sorted((bout.margin for bout in found), reverse=True)


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("unit", ["animal", "pair"])
def test_bouts_of_animals_and_pairs_are_those_of_their_rows(cages, unit, number):
    store = cages(number)
    found = find_bouts(store, "facing_angle < 60 deg and speed.m1 > 2", None, unit=unit, verbose=False)
    checked = 0
    for pick, row in enumerate(store.rows):
        for actors in actors_of(unit, store.individuals, absent=row.absent):
            values = measured(store, pick, actors, unit)
            angle = values.get("facing_angle", values.get("facing_angle.agent"))
            speed = np.full(row.frames, np.nan)
            for name, side in ((actors.agent, "agent"), (actors.target, "target")):
                speed = values.get("speed", values.get(f"speed.{side}")) if name == "m1" else speed
            bouts = runs_of((angle < np.pi / 3) & (speed > 2))
            assert spans(found, actors.row_id(row.id)) == bouts
            checked += len(bouts)
    assert checked == len(found) > 5
    assert {row.actors.unit for row in found.rows} == {unit}


def test_any_of_anonymous_animals_is_also_one_between_the_greatest_and_the_least(cages):
    store = cages(3, exchangeable=True)
    found = find_bouts(store, "speed between 2 and 2.6", None, least_seconds=0.0, gap_seconds=0.0, verbose=False)
    values = measured(store, 0, Actors(), "scene", exchangeable=False)
    inside = [(values[name] >= 2) & (values[name] <= 2.6) for name in ("speed.m1", "speed.m2", "speed.m3")]
    assert spans(found, "c0") == runs_of(np.any(inside, axis=0), 1, 0)
    extremes = measured(store, 0, Actors(), "scene")
    ends = [(extremes[f"speed.{end}"] >= 2) & (extremes[f"speed.{end}"] <= 2.6) for end in ("greatest", "least")]
    assert np.any(inside, axis=0).sum() > np.any(ends, axis=0).sum()


def test_values_toward_one_animal_stand_beside_those_toward_the_nearest(cages):
    store = cages(3)
    found = find_bouts(store, "facing_angle.m1.m3 < 1 and body_gap.m1 < 12", None, verbose=False)
    each, nearest = (measured(store, 0, Actors(), "scene", others) for others in ("each", "nearest"))
    bouts = runs_of((each["facing_angle.m1.m3"] < 1) & (nearest["body_gap.m1"] < 12))
    assert bouts and spans(found, "c0") == bouts
    assert not spans(found, "c1")


@pytest.mark.parametrize(("unit", "number"), [("scene", 2), ("scene", 3), ("animal", 3), ("pair", 2)])
def test_blocks_have_the_values_of_the_whole_recording(cages, monkeypatch, unit, number):
    store = cages(number)
    skeleton = replace(store.skeleton, individuals=store.individuals)
    reader = WindowReader([(store, row) for row in store.rows], 1)
    programs = ProgramSet(ProgramsConfig(), skeleton, 30.0, unit)
    programs.fit_body_length(reader)
    rows = actors_of(unit, store.individuals)

    def values():
        parts = [block for _, block in recording_blocks.recording_blocks([programs], reader, 0, rows)]
        return [torch.cat([part[place][0] for part in parts]) for place in range(len(rows))]

    whole = values()
    monkeypatch.setattr(recording_blocks, "_BLOCK_FRAMES", 199)
    for one, other in zip(whole, values(), strict=True):
        assert one.shape == (1013, programs.num_attributes)
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3, equal_nan=True)


def test_bouts_do_not_depend_on_blocks(cages, monkeypatch):
    store = cages()
    text = "following > .05 for .3 s and not time_since_contact > 3 s or speed > 4 cm/s for 1 s"
    whole = find_bouts(store, text, None, verbose=False)
    monkeypatch.setattr(recording_blocks, "_BLOCK_FRAMES", 199)
    assert len(whole) > 3
    assert {str(bout) for bout in find_bouts(store, text, None, verbose=False)} == {str(bout) for bout in whole}


SENTENCES = (
    "following > .05 for .3 s and not time_since_contact > 3 s or speed > 4 cm/s for 1 s",
    "speed > 4 cm/s",
    "not speed > 3 cm/s and nose_nose_distance between 1 and 9 cm",
    "following > .1",
)


@pytest.fixture
def evaluated(monkeypatch):
    """Names of the attributes that were evaluated, a list for each recording."""
    names = []

    def blocks(sets, *arguments):
        names.append([name for own in sets for name in own.names])
        return recording_blocks.recording_blocks(sets, *arguments)

    monkeypatch.setattr(signals, "recording_blocks", blocks)
    return names


def facts(found):
    bouts = [(bout.recording, bout.start, bout.stop, bout.margin) for bout in found]
    return bouts, found.frames, found.fulfilled, found.recordings


@pytest.mark.parametrize(("unit", "number"), [("scene", 3), ("animal", 2), ("pair", 3)])
def test_kept_values_give_the_same_bouts(cages, unit, number):
    store = cages(number, frames=(1013, 611, 200, 300))
    signal = 4 * sum(row.frames for row in SentenceSearch(store, unit=unit).rows)
    kept, few, ahead = (SentenceSearch(store, unit=unit, most_bytes=most) for most in (10**9, 2 * signal, 10**9))
    ahead.prepare()
    some = 0
    for k in (None, 3, None):
        for text in SENTENCES:
            expected = facts(SentenceSearch(store, unit=unit, most_bytes=0).find(text, k))
            assert facts(kept.find(text, k)) == facts(few.find(text, k)) == facts(ahead.find(text, k)) == expected
            some += len(expected[0])
    assert some > 20


def test_a_later_sentence_evaluates_what_is_new_alone(cages, evaluated):
    search = SentenceSearch(cages())
    search.find("speed > 4", None)
    assert len(evaluated) == 2 and evaluated[0] == ["speed.m1", "speed.m2"]
    search.find("speed.m2 < 2 or speed > 9", None)
    assert len(evaluated) == 2
    search.find("speed > 4 and following.m1 > .5", None)
    assert len(evaluated) == 4 and evaluated[2] == ["following.m1", "following.m2"]


def test_programs_that_are_prepared_are_not_evaluated_again(cages, evaluated):
    store = cages()
    search = SentenceSearch(store)
    search.prepare(going=lambda: False)
    assert not evaluated
    search.prepare()
    assert len(evaluated) == 2 and set(evaluated[0]) == set(search.names.sets[0].names)
    search.find("speed > 4 and wall_distance > 2", None)
    assert len(evaluated) == 2
    nothing = SentenceSearch(store, most_bytes=4 * store.num_frames - 1)
    nothing.prepare()
    assert len(evaluated) == 2
    one = SentenceSearch(store, most_bytes=4 * store.num_frames)
    one.prepare()
    one.find("speed.m1 > 4", None)
    assert len(evaluated) == 4
    for _ in range(2):  # the newest stays
        one.find("following.m1 > .5", None)
    assert len(evaluated) == 6


def test_values_of_a_store_are_not_those_of_another_with_its_names(dyad, tmp_path):
    search, found = None, []
    for seed in (1, 2):
        store = write_store(tmp_path / "store", [dyad("a", 300, seed=seed)], overwrite=seed == 2)
        search = SentenceSearch(store)
        found.append(facts(search.find("speed > 40", None)))
        assert found[-1] == facts(search.find("speed > 40", None))
    assert found[0] != found[1]


def test_no_bout_is_in_two_recordings(dyad, tmp_path, monkeypatch):
    recordings = [dyad(f"r{n}", frames, seed=n) for n, frames in enumerate((1, 40, 3, 100, 12))]
    store = write_store(tmp_path / "store", recordings)
    text = "body_gap < 1e6 or (speed > 1e6 for .1 s)"
    together = find_bouts(store, text, None, least_seconds=0.0, gap_seconds=3.0, verbose=False)
    assert {(bout.recording, bout.start, bout.stop) for bout in together} == {
        (row.id, 0, row.frames) for row in store.rows
    }
    monkeypatch.setattr(sentence_search, "_AT_ONCE", 1)
    alone = find_bouts(store, text, None, least_seconds=0.0, gap_seconds=3.0, verbose=False)
    assert facts(alone) == facts(together)


def test_animals_with_themselves_have_their_own_values_alone(cages):
    store = cages()
    row = EmbeddingRow(id="c0@m1,m1", recording="c0", agent="m1", target="m1", offset=0, frames=1013, fps=30.0)
    search = SentenceSearch(store, [row])
    alone = measured(store, 0, Actors(agent="m1"), "animal")
    assert spans(search.find("speed > 2", None), row.id) == runs_of(alone["speed"] > 2) != []
    assert not len(search.find("following > -2", None))


def test_rates_may_differ(dyad, tmp_path):
    recordings = [dyad("slow", 300, fps=30.0), dyad("quick", 300, fps=60.0)]
    store = write_store(tmp_path / "store", recordings)
    quick, slow = (find_bouts(store, "speed > 60", None, recordings=name, verbose=False) for name in ("quick", "slow"))
    both = find_bouts(store, "speed > 60", None, verbose=False)
    assert len(both) == len(quick) + len(slow) and len(quick) and len(slow)


def test_a_search_that_stops_early_spreads_over_recordings(many):
    search = SentenceSearch(many)
    first, again, other = (
        search.find("speed > 40", 8),
        search.find("speed > 40", 8),
        search.find("speed > 40", 8, seed=1),
    )
    assert len(first) == 8 == len({bout.recording for bout in first})
    assert first.recordings < 20 == first.all_recordings and 0 < first.share < 1
    assert list(first) == list(again) and first.share == again.share
    assert {bout.recording for bout in first} != {bout.recording for bout in other}
    more = search.find("speed > 40", 24)
    numbers = np.unique([bout.recording for bout in more], return_counts=True)[1]
    assert len(more) == 24 and len(numbers) >= 8


def test_a_rare_sentence_is_looked_for_in_all_recordings(many):
    search = SentenceSearch(many)

    def holders(text):
        return {bout.recording for bout in search.find(text, None, least_seconds=0.0)}

    text = next(text for limit in range(60, 400, 5) if len(holders(text := f"speed > {limit}")) < 8)
    found = search.find(text, 8, least_seconds=0.0)
    assert found.recordings == 20 and {bout.recording for bout in found} == holders(text) != set()
    assert not len(search.find("speed > 1e7", 8)) and search.find("speed > 1e7", 8).share == 0


def test_a_moment_is_one_hit_of_several_rows(many):
    search = SentenceSearch(many, unit="pair")
    found = search.find("body_gap < 1e6", 10)
    assert len(found) == 10 == len({row.recording for row in found.rows})
    assert len(search.find("body_gap < 1e6", None)) == 40


def test_chosen_recordings_own_programs_and_tables(many, tmp_path):
    pytest.importorskip("pandas")
    (tmp_path / "mine.py").write_text(TWICE)
    options = {"recordings": ["r0[0-3]"], "verbose": False}
    own = find_bouts(many, "hurry > 80 px/s", None, programs=tmp_path / "mine.py", **options)
    built_in = sb.find_bouts(many.path, "speed > 40 px/s", None, **options)
    assert [str(bout) for bout in own] == [str(bout) for bout in built_in]
    table = own.to_frame()
    assert list(table.columns) == ["recording", "start_frame", "stop_frame", "start_s", "stop_s", "margin"]
    assert len(table) == len(own) and set(table["recording"]) <= {f"r{n:02d}" for n in range(4)}
    assert own.meaning in repr(own) and "of 4 of 4 recordings" in repr(own)


def test_units_of_length_need_the_scale_of_every_recording(many, cages):
    with pytest.raises(InputError) as raised:
        find_bouts(many, "following > .7 and speed > 20 cm/s", verbose=False)
    assert "at character 28: 'cm/s' needs the px per cm of every recording" in str(raised.value)
    assert "write px/s, or import with `px_per_cm`" in str(raised.value)
    in_cm, in_px = (find_bouts(cages(), f"speed > {text}", None, verbose=False) for text in ("3", "30 px/s"))
    assert [str(bout) for bout in in_cm] == [str(bout) for bout in in_px]
    assert "3 cm/s" in in_cm.meaning and "30 px/s" in in_px.meaning


def test_a_range_in_two_units_that_is_empty_in_all_recordings_is_an_error(dyad, tmp_path):
    recordings = [dyad("a", 200, px_per_cm=8.0), dyad("b", 200, seed=1, px_per_cm=20.0)]
    store = write_store(tmp_path / "store", recordings)
    with pytest.raises(InputError, match=r"at character 15: the first number of \"between\" must be less"):
        find_bouts(store, "speed between 110 px/s and 5 cm/s", verbose=False)
    found = find_bouts(store, "speed between 60 px/s and 5 cm/s", None, verbose=False)  # empty in "a" alone
    assert {bout.recording for bout in found} == {"b"}


def test_scales_of_the_recordings_that_are_searched_are_enough(dyad, tmp_path):
    store = write_store(tmp_path / "store", [dyad("a", 200, px_per_cm=8.0), dyad("b", 200, seed=1)])
    found = find_bouts(store, "speed > 5 cm/s", None, recordings="a", verbose=False)
    same = find_bouts(store, "speed > 40", None, recordings="a", verbose=False)
    assert "40 px/s" in same.meaning and [str(bout) for bout in found] == [str(bout) for bout in same]
    with pytest.raises(InputError, match="and b has none"):
        find_bouts(store, "speed > 5 cm/s", verbose=False)


def test_a_body_that_cannot_be_measured_leaves_programs_that_need_it_unknown(dyad, tmp_path):
    recording = dyad("a", 200)
    keypoints = recording.keypoints.copy()
    keypoints[:, :, recording.skeleton.role("tail_base")] = np.nan
    store = write_store(tmp_path / "store", [replace(recording, keypoints=keypoints)])
    search = SentenceSearch(store)
    assert np.isnan(search.body_length)
    assert len(search.find("speed > 20", None)) and not len(search.find("following > -2", None))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [({"k": 0}, "`k` must be"), ({"gap_seconds": -1.0}, "`gap_seconds`"),
     ({"least_seconds": np.inf}, "`least_seconds`"),
     ({"recordings": ["x*"]}, "x"), ({"unit": "group"}, "`unit` must be"),
     ({"others": "all"}, "`others` must be"), ({"programs": "none.py"}, "none.py")],
)  # fmt: skip
def test_arguments_are_checked(many, arguments, words):
    with pytest.raises(InputError, match=words):
        find_bouts(many, "speed > 1", verbose=False, **arguments)
