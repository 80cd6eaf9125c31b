"""Runs at an output that an earlier run wrote: what is kept, what is done again, what is refused."""

import csv
import json
import os
import shutil
import sqlite3
import stat
import threading
from contextlib import closing
from dataclasses import replace

import pytest

from facetag import cli
from facetag.errors import ExitCode, FacetagError, InputsGone, JournalError, OutputLocked, UsageError
from facetag.geometry import Box
from facetag.images.discover import discover
from facetag.localization.base import Detection
from facetag.pipeline.drawing import Drawer, file_name
from facetag.pipeline.engine import Engine
from facetag.pipeline.face_sources import Found
from facetag.pipeline.loader import ReadSettings
from facetag.pipeline.stages import Cascade
from facetag.results import ImageResult, Status
from facetag.runs import journal
from facetag.runs.cache_key import CacheKey
from facetag.runs.dry_run import Prospect, dry_run
from facetag.runs.merge import merge
from facetag.runs.run import Document, Fate, Observers, RunSettings, publish, run
from facetag.runs.run_files import RunFiles

BASIS = CacheKey("localize", "a model")


class Counting:
    """A finder whose face says what the picture's pixels are; it remembers which pictures it was asked for."""

    def __init__(self):
        self.asked = []
        self.failing = set()

    def __call__(self, photos, clock):
        if self.failing & {os.path.basename(photo.path) for photo in photos}:
            raise ValueError("no luck")
        self.asked += [os.path.basename(photo.path) for photo in photos]
        return [Found((Detection(_told_by(photo.pixels), 0.5),)) for photo in photos]


