"""Sidecars: merged into what is there, taken out again, and nothing hostile believed."""

import json
import os
import shutil
import stat
import subprocess

import numpy as np
import pytest
from lxml import etree
from PIL import Image

from facetag.errors import FacetagError, SidecarError
from facetag.formats.keywords import keywords_of
from facetag.formats.xmp import packet as packets
from facetag.formats.xmp.keywords import DIGIKAM, LIGHTROOM, SUBJECT
from facetag.formats.xmp.packet import Packet
from facetag.formats.xmp.sidecar import SidecarNames, Sidecars, sidecars_of, tag_sidecar, untag_sidecar
from facetag.geometry import Box
from facetag.images.header import stored_orientation
from facetag.images.orient import INVERSE, is_turned, stored_box, upright
from facetag.results import FaceResult, ImageResult, Status

RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
PHOTO = "photo.jpg"


def face(*tags, box=(64, 48, 80, 96)):
    return FaceResult(Box(*box), 0.9, dict.fromkeys(tags, 0.9), tags)


def record(*faces, status=Status.OK, width=640, height=480):
    return ImageResult(PHOTO, status, "", width, height, faces)


def sidecar(*properties, about="", head="", inside=""):
    """A sidecar as others write them."""
    return f"""{head}<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{RDF}">
<rdf:Description rdf:about="{about}" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:lr="http://ns.adobe.com/lightroom/1.0/"
 xmlns:digiKam="http://www.digikam.org/ns/1.0/" xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/"
 xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#"
 xmp:Rating="4" xmlns:odd="urn:odd" odd:kept="ja">
{"".join(properties)}{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"""


def bag(name, *texts, kind="Bag"):
    items = "".join(f"<rdf:li>{text}</rdf:li>" for text in texts)
    return f"<{name}><rdf:{kind}>{items}</rdf:{kind}></{name}>"


def region(x, y, width, height, name="Anna", unit="normalized"):
    """Written in the other form: fields as elements."""
    return (
        f'<rdf:li rdf:parseType="Resource"><mwg-rs:Name>{name}</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type>'
        f'<mwg-rs:Area rdf:parseType="Resource"><stArea:x>{x}</stArea:x><stArea:y>{y}</stArea:y><stArea:w>{width}'
        f"</stArea:w><stArea:h>{height}</stArea:h><stArea:unit>{unit}</stArea:unit></mwg-rs:Area></rdf:li>"
    )


def regions(*items, width=640, height=480):
    return (
        '<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:AppliedToDimensions rdf:parseType="Resource">'
        f"<stDim:w>{width}</stDim:w><stDim:h>{height}</stDim:h><stDim:unit>pixel</stDim:unit>"
        f"</mwg-rs:AppliedToDimensions><mwg-rs:RegionList><rdf:Bag>{''.join(items)}</rdf:Bag></mwg-rs:RegionList>"
        "</mwg-rs:Regions>"
    )


def texts(path, listed=SUBJECT):
    return Packet(path.read_bytes()).texts(listed)


def region_count(path):
    return path.read_text().count("mwg-rs:Type")


def canonical(data):
    """What an XML file says, without the white space between its elements."""
    parser = etree.XMLParser(remove_blank_text=True)
    return etree.tostring(etree.fromstring(data, parser), method="c14n")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "photo.jpg.xmp"


def test_a_new_sidecar_has_keywords_in_three_lists_and_a_region_a_face(path):
    tag_sidecar(str(path), record(face("Smiling", "Wearing_Hat"), face("Smiling", box=(300, 48, 80, 96))), 1)
    assert texts(path) == ["Smiling", "Wearing Hat"]
    assert texts(path, LIGHTROOM) == ["facetag|Smiling", "facetag|Wearing Hat"]
    assert texts(path, DIGIKAM) == ["facetag/Smiling", "facetag/Wearing Hat"]
    assert region_count(path) == 2
    assert 'stArea:x="0.162500" stArea:y="0.200000" stArea:w="0.125000" stArea:h="0.200000"' in path.read_text()
    before = path.read_bytes(), path.stat().st_mtime_ns
    tag_sidecar(str(path), record(face("Smiling", "Wearing_Hat"), face("Smiling", box=(300, 48, 80, 96))), 1)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_what_others_wrote_survives_three_retags_and_untag_gives_it_back(path):
    theirs = sidecar(
        bag(SUBJECT, "Paris", "Smiling", "é &amp; ü"), bag("dc:creator", "me", kind="Seq"),
        regions(region(0.8, 0.8, 0.1, 0.1)), head="<?xpacket begin='' id='W5M0MpCehiHzreSzNTczkc9d'?><!-- mine -->",
    )  # fmt: skip
    path.write_text(theirs)
    for tags in (("Smiling", "Young"), ("Bald",), ("Male", "Smiling")):
        tag_sidecar(str(path), record(face(*tags)), 1)
        new = [tag for tag in tags if tag != "Smiling"]
        assert texts(path) == ["Paris", "Smiling", "é & ü", *new]
        assert region_count(path) - 1 == 2  # an element has two tags
        assert [word for word in ("Anna", "<!-- mine -->", 'odd:kept="ja"') if word not in path.read_text()] == []
    assert untag_sidecar(str(path)) and not untag_sidecar(str(path))
    assert canonical(path.read_bytes()) == canonical(theirs.encode())


