"""Reports and diffs: what they count, that nothing of a record is taken for markup, and the page in a real browser."""

import csv
import io
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from urllib.parse import urlencode

import lxml.html
import numpy as np
import pytest
from documents import written
from photographs import smooth_image
from PIL import Image

from facetag import cli
from facetag.attributes import ATTRIBUTES
from facetag.errors import ExitCode
from facetag.formats.report import page as pages
from facetag.formats.report import summary as summaries
from facetag.formats.report.changes import Totals, changes
from facetag.formats.report.page import write_diff, write_report
from facetag.formats.report.summary import Summary
from facetag.geometry import Box
from facetag.results import FaceResult, ImageResult, Status

NAMES = ("Male", "Smiling")
EVIL = '</script><img src=x onerror="alert(1)">&{{7*7}}.jpg'


def face(x=0, score=0.9, unsure=(), **shares):
    shares = {"Male": 0.2, "Smiling": 0.8} | shares
    tags = tuple(name for name, share in shares.items() if share >= 0.5 and name not in unsure)
    return FaceResult(Box(x, 0, 40, 40), score, shares, tags, unsure)


def ok(path, *faces):
    return ImageResult(path, Status.OK, "", 120, 90, faces)


RECORDS = [
    ok("a.jpg", face(), face(50, 0.4, Male=0.9)),
    ok(EVIL, face(0, 0.6, ("Smiling",), Smiling=0.5)),
    ImageResult("c.jpg", Status.NO_FACE, "truncated JPEG", 64, 48),
    ImageResult("d.jpg", Status.UNREADABLE, "damaged <b>JPEG</b> file"),
    ImageResult("e.jpg", Status.UNREADABLE, "damaged <b>JPEG</b> file"),
]


def html(records=RECORDS, pictures=None):
    stream = io.StringIO()
    write_report(stream, Summary.of(records), pictures or {}, "tags.csv")
    return stream.getvalue()


def test_a_summary_counts_what_the_records_say(monkeypatch):
    monkeypatch.setattr(summaries, "_CHUNK", 2)
    summary = Summary.of(RECORDS)
    assert (summary.inputs, summary.faces, summary.warnings) == (5, 3, 1)
    assert summary.statuses[Status.UNREADABLE] == 2
    (failure,) = summary.failures.values()
    assert (failure.count, failure.paths) == (2, ["d.jpg", "e.jpg"])
    assert summary.decided.tolist() == [[2, 1, 0], [0, 2, 1]]
    assert summary.histogram[0, [4, 18]].tolist() == [2, 1] and summary.histogram.sum() == 6
    assert [shown.value for shown in summary.highest] == [0.9, 0.6, 0.4]
    assert [shown.value for shown in summary.lowest] == [0.4, 0.6, 0.9]
    assert (summary.most_confident["Male"][0].path, summary.most_confident["Male"][0].number) == ("a.jpg", 2)
    assert summary.borderline["Smiling"][0].path == EVIL
    assert summary.decisions().tolist() == [[0, 1], [1, 1], [0, 2]]


def test_a_summary_is_the_same_in_one_piece_and_in_many(monkeypatch):
    many = [ok(f"{n}.jpg", face(0, n / 100, Male=n * 37 % 100 / 100)) for n in range(100)]
    whole = Summary.of(many)
    monkeypatch.setattr(summaries, "_CHUNK", 7)
    parts = Summary.of(many)
    assert parts.most_confident == whole.most_confident and parts.lowest == whole.lowest
    assert parts.histogram.tolist() == whole.histogram.tolist()


def test_nothing_of_a_record_is_markup_and_no_other_script_may_run():
    text = html()
    assert "onerror=" in text and "<img src=x" not in text and "<b>" not in text and "49.jpg" not in text
    policy = re.search(r'Policy" content="([^"]+)"', text)[1]
    assert "default-src &#39;none&#39;" in policy and "unsafe-inline&#39;; script-src &#39;sha256-" in policy
    assert not re.search(r"""(?:src|href)=["'](?!#)""", text), "asks nothing of any network"


