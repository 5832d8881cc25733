import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

import ssl_behavior.reports
from ssl_behavior.errors import InputError
from ssl_behavior.plots.style import ANIMAL_COLORS
from ssl_behavior.reports import Report, ReportRecording, check_page, render_report, write_report
from ssl_behavior.skeleton import SKELETONS

from .conftest import EVIL, S1


class Page(HTMLParser):
    """Elements with their attributes, texts of scripts and styles, and all other text."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.scripts, self.comments, self.words, self.open = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.open = tag
        if tag == "script":
            self.scripts.append([dict(attributes), ""])

    def handle_endtag(self, tag):
        self.open = None

    def handle_data(self, data):
        if self.open == "script":
            self.scripts[-1][1] += data
        elif self.open != "style":
            self.words.append(data)

    def handle_comment(self, data):
        self.comments.append(data)


@pytest.fixture(scope="module")
def text(page_file):
    return page_file.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(text):
    return Page(text)


def test_nothing_is_loaded_from_anywhere(page, text):
    for tag, attributes in page.elements:
        assert tag not in ("iframe", "img", "object", "embed", "audio", "video", "form", "base"), tag
        for name in ("src", "href", "srcset", "action", "data", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith("#") or value == "data:,", (tag, name, value)
        assert not any(name.startswith("on") for name in attributes), (tag, attributes)
    style = re.search("<style>(.*?)</style>", text, re.DOTALL).group(1)
    assert "url(" not in style and "@import" not in style
    own = "".join(script for _, script in page.scripts[-1:])
    for word in (
        "http://",
        "https://",
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "import(",
        "eval(",
        "innerHTML",
        "sendBeacon",
    ):
        assert word not in own, word


def test_addresses_are_only_names_of_vocabularies_and_licenses(page):
    names = {match for _, script in page.scripts for match in re.findall(r"https?://[\w./-]+", script)}
    known = r"http://www\.w3\.org/(1999/xhtml|1999/xlink|2000/svg|2000/xmlns/?|XML/1998/namespace)|https://d3js\.org|.*\.npmjs\..*"
    assert all(re.fullmatch(known, name) for name in names), names


def test_content_policy_allows_only_the_page_scripts(page):
    (policy,) = [
        a["content"] for tag, a in page.elements if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none'; ") and "unsafe-eval" not in policy
    allowed = set(re.search("script-src ([^;]*);", policy).group(1).split())
    run = [script for attributes, script in page.scripts if "type" not in attributes]
    assert len(run) == 3 and allowed == {
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in run
    }


def test_names_are_shown_not_run(page, text):
    assert EVIL in page.words or any(EVIL in word for word in page.words)
    assert any(S1[1] in word for word in page.words)
    assert "<img" not in text and "window.hacked=1</script>" not in text and "<u>" not in text and "<b>" not in text
    facts = json.loads(next(script for attributes, script in page.scripts if attributes.get("id") == "facts"))
    assert [one["id"] for one in facts["recordings"]][1] == EVIL and facts["ethograms"][1]["words"] == list(S1)
    assert facts["profiles"][0]["groups"][-1] == "drug<i>"


def test_licenses_of_what_is_inlined_stand_in_the_page(page):
    notices = " ".join(page.comments)
    assert "Mike Bostock" in notices and "Observable, Inc." in notices and notices.count("Permission to use") == 2


def test_ids_are_unique_and_labels_and_anchors_lead_somewhere(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert all(anchor in ids for anchor in anchors(page))
    for tag, attributes in page.elements:
        if tag in ("section", "nav"):
            assert attributes.get("aria-label"), attributes


def anchors(page):
    return [attributes["href"][1:] for tag, attributes in page.elements if tag == "a"]


def test_a_page_is_small(text):
    assert len(text) < 900_000


def test_a_report_of_next_to_nothing_is_a_page():
    recording = ReportRecording(id="only", frames=10, fps=30.0)
    report = Report(
        title="Bare & <plain>", recordings=(recording,), skeleton=SKELETONS["calms21"], individuals=("a", "b")
    )
    page = Page(render_report(report))
    sections = [a["id"] for tag, a in page.elements if tag == "section"]
    assert sections == ["ethogram", "about"] and "Bare & <plain>" in page.words
    assert anchors(page) == ["ethogram", "ethogram", "about"]


def test_a_page_is_whole_or_not_there(gathered, tmp_path):
    with pytest.raises(InputError, match="cannot be written"):
        (tmp_path / "file").write_text("")
        write_report(gathered.report, tmp_path / "file" / "report.html")
    path = tmp_path / "report.html"
    write_report(gathered.report, path)
    assert path.read_text(encoding="utf-8").rstrip().endswith("</html>") and [
        p.name for p in tmp_path.iterdir() if p.is_file()
    ] == ["file", "report.html"]


def test_unwritable_path_raises_before_rendering(tmp_path):
    with pytest.raises(InputError, match="is a folder"):
        check_page(tmp_path, overwrite=True)
    (tmp_path / "report.html").write_text("old")
    with pytest.raises(InputError, match="exists already"):
        check_page(tmp_path / "report.html", overwrite=False)
    check_page(tmp_path / "report.html", overwrite=True)


def test_vendored_files_are_the_published_ones():
    folder = Path(__file__).parents[3] / "ssl_behavior" / "reports" / "vendor"
    published = {
        "d3.min.js": "912111098ea99503a6f4967361d2bbdc9dbf58cf9c678c8e27e5b02d1a07f0c1",
        "plot.umd.min.js": "4358086467740777dd788d6b27a95cebdbaefdd50c730a3060117073bd7134cb",
    }
    for name, digest in published.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


def test_the_page_has_the_animal_colors_of_movies():
    assets = Path(ssl_behavior.reports.__file__).parent / "assets"
    (listed,) = re.findall(r"const ANIMALS = (.*);", (assets / "palette.js").read_text(encoding="utf-8"))
    styled = re.findall(r"\.a(\d) { --its: (.*?); }", (assets / "report.css").read_text(encoding="utf-8"))
    assert tuple(json.loads(listed)) == ANIMAL_COLORS
    assert styled == [(str(number), color) for number, color in enumerate(ANIMAL_COLORS)]