def test_a_list_that_is_begun_hides_no_keyword_of_the_others(path):
    path.write_text(sidecar(bag(SUBJECT, "Paris", "Rome"), bag(LIGHTROOM, "Places|Paris")))
    for _ in range(3):
        tag_sidecar(str(path), record(face("Bald")), 1)
        assert texts(path, LIGHTROOM) == ["Places|Paris", "facetag|Bald"]
        assert texts(path, DIGIKAM) == ["Places/Paris", "Rome", "facetag/Bald"]
    untag_sidecar(str(path))
    assert texts(path, DIGIKAM) == [] and texts(path) == ["Paris", "Rome"]


def test_copies_stay_when_a_photo_manager_adds_to_the_list_that_facetag_began(path):
    path.write_text(sidecar(bag(SUBJECT, "Paris")))
    tag_sidecar(str(path), record(face("Bald")), 1)
    changed = Packet(path.read_bytes())
    changed.append(DIGIKAM, ["People/Anna"])
    path.write_bytes(changed.to_bytes())
    tag_sidecar(str(path), record(face("Young")), 1)
    assert texts(path, DIGIKAM) == ["People/Anna", "Paris", "facetag/Young"]


def test_a_sidecar_of_facetags_own_goes_when_it_has_nothing_else_and_stays_when_it_has(path):
    tag_sidecar(str(path), record(face("Bald")), 1)
    assert untag_sidecar(str(path), dry_run=True) and path.exists()
    assert untag_sidecar(str(path)) and not path.exists()
    tag_sidecar(str(path), record(face("Bald")), 1)
    path.write_text(path.read_text().replace('rdf:about=""', 'rdf:about="" xmlns:q="urn:q" q:stars="5"'))
    assert untag_sidecar(str(path)) and 'q:stars="5"' in path.read_text() and "facetag" not in texts(path)


def test_an_image_without_faces_loses_its_tags_and_gets_no_new_sidecar(path):
    nothing = ImageResult(PHOTO, Status.NO_FACE, "", 640, 480)
    tag_sidecar(str(path), nothing, 1)
    assert not path.exists()
    path.write_text(sidecar(bag(SUBJECT, "Paris")))
    tag_sidecar(str(path), record(face("Bald")), 1)
    tag_sidecar(str(path), nothing, 1)
    assert texts(path) == ["Paris"] and texts(path, DIGIKAM) == [] and region_count(path) == 0


def test_a_region_that_somebody_named_is_theirs_and_its_face_gets_no_second_one(path):
    tag_sidecar(str(path), record(face("Bald")), 1)
    named = path.read_text().replace('mwg-rs:Type="Face"', 'mwg-rs:Type="Face" mwg-rs:Name="Anna"')
    path.write_text(named)
    tag_sidecar(str(path), record(face("Bald", box=(66, 50, 80, 96)), face("Young", box=(400, 200, 80, 96))), 1)
    assert region_count(path) == 2 and path.read_text().count('mwg-rs:Name="Anna"') == 1
    untag_sidecar(str(path))
    assert region_count(path) == 1 and "Anna" in path.read_text()


def test_our_regions_come_behind_all_others_since_digikam_reads_up_to_the_first_without_a_name(path):
    path.write_text(sidecar(regions(region(0.8, 0.8, 0.1, 0.1))))
    tag_sidecar(str(path), record(face("Bald")), 1)
    root = etree.fromstring(path.read_bytes())
    (listed,) = root.findall(f".//{packets.name('mwg-rs:RegionList')}/{{{RDF}}}Bag")
    listed.append(listed[0])  # as if it had been added since
    path.write_bytes(etree.tostring(root))
    assert path.read_text().index("digest=") < path.read_text().index("Anna")
    tag_sidecar(str(path), record(face("Bald", "Young")), 1)
    assert path.read_text().index("Anna") < path.read_text().index("digest=")