def test_an_output_of_localize_and_one_of_nothing_have_pages():
    assert "Attributes" not in html([ok("a.jpg", FaceResult(Box(0, 0, 9, 9), 0.9))])
    assert "0 inputs" in html([])


def test_whoever_has_no_mouse_or_no_screen_reaches_and_hears_all():
    changed = io.StringIO()
    totals = Totals()
    write_diff(changed, totals, list(changes(RECORDS, RECORDS[1:], totals)), "old.csv", "new.csv")
    for text in (html(), changed.getvalue()):
        page = lxml.html.fromstring(text)
        known = set(page.xpath("//@id"))
        assert page.get("lang") == "en" and len(page.xpath("//h1")) == len(page.xpath("//main")) == 1
        assert set(page.xpath("//@aria-labelledby | //label/@for")) <= known
        assert {link[1:] for link in page.xpath("//a/@href")} <= known
        named = set(page.xpath("//label/@for"))
        assert all(each.get("id") in named or each.get("aria-labelledby") for each in page.xpath("//select"))
        assert page.xpath("//img[not(@alt)] | //svg[not(@aria-label)] | //th[not(@scope)]") == []
        assert page.xpath("//*[@class='scroll'][not(@tabindex='0' and @role and @aria-labelledby)]") == []


def test_an_input_costs_a_page_less_than_thirty_bytes():
    """So that a million stay under 30 MB; names and probabilities that nothing can compress."""
    random = np.random.default_rng(0)

    def size(inputs):
        shares = random.beta(0.4, 0.8, (inputs, len(ATTRIBUTES)))
        return len(html([ok(f"{random.bytes(8).hex()}.jpg", of(row)) for row in shares]))

    def of(row):
        given = dict(zip(ATTRIBUTES, row, strict=True))
        return FaceResult(Box(0, 0, 9, 9), 0.9, given, tuple(name for name in ATTRIBUTES if given[name] >= 0.5))

    assert (size(6000) - size(1000)) / 5000 < 30


def test_more_names_than_a_page_holds_are_counted_and_not_listed(monkeypatch):
    monkeypatch.setattr(pages, "PACKED", 400)
    text = html([ImageResult(os.urandom(16).hex(), Status.NO_FACE, "", 5, 4) for _ in range(50)])
    assert re.search(r"The first \d\d? inputs are listed by name; counts are of all", text)