def _told_by(pixels):
    """A box inside the picture whose sides say what its pixels are."""
    total = int(pixels.sum())
    return Box(1, 2, 3 + total % 1000 / 10, 4 + total // 1000 % 800 / 10)


def go(out="out.csv", inputs=("in",), basis=BASIS, find=None, observers=None, batch=4, **settings):
    """A run; answers (the pictures that were looked at, sorted, and the outcome)."""
    find = find or Counting()
    document = Document(str(out), "csv", None)
    reading = ReadSettings(batch=batch, inference_workers=2)
    outcome = run(
        discover(inputs), Engine.of(Cascade(find), reading), document, basis, RunSettings(**settings), observers
    )
    return sorted(find.asked), outcome


def content(out="out.csv"):
    with open(out, "rb") as stream:
        return stream.read()


def fresh(**options):
    """The bytes of a run that knows of no other."""
    go("fresh.csv", overwrite=True, **options)
    return content("fresh.csv")


def names(*numbers):
    return [f"{number:06}.jpg" for number in numbers]


def swap_content(archive, number, source):
    """Other bytes in a file, of the same size and time or not."""
    shutil.copyfile(archive / names(source)[0], archive / names(number)[0])
    with open(archive / names(number)[0], "ab") as stream:
        stream.write(b"changed")


def test_the_same_command_again_looks_at_nothing_and_writes_the_same(archive):
    asked, outcome = go()
    assert (asked, outcome.finished, outcome.reused) == (names(*range(20)), True, 0)
    first = content()
    os.unlink("out.csv")
    asked, outcome = go()
    assert (asked, outcome.reused) == ([], 20)
    assert content() == first == fresh()
    assert sorted(os.listdir()) == ["fresh.csv", "fresh.csv.facetag.sqlite", "in", "out.csv", "out.csv.facetag.sqlite"]


def test_exactly_what_changed_is_looked_at_again(archive):
    go()
    for number in (3, 8, 13):
        swap_content(archive, number, number + 1)
    (archive / "000005.jpg").rename(archive / "zz.jpg")
    (archive / "000006.jpg").rename(archive / "aa.jpg")
    (archive / "000007.jpg").unlink()
    (archive / "new.jpg").write_bytes((archive / "000000.jpg").read_bytes() + b"new")
    (archive / "copy.jpg").write_bytes((archive / "000001.jpg").read_bytes())
    asked, outcome = go()
    assert asked == [*names(3, 8, 13), "new.jpg"]
    assert outcome.reused == 21 - 4
    assert content() == fresh()
    (archive / "copy.jpg").unlink()
    assert go(basis=replace(BASIS, model="another"))[0] == sorted(os.listdir(archive))
    assert content() == fresh(basis=replace(BASIS, model="another"))
    assert go(basis=replace(BASIS, min_face=20.0))[0] == sorted(os.listdir(archive))


def test_kept_inputs_are_not_even_opened(archive):
    go()
    for photo in archive.iterdir():
        size = photo.stat().st_size
        photo.write_bytes(bytes(size))
        os.utime(photo, ns=(10**18, 10**18))
    first = content()
    assert go()[0] == []
    assert content() == first
    go(rehash=True)
    assert content() == fresh() != first


def test_a_touched_file_is_read_but_not_looked_at_and_then_known(archive):
    go()
    for photo in archive.iterdir():
        os.utime(photo)
    assert go()[0] == []
    for photo in archive.iterdir():
        before = photo.stat()
        photo.write_bytes(bytes(before.st_size))
        os.utime(photo, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert go()[0] == []  # size and time are those that the run before saw


def test_rehash_finds_what_size_and_time_do_not_tell(archive):
    go()
    victim = archive / "000004.jpg"
    data = bytearray(victim.read_bytes())
    data[-1] ^= 1
    victim.write_bytes(data)
    os.utime(victim, ns=(10**18, 10**18))
    assert go()[0] == []
    assert go(rehash=True)[0] == names(4)
    assert go(rehash=True)[0] == []


def test_failures_stay_until_the_file_changes_or_they_are_retried(archive):
    (archive / "000002.jpg").write_bytes(b"not an image")
    find = Counting()
    find.failing = set(names(3))
    go(find=find)
    statuses = [row.split(b",")[2] for row in content().splitlines()[1:]]
    assert statuses == [b"ok", b"ok", b"unreadable", b"failed", *[b"ok"] * 16]
    assert go()[0] == []
    shutil.copyfile(archive / "000003.jpg", archive / "copy.jpg")
    assert go()[0] == ["copy.jpg"]
    assert go(retry_failed=True)[0] == names(3)
    shutil.copyfile(archive / "000019.jpg", archive / "000002.jpg")
    assert go()[0] == []  # the content is known
    assert content() == fresh()


def test_what_could_not_be_read_is_tried_again_and_its_answer_not_forgotten_meanwhile(archive, monkeypatch):
    go()
    (archive / "000002.jpg").rename("away.jpg")
    (archive / "000002.jpg").mkdir()
    paths = [f"in/{name}" for name in names(*range(20))] + ["in/missing.jpg"]
    asked, _ = go(inputs=paths)
    assert asked == [] and content().count(b",unreadable,") == 1  # the folder is walked, the missing file named
    (archive / "000002.jpg").rmdir()
    shutil.copy("away.jpg", archive / "missing.jpg")
    go(inputs=paths)
    assert content() == fresh(inputs=paths)


def test_overwrite_begins_anew(archive):
    go()
    assert go(overwrite=True)[0] == names(*range(20))


def empty(archive):
    for photo in archive.iterdir():
        photo.unlink()


def test_an_archive_that_is_gone_is_refused_and_not_forgotten(archive):
    go()
    first = content()
    archive.rename("elsewhere")
    archive.mkdir()
    for inputs in (["in"], ["nowhere"], [f"in/{name}" for name in names(*range(20))]):
        with pytest.raises(InputsGone, match=r"^20 of the 20 inputs .* out.csv .*--prune$") as refused:
            go(inputs=inputs)
        assert refused.value.exit_code == 1
        assert content() == first
    archive.rmdir()
    os.rename("elsewhere", "in")
    assert go()[0] == []
    assert content() == first
    empty(archive)
    go(prune=True)
    assert content().count(b"\r\n") == 1


def test_a_folder_that_moved_is_not_gone(archive):
    go()
    archive.rename("moved")
    assert go(inputs=["moved"])[0] == []
    assert content() == fresh(inputs=["moved"])


def test_names_that_changed_places_cost_nothing(archive):
    """Renumbered by one, as a camera's counter does; and two names swapped."""
    go()
    for number in reversed(range(20)):
        os.rename(archive / names(number)[0], archive / names(number + 1)[0])
    shutil.copyfile(archive / "000001.jpg", archive / "000000.jpg")
    swap_content(archive, 0, 1)
    assert go(batch=1)[0] == names(0)
    assert content() == fresh()
    for source, target in (("000003.jpg", "aside"), ("000017.jpg", "000003.jpg"), ("aside", "000017.jpg")):
        os.rename(archive / source, archive / target)
    assert go(batch=1)[0] == []
    assert content() == fresh()


def test_what_changed_is_not_gone(archive):
    go()
    for number in range(14):
        swap_content(archive, number, 19)
        with open(archive / names(number)[0], "ab") as stream:
            stream.write(names(number)[0].encode())
    for number in range(14, 20):
        (archive / names(number)[0]).unlink()
    assert go()[0] == names(*range(14))
    for number in range(2, 14):
        (archive / names(number)[0]).unlink()
    with pytest.raises(InputsGone, match=r"^12 of the 14 inputs"):
        go()


def test_few_may_go_but_never_all(archive):
    for number in range(12, 20):
        (archive / names(number)[0]).unlink()
    go()
    for number in range(2, 12):
        (archive / names(number)[0]).unlink()
    go()
    assert content() == fresh()
    for number in range(2):
        (archive / names(number)[0]).unlink()
    with pytest.raises(InputsGone, match=r"^2 of the 2 inputs"):
        go()
    assert go(inputs=["in", "fresh.csv"], prune=True)[1].finished


def test_other_inputs_at_the_same_output_are_no_loss_when_they_are_few(archive):
    go(inputs=["in/000000.jpg"])
    assert go(inputs=["in/000001.jpg"])[0] == names(1)


def test_a_run_that_is_stopped_leaves_the_older_output_and_goes_on(archive):
    go()
    first = content()
    swap_content(archive, 1, 2)
    swap_content(archive, 18, 3)
    stops = iter([False, True])
    asked, outcome = go(observers=Observers(stop=lambda: next(stops)), batch=1)
    assert not outcome.finished and content() == first
    asked_then, outcome = go()
    assert sorted(asked + asked_then) == names(1, 18) and outcome.finished
    assert content() == fresh() != first


def test_a_run_is_stopped_in_a_query_wherever_that_is(archive, monkeypatch):
    """While the journal is opened, too; the same run goes on afterwards."""
    go()
    before = content()
    (archive / "000000.jpg").write_bytes((archive / "000001.jpg").read_bytes())
    monkeypatch.setattr(journal, "_STEPS", 1)
    for calls in (1, 30, 300, 1000):
        asked = iter(range(calls))
        outcome = go(observers=Observers(stop=lambda: next(asked, None) is None))[1]  # noqa: B023 - used at once
        assert (outcome.finished, content()) == (False, before)
    assert go()[1].finished


def test_an_observer_that_raises_loses_nothing_of_the_batch(archive):
    def seen(record, fate):
        raise FacetagError("enough")

    with pytest.raises(FacetagError, match="enough"):
        go(observers=Observers(seen=seen))
    assert len(go()[0]) == 16
    assert content() == fresh()


def test_answers_to_boxes_belong_to_paths(archive):
    basis = replace(BASIS, faces="boxes", boxes="a digest")
    go(basis=basis)
    (archive / "000000.jpg").rename(archive / "zz.jpg")
    os.utime(archive / "000001.jpg")
    assert go(basis=basis)[0] == ["zz.jpg"]
    assert go(basis=replace(basis, boxes="another"))[0] == sorted(os.listdir(archive))


@pytest.mark.parametrize("out", ["out.csv", "/dev/stdout"])
def test_a_drawing_that_fails_is_its_images_remark_and_tried_again(archive, tmp_path, out):
    draw, told = Drawer(tmp_path / "drawn"), []
    blocked = tmp_path / "drawn" / file_name("in/000003.jpg")
    blocked.mkdir()
    _, outcome = go(out, observers=Observers(draw, seen=lambda record, fate: told.append(record)))
    assert outcome.finished and len(told) == 20
    remarks = {record.path: record.error for record in told if record.error}
    assert list(remarks) == ["in/000003.jpg"] and remarks["in/000003.jpg"].startswith(
        "could not be drawn: cannot write"
    )
    if out == "out.csv":
        blocked.rmdir()
        assert go(observers=Observers(draw))[0] == names(3)
        assert "could not be drawn" not in (tmp_path / out).read_text()


def test_drawings_that_are_not_there_are_made(archive, tmp_path):
    go()
    draw = Drawer(tmp_path / "drawn")
    assert go(observers=Observers(draw))[0] == names(*range(20))
    assert len(os.listdir("drawn")) == 20
    os.unlink(next((tmp_path / "drawn").iterdir()))
    assert len(go(observers=Observers(draw))[0]) == 1
    assert len(os.listdir("drawn")) == 20


def test_every_name_survives(archive):
    for name in (b"new\nline.jpg", b"\xff\xfe.jpg", b"back\\slash\\x0a.jpg", "é😀.jpg".encode(), b"n" * 251 + b".jpg"):
        shutil.copyfile(archive / "000000.jpg", os.path.join(os.fsencode(archive), name))
    go()
    first = content()
    assert go()[0] == [] and content() == first == fresh()


def test_an_output_of_any_name(archive):
    for name in (b"new\nline.csv", b"\xff\xfe.csv", b"?uri=#%20.csv", b":memory:.csv"):
        out = os.fsdecode(name)
        go(out)
        assert go(out)[0] == []
    with pytest.raises(FacetagError, match="File name too long"):
        go("n" * 251 + ".csv")


def test_a_link_shares_what_lies_beside_its_target(archive):
    os.mkdir("deep")
    os.symlink("deep/real.csv", "link.csv")
    go("link.csv")
    assert sorted(os.listdir("deep")) == ["real.csv", "real.csv.facetag.sqlite"]
    assert os.path.islink("link.csv") and go("deep/real.csv")[0] == []


def test_what_is_no_file_has_no_journal(archive, capfdbinary):
    go("-")
    assert capfdbinary.readouterr().out == fresh()
    go("/dev/null")
    os.mkfifo("fifo")
    received = []
    reader = threading.Thread(target=lambda: received.append(content("fifo")))
    reader.start()
    go("fifo")
    reader.join()
    assert received == [content("fresh.csv")]
    assert stat.S_ISFIFO(os.stat("fifo").st_mode)
    assert not [name for name in os.listdir() if "fifo." in name] and not os.path.exists("/dev/null.lock")


def test_a_stopped_stream_is_a_whole_document(archive, capfdbinary):
    outcome = go("-", observers=Observers(stop=lambda: True))[1]
    assert not outcome.finished
    assert capfdbinary.readouterr().out.count(b"\r\n") == 5


def test_a_journal_of_another_command_is_refused(archive):
    go()
    with pytest.raises(JournalError, match=r"belongs to an output of `facetag localize`; .*--overwrite"):
        go(basis=replace(BASIS, command="predict"))
    assert len(go(basis=replace(BASIS, command="predict"), overwrite=True)[0]) == 20


@pytest.mark.parametrize("point", ["create", "commit", "written"])
def test_a_full_disk_is_one_line_and_loses_nothing(archive, point):
    """ENOSPC where it may come: making the journal, committing, writing the output."""
    passed = []

    def at(here):
        passed.append(here)
        if here == point and passed.count(point) == (3 if point == "commit" else 1):
            raise OSError(28, "No space left on device")

    with pytest.raises(FacetagError, match=r"^cannot write .*: No space left on device; [^\n]+$"):
        go(observers=Observers(at=at))
    assert not os.path.exists("out.csv")
    assert not [name for name in os.listdir() if name.endswith((".tmp", ".lock"))]
    asked, _ = go()
    assert len(asked) == {"create": 20, "commit": 16, "written": 0}[point]
    assert content() == fresh()


def test_the_points_of_a_run(archive):
    passed = []
    go(observers=Observers(at=passed.append), batch=10)
    commit = ["commit", "committed"]
    assert passed == ["create", "created", *3 * commit, "written", "synced", "renamed", *commit]


def test_a_second_run_is_refused_at_once_or_waits(archive):
    inside, leave = threading.Event(), threading.Event()

    def hold(record, fate):
        inside.set()
        leave.wait(10)

    holder = threading.Thread(target=go, kwargs={"observers": Observers(seen=hold)})
    holder.start()
    inside.wait(10)
    try:
        for wait in (0.0, 0.1):
            with pytest.raises(
                OutputLocked, match=r"^another run writes out.csv \(process \d+ on .+\); .*--lock-wait"
            ) as refused:
                go(lock_wait=wait)
            assert refused.value.exit_code == 75
        with pytest.raises(OutputLocked):
            go(lock_wait=60, observers=Observers(stop=lambda: True))
        threading.Timer(0.2, leave.set).start()
        assert go(lock_wait=30)[0] == []
    finally:
        leave.set()
        holder.join()
    assert not os.path.exists("out.csv.lock")


def test_statuses_of_kept_records_are_seen(archive):
    (archive / "000002.jpg").write_bytes(b"")
    for _ in range(2):
        seen = []
        go(observers=Observers(seen=lambda *told, seen=seen: seen.append(told)))
        assert [record.status for record, _ in seen].count(Status.UNREADABLE) == 1
        assert [os.path.basename(record.path) for record, _ in seen] == names(*range(20))


def test_the_commands_words_reach_the_run(archive, model_folder, capfdbinary):
    """Of `facetag localize`: how many of four were kept, by its record."""
    for name in names(*range(4, 20)):
        (archive / name).unlink()
    (archive / "000002.jpg").write_bytes(b"not an image")

    def kept(*words, code=ExitCode.SOME_FAILED):
        assert cli.run(["localize", "in", "--out", "out.csv", "--model", str(model_folder), *words]) == code
        with open("out.csv.run.json", encoding="utf-8") as stream:
            return json.load(stream)["kept"]

    assert [kept(), kept(), kept("--retry-failed"), kept("--rehash"), kept("--overwrite")] == [0, 4, 3, 3, 0]
    assert kept("--min-face", "20") == 0
    empty(archive)
    kept(code=ExitCode.FATAL)
    assert b"--prune" in capfdbinary.readouterr().err
    kept("--prune", code=ExitCode.OK)
    assert content().count(b"\r\n") == 1
    for word in ("--retry-failed", "--rehash", "--prune"):
        assert cli.run(["localize", "in", "--model", str(model_folder), word]) == ExitCode.USAGE


def test_every_input_has_its_fate_and_what_is_gone_is_counted(archive):
    def fates(**words):
        met = []
        outcome = go(observers=Observers(seen=lambda record, fate: met.append((record.path, fate))), **words)[1]
        return {os.path.basename(path): fate.value for path, fate in met if fate is not Fate.REUSED}, outcome.gone

    assert fates() == (dict.fromkeys(names(*range(20)), "new"), 0)
    (archive / "000001.jpg").write_bytes((archive / "000001.jpg").read_bytes() + b"more")
    (archive / "000002.jpg").rename(archive / "renamed.jpg")
    (archive / "000003.jpg").unlink()
    assert fates() == ({"000001.jpg": "changed"}, 2)
    assert fates() == ({}, 0)
    assert fates(basis=replace(BASIS, min_face=9))[0] == dict.fromkeys(os.listdir(archive), "changed")


def rows_of(out="out.csv"):
    with open(out, encoding="utf-8") as stream:
        return [os.path.basename(row["path"]) for row in csv.DictReader(stream)]


def test_other_arguments_would_drop_rows_and_are_refused(archive):
    first, second = names(0, 1), names(2)
    go(inputs=[f"in/{name}" for name in first], arguments="first")
    with pytest.raises(UsageError, match=r"out.csv.facetag.sqlite is of a run that was given other inputs"):
        go(inputs=[f"in/{name}" for name in second], arguments="second")
    assert rows_of() == first


def test_appended_inputs_come_behind_what_is_there(archive):
    go(inputs=["in/000005.jpg", "in/000001.jpg"], arguments="first")
    asked, outcome = go(inputs=["in/000000.jpg", "in/000001.jpg"], arguments="second", append=True)
    assert (asked, outcome.reused, outcome.gone) == (names(0), 1, 0)
    assert rows_of() == names(5, 1, 0)


@pytest.mark.parametrize("before", ["in", "./in", "in/../in", "{here}/in"])
@pytest.mark.parametrize("after", ["in", "./in", "in//", "in/../in", "{here}/in"])
def test_appended_inputs_are_known_however_they_are_spelled(archive, before, after):
    for name in names(*range(3, 20)):
        (archive / name).unlink()
    before, after = (each.format(here=archive.parent) for each in (before, after))
    go(inputs=[before], arguments="first")
    first = content()
    (archive / "new.jpg").write_bytes((archive / "000000.jpg").read_bytes())
    asked, outcome = go(inputs=[after, f"{before}/new.jpg"], arguments="second", append=True)
    assert (asked, outcome.reused) == ([], 4)
    assert content().startswith(first) and rows_of() == [*names(0, 1, 2), "new.jpg"]


def test_a_file_of_another_folder_takes_no_row_of_the_same_name(archive, monkeypatch):
    """`find -execdir facetag predict {} --append --out /tags.csv +`."""
    out = archive.parent / "out.csv"
    other = archive.parent / "other"
    other.mkdir()
    for name, source in (("000000.jpg", names(1)), ("new.jpg", names(2))):
        shutil.copyfile(archive / source[0], other / name)
    monkeypatch.chdir(archive)
    go(out, inputs=["000000.jpg"], append=True)
    monkeypatch.chdir(other)
    for spelling in ("000000.jpg", "./000000.jpg"):
        with pytest.raises(UsageError, match=r"000000.jpg is already there, of another folder; name absolute paths"):
            go(out, inputs=[spelling], append=True)
    for inputs in ([str(other / "000000.jpg")], ["new.jpg"]):
        go(out, inputs=inputs, append=True)
    assert rows_of(out) == ["000000.jpg", "000000.jpg", "new.jpg"]
    assert str(other / "000000.jpg").encode() in content(out)
    monkeypatch.chdir(archive)
    shutil.copyfile(names(3)[0], "new.jpg")
    with pytest.raises(UsageError, match=r"new.jpg is already there"):
        go(out, inputs=["new.jpg"], append=True)


def test_an_archive_that_was_copied_with_its_output_is_appended_to(archive, monkeypatch):
    """Its folder is another one, and the first one is there still."""
    monkeypatch.chdir(archive)
    go(inputs=["000000.jpg"], append=True)
    shutil.copytree(archive, archive.parent / "copy")
    monkeypatch.chdir(archive.parent / "copy")
    swap_content(archive.parent / "copy", 0, 1)
    go(inputs=["000000.jpg", "000002.jpg"], append=True)
    assert rows_of() == names(0, 2)


def test_a_dry_run_knows_what_appending_would_know(archive):
    go(inputs=["in"], arguments="first")
    engine = Engine.of(Cascade(Counting()), ReadSettings())
    told = dict(dry_run(discover(["./in"]), engine, RunFiles.of("out.csv"), BASIS, RunSettings(append=True)))
    assert len(told) == 20 and set(told.values()) == {Prospect.KEPT}


def test_nothing_is_appended_to_an_output_whose_journal_is_gone(archive):
    go(inputs=["in/000000.jpg"], append=True)
    before = content()
    for lose in (os.unlink, lambda path: open(path, "w").close()):
        lose("out.csv.facetag.sqlite")
        with pytest.raises(UsageError, match=r"out.csv has no journal at .*out.csv.facetag.sqlite, so nothing"):
            go(inputs=["in/000001.jpg"], append=True)
        assert content() == before


def test_answers_to_another_question_that_stay_in_an_output_are_said(archive, capfd):
    go(inputs=["in/000000.jpg", "in/000001.jpg"], append=True)
    go(inputs=["in/000002.jpg"], append=True)
    assert not capfd.readouterr().err
    go(inputs=["in/000001.jpg"], append=True, basis=replace(BASIS, min_face=2))
    assert "warning: out.csv keeps 2 answers of another model or other settings\n" in capfd.readouterr().err
    assert rows_of() == names(0, 1, 2)


def test_faces_that_lack_an_attribute_are_one_line(archive):
    def decide(record):
        raise KeyError("Male")

    with pytest.raises(UsageError, match=r"^out.csv keeps faces without Male, of another model or other --exclude"):
        publish([ImageResult("a.jpg", Status.OK)], Document("out.csv", "csv", ("Male",), decide))
    assert not os.path.exists("out.csv")


def test_what_was_appended_can_be_merged(archive):
    go(inputs=["in/000005.jpg", "in/000001.jpg"], arguments="first")
    go(inputs=["in/000000.jpg", "in/000001.jpg"], arguments="second", append=True)
    assert merge(["out.csv"], "merged.csv") == 3
    assert content("merged.csv") == content()


def test_what_several_commands_appended_is_dropped_by_none_of_them(archive):
    """`xargs facetag predict --append`, and then a call that forgets the option."""
    go(inputs=["in/000000.jpg"], arguments="first", append=True)
    assert go(inputs=["in/000000.jpg"], arguments="first")[0] == []
    for command in ("second", "first"):
        go(inputs=["in/000001.jpg"], arguments=command, append=True)
        for arguments in ("first", "second"):
            with pytest.raises(UsageError, match="add these with --append"):
                go(inputs=["in/000000.jpg"], arguments=arguments, prune=True)
    assert rows_of() == names(0, 1)


def test_a_file_that_facetag_did_not_write_is_not_replaced(archive):
    with open("out.csv", "w", encoding="utf-8") as stream:
        stream.write("name,price\n")
    with pytest.raises(UsageError, match=r"^out.csv was not written by facetag"):
        go()
    assert content() == b"name,price\n"
    go(overwrite=True)
    assert len(rows_of()) == 20


def test_the_database_of_another_program_is_not_removed_to_begin_anew(archive):
    with closing(sqlite3.connect("out.csv.facetag.sqlite")) as base:
        base.execute("CREATE TABLE mine (x)")
    before = content("out.csv.facetag.sqlite")
    with pytest.raises(JournalError, match="belongs to another program"):
        go(overwrite=True)
    assert content("out.csv.facetag.sqlite") == before


def test_the_new_file_has_the_mode_of_the_old_one(archive):
    go()
    os.chmod("out.csv", 0o600)
    (archive / "000000.jpg").unlink()
    go()
    assert stat.S_IMODE(os.stat("out.csv").st_mode) == 0o600 and len(rows_of()) == 19


@pytest.mark.skipif(os.getuid() != 0, reason="only the superuser gives files away")
def test_the_new_file_has_the_owner_of_the_old_one(archive):
    go()
    os.chown("out.csv", 1234, 4321)
    (archive / "000000.jpg").unlink()
    go()
    assert (os.stat("out.csv").st_uid, os.stat("out.csv").st_gid) == (1234, 4321) and len(rows_of()) == 19


@pytest.mark.parametrize("point", ["create", "created", "commit", "written", "synced", "renamed"])
def test_nobody_else_may_read_what_becomes_a_private_output(archive, point):
    """Neither the document while it is written nor the journal, which holds the same answers."""
    open("out.csv", "w").close()
    os.chmod("out.csv", 0o600)
    seen = []

    def at(passed):
        if passed == point:
            names = [name for name in os.listdir() if name.startswith(("out.csv", ".facetag")) and "lock" not in name]
            seen.append({name: stat.S_IMODE(os.stat(name).st_mode) for name in names})

    go(observers=Observers(at=at))
    go(observers=Observers(at=at), overwrite=True)
    assert len(seen) > 1 and {mode for modes in seen for mode in modes.values()} == {0o600}


def test_a_lock_of_the_users_own_is_left_alone(archive):
    open("out.csv.lock", "w").close()
    go()
    assert os.path.exists("out.csv.lock")
    with open("out.csv.lock", "w", encoding="utf-8") as stream:
        stream.write("mine")
    with pytest.raises(FacetagError, match="is not facetag's lock"):
        go()


def test_a_file_dated_beyond_what_sqlite_holds_is_kept_like_others(archive):
    os.utime(archive / "000000.jpg", ns=(1 << 61, 10_413_792_000 * 10**9))
    go()
    assert go()[0] == []