def test_regions_of_an_image_of_another_shape_get_no_company(path):
    path.write_text(sidecar(regions(region(0.8, 0.8, 0.1, 0.1), width=480, height=640)))
    assert not tag_sidecar(str(path), record(face("Bald")), 1)
    assert "digest" not in path.read_text() and texts(path) == ["Bald"]
    path.write_text(sidecar(regions(region(0.8, 0.8, 0.1, 0.1), width=1280, height=960)))
    assert tag_sidecar(str(path), record(face("Bald")), 1) and "digest" in path.read_text()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_lie_in_the_stored_frame(path, orientation):
    width, height, box = 64, 48, Box(8, 4, 16, 12)
    pixels = np.zeros((height, width), np.uint8)
    pixels[4:16, 8:24] = 255
    stored = upright(pixels, INVERSE[orientation])
    rows, columns = np.nonzero(stored)
    left, top = columns.min(), rows.min()
    expected = Box(left, top, columns.max() + 1 - left, rows.max() + 1 - top)
    assert stored_box(box, width, height, orientation) == expected
    tag_sidecar(str(path), record(face("Bald", box=(8, 4, 16, 12)), width=width, height=height), orientation)
    text = path.read_text()
    x, y = expected.center
    tall, wide = stored.shape
    assert f'stArea:x="{x / wide:.6f}" stArea:y="{y / tall:.6f}"' in text
    assert f'stDim:w="{wide}" stDim:h="{tall}"' in text and is_turned(orientation) == (wide == height)


def test_a_box_beyond_the_frame_is_cut_and_one_outside_is_left_out(path):
    tag_sidecar(str(path), record(face(box=(-40, -40, 80, 80)), face(box=(700, 0, 50, 50))), 1)
    assert region_count(path) == 1
    assert 'stArea:x="0.031250" stArea:y="0.041667" stArea:w="0.062500" stArea:h="0.083333"' in path.read_text()


BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9)
) + "]>"  # fmt: skip


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (sidecar(head=BOMB, inside="<dc:title>&j;</dc:title>").encode(), "document type"),
        (sidecar(head='<!DOCTYPE x SYSTEM "file:///etc/passwd">').encode(), "document type"),
        (sidecar(head='<!DOCTYPE x SYSTEM "http://example.org/x">').encode("utf-16"), "document type"),
        (b" " * (packets.MAX_BYTES + 1), "more than 8 MB"),
        (b"", "no XML"),
        (b"\xff\xd8\xff\xe0", "no UTF-8"),
        (b"<html/>", "no XMP"),
        (sidecar(inside="<dc:title>").encode(), "no XML"),
        (("<a>" * 100_000).encode(), "no XML"),
        (sidecar("<dc:subject>text</dc:subject>").encode(), "dc:subject is no list"),
        (sidecar(bag(SUBJECT, "a")).replace("rdf:Bag", "rdf:Sack").encode(), "dc:subject is no list"),
        (sidecar(regions()).replace("rdf:Bag", "rdf:Sack").encode(), "mwg-rs:RegionList is no list"),
    ],
)
def test_a_hostile_or_broken_sidecar_is_refused_and_stays(path, data, reason):
    path.write_bytes(data)
    for change in (lambda: tag_sidecar(str(path), record(face("Bald")), 1), lambda: untag_sidecar(str(path))):
        try:
            change()
        except SidecarError as error:
            assert reason in str(error)
        else:
            assert "is no list" in reason and change.__code__.co_names[0] == "untag_sidecar"
        assert path.read_bytes() == data
    assert os.listdir(path.parent) == [path.name]


def test_utf_16_and_a_declaration_are_read(path):
    path.write_bytes(('<?xml version="1.0" encoding="UTF-16"?>' + sidecar(bag(SUBJECT, "Zürich"))).encode("utf-16"))
    tag_sidecar(str(path), record(face("Bald")), 1)
    assert texts(path) == ["Zürich", "Bald"]


def test_comments_are_no_keywords_and_stay(path):
    theirs = sidecar(bag(SUBJECT, "Paris"), regions(region(0.8, 0.8, 0.1, 0.1)))
    path.write_text(theirs.replace("<rdf:li", "<!--c--><rdf:li"))
    tag_sidecar(str(path), record(face("Bald")), 1)
    assert texts(path) == ["Paris", "Bald"] and texts(path, DIGIKAM) == ["Paris", "facetag/Bald"]
    untag_sidecar(str(path))
    assert path.read_text().count("<!--c-->") == 2 and texts(path) == ["Paris"]