@pytest.fixture
def tags(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.jpg", "c.jpg"):
        Image.fromarray(smooth_image(1)).save(tmp_path / name)
    (tmp_path / "tags.csv").write_bytes(written("csv", RECORDS, NAMES))
    return tmp_path / "tags.csv"


def test_the_command_writes_a_page_with_each_picture_once(tags, capfd):
    assert cli.run(["report", "tags.csv"]) == ExitCode.OK
    text = (tags.parent / "tags.csv.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 2, "two faces of a.jpg; the other photo is not there"
    assert "1 photos could not be read" in text
    assert "wrote tags.csv.html: 5 inputs, 3 faces" in capfd.readouterr().err
    assert cli.run(["report", "tags.csv"]) == ExitCode.OK, "a page of facetag's may be replaced"
    (tags.parent / "mine.html").write_text("mine")
    assert cli.run(["report", "tags.csv", "--out", "mine.html"]) == ExitCode.USAGE
    (tags.parent / "mine.html").write_text("<!doctype html><title>How I use facetag</title>")
    assert cli.run(["report", "tags.csv", "--out", "mine.html"]) == ExitCode.USAGE
    assert cli.run(["report", "tags.csv", "--out", "tags.csv", "--overwrite"]) == ExitCode.USAGE
    assert cli.run(["report", "a.jpg"]) == ExitCode.USAGE and "no format is known" in capfd.readouterr().err


def test_changes_between_two_outputs():
    new = [
        ok("b.jpg", face()),
        ok("a.jpg", face(50, 0.4, Male=0.4), face(2), face(100)),
        ImageResult("c.jpg", Status.UNREADABLE, "no"),
    ]
    old = [
        ok("a.jpg", face(), face(58, Male=0.9), face(200)),
        ImageResult("c.jpg", Status.NO_FACE),
        ok("z.jpg", face()),
    ]
    totals = Totals()
    found = {(each.path, each.kind, each.old_face, each.new_face, each.attribute) for each in changes(old, new, totals)}
    assert found == {
        ("a.jpg", "face_moved", 2, 1, ""), ("a.jpg", "tag_lost", 2, 1, "Male"), ("a.jpg", "face_lost", 3, 0, ""),
        ("a.jpg", "face_gained", 0, 3, ""), ("c.jpg", "status", 0, 0, ""), ("z.jpg", "input_lost", 0, 0, ""),
        ("b.jpg", "input_gained", 0, 0, ""),
    }  # fmt: skip
    assert (totals.inputs, totals.faces, totals.tags) == (2, 2, {("Male", "tag_lost"): 1})
    assert list(changes(new, new, Totals())) == []


def test_diff_writes_a_table_and_a_page(tags, capfd):
    flipped = [ok("a.jpg", face(Smiling=0.3), face(50, 0.4, Male=0.9)), *RECORDS[1:]]
    (tags.parent / "new.jsonl").write_bytes(written("jsonl", flipped, NAMES))
    assert cli.run(["diff", "tags.csv", "new.jsonl", "--html", "diff.html"]) == ExitCode.OK
    out, err = capfd.readouterr()
    (row,) = csv.DictReader(io.StringIO(out, newline=""))
    assert row == {
        "path": "a.jpg", "change": "tag_lost", "old_face": "1", "new_face": "1", "attribute": "Smiling",
        "old": "0.8000", "new": "0.3000",
    }  # fmt: skip
    assert "5 inputs and 3 faces in both: 1 tag_lost" in err
    text = (tags.parent / "diff.html").read_text()
    assert "script-src &#39;none&#39;" in text and 'Smiling</th><td class="n">0</td><td class="n">1</td>' in text


OWN = "Red <Hat> & b+c~d"  #: an attribute as somebody may call their own


def of_ones_own(folder, name, share):
    found = FaceResult(Box(0, 0, 9, 9), 0.9, {"Bald": 0.1, OWN: share}, (OWN,) if share >= 0.5 else ())
    (folder / name).write_bytes(written(name.rpartition(".")[2], [ok("a.jpg", found)], ("Bald", OWN)))


def test_attributes_of_ones_own_are_in_the_report_and_in_the_diff(tags, capfd):
    of_ones_own(tags.parent, "own.csv", 0.9)
    of_ones_own(tags.parent, "other.jsonl", 0.2)
    assert cli.run(["report", "own.csv"]) == ExitCode.OK
    assert ">Red &lt;Hat&gt; &amp; b+c~d</th>" in (tags.parent / "own.csv.html").read_text()
    assert cli.run(["diff", "own.csv", "other.jsonl", "-q"]) == ExitCode.OK
    (row,) = csv.DictReader(io.StringIO(capfd.readouterr().out, newline=""))
    assert (row["change"], row["attribute"], row["old"], row["new"]) == ("tag_lost", OWN, "0.9000", "0.2000")
    assert cli.run(["diff", "tags.csv", "own.csv", "-q"]) == ExitCode.OK, "what only one of them answers is no change"


def test_diff_replaces_its_own_files_alone(tags, capfd):
    mine = {"mine.csv": "name,price\n", "mine.html": "<!doctype html><title>How I use facetag</title>"}
    for name, text in mine.items():
        (tags.parent / name).write_text(text)
    for words in (["--out", "mine.csv"], ["--html", "mine.html"]):
        assert cli.run(["diff", "tags.csv", "tags.csv", *words]) == ExitCode.USAGE
        assert f"{words[1]} was not written by facetag; name another file, or use --overwrite" in capfd.readouterr().err
    assert {name: (tags.parent / name).read_text() for name in mine} == mine
    both = ["--out", "mine.csv", "--html", "mine.html"]
    assert cli.run(["diff", "tags.csv", "tags.csv", *both, "--overwrite"]) == ExitCode.OK
    assert cli.run(["diff", "tags.csv", "tags.csv", *both]) == ExitCode.OK, "what it wrote itself it may replace"


def chromium(address, *options):
    """The page's text after its script ran, and what the browser said of it."""
    assert shutil.which("chromium"), "apt-get install chromium"
    command = [
        "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
        "--virtual-time-budget=5000", *options, address,
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)


@pytest.mark.system
@pytest.mark.parametrize(
    ("filter", "expected", "names"),
    [
        ("", "5 inputs, 3 faces", 5),
        ("#Male=1", "1 inputs, 1 faces", 1),
        ("#Male=0&Smiling=1", "1 inputs, 1 faces", 1),
        ("#Smiling=2", "1 inputs, 1 faces", 1),
        ("#status=unreadable", "2 inputs, 0 faces", 2),
    ],
)
def test_the_filter_works_in_a_real_browser_without_a_word_of_complaint(tags, filter, expected, names):
    cli.run(["report", "tags.csv", "-q"])
    shown = chromium(f"file://{tags}.html{filter}", "--dump-dom", f"--user-data-dir={tags.parent / 'profile'}")
    assert f'id="count">{expected}<' in shown.stdout
    assert shown.stdout.partition('id="rows"')[2].count("<tr>") == names
    assert "CONSOLE" not in shown.stderr and 'src="data:image/jpeg' in shown.stdout


@pytest.mark.system
@pytest.mark.parametrize(("value", "expected"), [("1", "1 inputs, 1 faces"), ("0", "0 inputs, 0 faces")])
def test_the_filter_knows_attributes_of_ones_own(tags, value, expected):
    of_ones_own(tags.parent, "own.csv", 0.9)
    cli.run(["report", "own.csv", "-q"])
    address = f"file://{tags.parent}/own.csv.html#{urlencode({OWN: value})}"
    shown = chromium(address, "--dump-dom", f"--user-data-dir={tags.parent / 'profile'}")
    assert f'id="count">{expected}<' in shown.stdout and "CONSOLE" not in shown.stderr


@pytest.mark.system
@pytest.mark.parametrize("width", [400, 1200])
def test_nothing_sticks_out_of_the_page(tags, width):
    """A narrow frame, for no browser window is as narrow as a telephone."""
    found = FaceResult(Box(0, 0, 9, 9), 0.9, dict.fromkeys(ATTRIBUTES, 0.9), ATTRIBUTES)
    wide = [ok(f"{'folder/' * 20}{number}.jpg", found) for number in range(9)]
    tags.write_bytes(written("csv", [*wide, ImageResult("x" * 200, Status.FAILED, "y" * 200)], ATTRIBUTES))
    cli.run(["report", "tags.csv", "-q"])
    changed = [ok(wide[0].path, replace(found, tags=())), *wide[2:]]
    (tags.parent / "new.csv").write_bytes(written("csv", changed, ATTRIBUTES))
    cli.run(["diff", "tags.csv", "new.csv", "--out", "changes.csv", "--html", "diff.html", "-q"])
    frame = tags.parent / "frame.html"
    for page in ("tags.csv.html", "diff.html"):
        frame.write_text(
            f'<iframe id=f src="{page}" style="width:{width}px;height:900px;border:0"></iframe>'
            "<script>f.onload=()=>{const page=f.contentDocument.documentElement;"
            "document.title=JSON.stringify([page.scrollWidth,page.clientWidth])}</script>"
        )
        options = ("--allow-file-access-from-files", f"--user-data-dir={tags.parent / 'profile'}", "--dump-dom")
        shown = chromium(f"file://{frame}", *options)
        needed, given = json.loads(re.search(r"<title>(.*?)</title>", shown.stdout)[1])
        assert needed == given and width - 20 < given <= width, page
        assert "CONSOLE" not in shown.stderr, page