def test_nothing_is_written_through_links(path, tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text(sidecar())
    before = victim.read_bytes()
    path.symlink_to(victim)
    with pytest.raises(SidecarError, match="a link, folder or device"):
        tag_sidecar(str(path), record(face("Bald")), 1)
    path.unlink()
    planted = tmp_path / ".facetag"
    tag_sidecar(str(path), record(face("Bald")), 1)
    (temporary,) = temporary_names(path)
    (tmp_path / temporary).symlink_to(victim)
    tag_sidecar(str(path), record(face("Young")), 1)
    assert victim.read_bytes() == before and texts(path) == ["Young"] and not planted.exists()
    assert sorted(os.listdir(tmp_path)) == ["photo.jpg.xmp", "victim.txt"]


def temporary_names(path):
    """What a write of `path` is called until it is whole."""
    names = []
    replace, os.replace = os.replace, lambda old, new: (names.append(os.path.basename(old)), replace(old, new))
    try:
        tag_sidecar(str(path), record(face("Goatee")), 1)
    finally:
        os.replace = replace
    return names


def test_a_write_that_fails_leaves_the_old_sidecar_and_nothing_else(path, monkeypatch):
    path.write_text(sidecar(bag(SUBJECT, "Paris")))
    path.chmod(0o640)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(FacetagError, match=r"cannot write .*photo\.jpg\.xmp: No space left on device"):
            tag_sidecar(str(path), record(face("Bald")), 1)
    assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
    tag_sidecar(str(path), record(face("Bald")), 1)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_two_photographs_that_differ_in_extension_keep_two_sidecars(tmp_path):
    for name in ("a.jpg", "A.PNG", "b.jpg", "b.jpg.xmp", "c"):
        (tmp_path / name).touch()
    long, short = SidecarNames("xmp"), SidecarNames("xmp-stem")
    at = str(tmp_path) + "/"
    assert [long(at + name) for name in ("a.jpg", "A.PNG")] == [at + "a.jpg.xmp", at + "A.PNG.xmp"]
    assert [short(at + name) for name in ("a.jpg", "A.PNG", "c")] == [at + "a.jpg.xmp", at + "A.PNG.xmp", at + "c.xmp"]
    (tmp_path / "b.jpg.xmp").rename(tmp_path / "b.xmp")
    assert SidecarNames("xmp-stem")(at + "b.jpg") == at + "b.xmp"


def jpeg(path, orientation=1, size=(64, 48)):
    exif = Image.Exif()
    exif[274] = orientation
    Image.new("RGB", size, "gray").save(path, "JPEG", exif=exif)


def test_a_run_tells_of_each_image_what_went_wrong_and_goes_on(tmp_path):
    said = []
    for name in ("good.jpg", "link.jpg", "other.jpg"):
        jpeg(tmp_path / name, 6)
    (tmp_path / "link.jpg.xmp").symlink_to("good.jpg")
    sidecars = Sidecars("xmp", lambda name: str(tmp_path / name), said.append)
    for name in ("good.jpg", "link.jpg", "gone.jpg", "other.jpg"):
        sidecars(ImageResult(name, Status.OK, "", 48, 64, (face("Bald", box=(0, 0, 24, 32)),)))
    sidecars(ImageResult("failed.jpg", Status.UNREADABLE, "no"))
    sidecars(ImageResult("without.jpg", Status.NO_FACE, "", 48, 64))
    assert (sidecars.written, sidecars.refused) == (2, 2)
    assert [line.split(": ", 1)[1] for line in said] == [
        "a link, folder or device has its name; move it away", "No such file or directory"
    ]  # fmt: skip
    assert 'stDim:w="64" stDim:h="48"' in (tmp_path / "good.jpg.xmp").read_text()
    assert list(sidecars_of(str(tmp_path / "good.jpg"))) == [str(tmp_path / "good.jpg.xmp")]
    assert [os.path.basename(found) for found in sidecars_of(str(tmp_path))] == [
        "good.jpg.xmp", "link.jpg.xmp", "other.jpg.xmp"
    ]  # fmt: skip


def test_orientation_is_read_without_pixels(tmp_path):
    for orientation in (1, 5, 8):
        jpeg(tmp_path / "x.jpg", orientation, (6000, 4000))
        assert stored_orientation(str(tmp_path / "x.jpg")) == orientation


def test_keywords_come_once_in_the_order_of_the_attributes():
    first = FaceResult(Box(0, 0, 1, 1), 1, {"Bald": 0.1, "Male": 0.9, "Young": 0.8}, ("Male",))
    second = FaceResult(Box(0, 0, 1, 1), 1, {"Bald": 0.9, "Male": 0.9, "Young": 0.8}, ("Bald", "Male"))
    assert keywords_of(record(first, second)) == ["Bald", "Male"]


def exiftool(*arguments):
    assert shutil.which("exiftool"), "apt-get install libimage-exiftool-perl"
    return subprocess.run(["exiftool", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def exiv2(*arguments):
    assert shutil.which("exiv2"), "apt-get install exiv2"
    return subprocess.run(["exiv2", *map(str, arguments)], check=True, capture_output=True, text=True).stdout


@pytest.mark.system
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exiftool_reads_back_what_was_meant(path, orientation):
    tag_sidecar(str(path), record(face("Smiling", "Wearing_Hat")), orientation)
    (read,) = json.loads(exiftool("-j", "-struct", path))
    assert read["Subject"] == ["Smiling", "Wearing Hat"] and "Warning" not in read
    assert read["HierarchicalSubject"] == ["facetag|Smiling", "facetag|Wearing Hat"]
    assert read["TagsList"] == ["facetag/Smiling", "facetag/Wearing Hat"]
    (found,) = read["RegionInfo"]["RegionList"]
    meant = stored_box(Box(64, 48, 80, 96).scaled(1 / 640, 1 / 480), 1, 1, orientation)
    x, y = meant.center
    area = {side.lower(): value for side, value in found["Area"].items()}
    assert [float(area[side]) for side in "xywh"] == pytest.approx([x, y, meant.width, meant.height], abs=1e-6)
    assert (found["Type"], found["Description"]) == ("Face", "Smiling, Wearing Hat")
    assert read["RegionInfo"]["AppliedToDimensions"]["W"] == (480 if is_turned(orientation) else 640)


@pytest.mark.system
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exiv2_reads_the_same(path, orientation):
    tag_sidecar(str(path), record(face("Smiling", "Wearing_Hat")), orientation)
    read = dict([*line.split(maxsplit=1), ""][:2] for line in exiv2("-Pkv", path).splitlines())
    assert read["Xmp.dc.subject"].strip() == "Smiling, Wearing Hat"
    assert read["Xmp.digiKam.TagsList"].strip() == "facetag/Smiling, facetag/Wearing Hat"
    region = "Xmp.mwg-rs.Regions/mwg-rs:RegionList[1]/mwg-rs"
    assert read[f"{region}:Type"].strip() == "Face"
    meant = stored_box(Box(64, 48, 80, 96).scaled(1 / 640, 1 / 480), 1, 1, orientation)
    area = [float(read[f"{region}:Area/stArea:{side}"]) for side in "xywh"]
    assert area == pytest.approx([*meant.center, meant.width, meant.height], abs=1e-6)
    width = read["Xmp.mwg-rs.Regions/mwg-rs:AppliedToDimensions/stDim:w"]
    assert int(width) == (480 if is_turned(orientation) else 640)


@pytest.mark.system
@pytest.mark.parametrize("program", ["exiftool", "exiv2"])
def test_keywords_of_other_programs_survive_retags_and_ours_do_not(path, program):
    tag_sidecar(str(path), record(face("Smiling")), 1)
    exiftool("-overwrite_original", "-XMP-dc:Subject+=human 0", path)
    for number, tags in enumerate((("Bald",), ("Smiling", "Young"), ("Male",)), 1):
        human = [f"human {n}" for n in range(number + 1 if program == "exiftool" else 1)]
        if program == "exiftool":
            exiftool("-overwrite_original", f"-XMP-dc:Subject+=human {number}", path)
        else:  # rewrites the file in its own form; its way to add a keyword would replace the others
            exiv2(f"-Mset Xmp.xmp.Rating XmpText {number}", path)
        tag_sidecar(str(path), record(face(*tags)), 1)
        assert set(texts(path)) == {*tags, *human}
        assert len(Packet(path.read_bytes()).property("mwg-rs:Regions").findall(f".//{{{RDF}}}li")) == 1
    untag_sidecar(str(path))
    assert set(texts(path)) == set(human) and region_count(path) == 0
