import json
import re
import shutil

import pytest
from PIL import Image

from faceren.errors import ConfigError
from faceren.pages import review
from faceren.runs.manifest import FORMAT_VERSION, line_text, read_run
from tests.runs import HEADER, add_photo, as_earlier, face_at, make_run, picture, write_manifest


def write_review(output, **options):
    return review.write_review(output, read_run(output, "restore"), **options)


def data_of(output):
    """What the page's script is given."""
    html = (output / "report.html").read_text(encoding="utf-8")
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</', html)[1])


@pytest.fixture
def folder(tmp_path):
    return make_run(tmp_path)


def test_the_page_has_every_photo_and_its_pictures(folder):
    done = write_review(folder)
    assert (done.page, done.photos, done.notes) == (folder / "report.html", 5, ())
    photos = {photo["key"]: photo for photo in data_of(folder)["photos"]}
    assert list(photos) == ["a b/one.png", "a b/two.png", "broken.jpg", "three.jpg", "view.png"]
    assert [len(photo["faces"]) for photo in photos.values()] == [1, 2, 0, 1, 0]
    assert photos["view.png"]["before"] == photos["view.png"]["after"]
    assert photos["broken.jpg"]["before"] is None
    assert photos["a b/one.png"]["original"] == "./../photos/a%20b/one.png"
    assert photos["a b/one.png"]["result"] == "./a%20b/one.png"
    names = {path.name for path in (folder / "report").iterdir()}
    used = set(re.findall(r"\./report/([^\"]+)", (folder / "report.html").read_text()))
    assert used == names
    assert len(names) == 3 * 2 + 1 + 4  # before and after of three, one of the view, four faces


def test_totals_and_settings_are_at_the_top(folder):
    write_review(folder)
    html = (folder / "report.html").read_text()
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html))
    assert facts["Photos"] == "5"
    assert facts["Restored"] == "3"
    assert facts["Without a face"] == facts["Failed"] == "1"
    assert facts["Faces"] == "4"
    assert facts["Median identity distance"] == "0.38"  # of 0.15, 0.3, 0.45, 0.8
    assert facts["Faces beyond 0.7"] == "1"
    assert facts["Model"] == "faceren-base"
    assert facts["Strength"] == "1.0"


def test_distances_of_an_earlier_version_are_shown_as_dlibs_and_count_for_nothing(tmp_path):
    old, new = face_at(20, 10, 96, 0.9), face_at(100, 10, 96, 0.1)
    line = add_photo(tmp_path, "one.png", [as_earlier(old), new])
    folder = write_manifest(tmp_path, [line])
    assert write_review(folder).notes == ()
    ((photo,), html) = data_of(folder)["photos"], (folder / "report.html").read_text()
    found = [(face["identity"], face["by_dlib"]) for face in photo["faces"]]
    assert found == [(None, 0.9), (0.1, None)]
    facts = dict(re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html))
    assert (facts["Median identity distance"], facts["Faces beyond 0.7"]) == ("0.10", "0")


def test_faces_left_alone_are_shown_with_their_reason(tmp_path):
    left = [
        {
            "box": [10, 20, 40, 60],
            "score": 0.9,
            "reason": "doubtful: a second network sees no face",
        },
        {"box": [90, 20, 100, 32], "score": 0.9, "reason": "small: narrower than --min-face 16"},
    ]
    one = add_photo(tmp_path, "one.png", [face_at(20, 10, 96)], seed=1) | {"left": left}
    folder = write_manifest(tmp_path, [one, add_photo(tmp_path, "two.png", [], seed=2)])
    assert write_review(folder).notes == ()
    photos = {photo["key"]: photo for photo in data_of(folder)["photos"]}
    shown = photos["one.png"]["left"]
    assert [(face["box"], face["reason"]) for face in shown] == [
        (face["box"], face["reason"]) for face in left
    ]
    assert photos["two.png"]["left"] == []
    with Image.open(folder / shown[0]["picture"]) as tile:
        assert tile.size == (57, 64)  # 1.6 times 40, cut at the photo's edge
    assert "<dt>Left alone</dt><dd>2</dd>" in (folder / "report.html").read_text()


def test_nothing_is_rewritten_when_nothing_has_changed(folder):
    write_review(folder)
    stamps = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    write_review(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == stamps


def test_a_new_line_changes_the_pictures_of_its_photo_only(folder, tmp_path):
    write_review(folder)
    names = {path.name for path in (folder / "report").iterdir()}
    write_manifest(tmp_path, [add_photo(tmp_path, "a b/one.png", [face_at(40, 10, 96)], seed=1)])
    write_review(folder)
    now = {path.name for path in (folder / "report").iterdir()}
    assert len(now) == len(names)
    assert len(now - names) == 2  # after, and the face


def test_what_is_gone_or_changed_is_said_and_the_page_is_built(folder, tmp_path):
    write_review(folder)
    (tmp_path / "photos/a b/one.png").unlink()
    (folder / "a b/two.png").unlink()
    Image.fromarray(picture(8)).save(tmp_path / "photos/three.jpg")
    (folder / "view.png").write_bytes(b"other")
    with (folder / "manifest.jsonl").open("a") as file:
        file.write('{"key": "torn')
    notes = write_review(folder).notes
    expected = [
        "the last line of the manifest is cut off",
        "a b/one.png: the original is gone",
        "a b/two.png: the restored file is gone",
        "three.jpg: the original has changed since the run",
        "view.png: the restored file has changed since the run",
    ]
    assert len(notes) == len(expected)
    for note, beginning in zip(notes, expected, strict=True):
        assert note.startswith(beginning)
        assert beginning in (folder / "report.html").read_text()
    photos = {photo["key"]: photo for photo in data_of(folder)["photos"]}
    assert photos["a b/one.png"]["before"]  # drawn before it went
    assert photos["a b/one.png"]["original"] is None
    assert photos["a b/two.png"]["result"] is None


def test_a_page_without_any_file_left_is_built(folder, tmp_path):
    shutil.rmtree(tmp_path / "photos")
    shutil.rmtree(folder / "a b")
    assert len(write_review(folder).notes) == 7
    assert all(photo["before"] is None for photo in data_of(folder)["photos"])


def test_a_quick_look_checks_only_that_files_are_there(folder, tmp_path):
    Image.fromarray(picture(8)).save(folder / "a b/one.png")
    assert write_review(folder, check="there").notes == ()
    assert len(write_review(folder, check="bytes").notes) == 1


@pytest.mark.parametrize(
    ("spoiled", "message"),
    [(face_at(2000, 10, 96), "a face's crop about"), ({"crop": 256}, "'landmarks'")],
)
def test_a_line_that_makes_no_sense_is_named(spoiled, message, tmp_path):
    line = add_photo(tmp_path, "p.png", []) | {"faces": [spoiled]}
    (note,) = write_review(write_manifest(tmp_path, [line])).notes
    assert note.startswith(f"p.png: it cannot be shown: {message}")


def test_names_cannot_leave_the_text(tmp_path):
    name = "<img src=x onerror=alert(1)>.png"
    folder = write_manifest(tmp_path, [add_photo(tmp_path, name, []) | {"reason": "</script><b>"}])
    write_review(folder)
    html = (folder / "report.html").read_text()
    assert "<img src=x" not in html
    assert "</script><b>" not in html
    assert data_of(folder)["photos"][0]["name"] == name


def test_files_that_no_browser_shows_have_no_address(tmp_path):
    folder = write_manifest(tmp_path, [add_photo(tmp_path, "p.tif", [])])
    write_review(folder)
    (photo,) = data_of(folder)["photos"]
    assert (photo["original"], photo["result"]) == (None, None)
    assert photo["before"].startswith("./report/")


def test_a_moved_run_finds_its_originals_beside_it(folder, tmp_path, monkeypatch):
    lines = (folder / "manifest.jsonl").read_text().replace(f"{tmp_path}/", "")
    (folder / "manifest.jsonl").write_text(lines)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert write_review(folder).notes == ()


def test_folders_without_a_restoration_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="expected a folder that restore wrote"):
        write_review(tmp_path)
    folder = write_manifest(tmp_path, [], {"command": "degrade"})
    with pytest.raises(ConfigError, match="holds the manifest of 'degrade'"):
        write_review(folder)


def many(root, count):
    """A run of made-up photos without files: every fourth failed, the others have a face."""
    lines = []
    for index in range(count):
        key = f"box {index // 1000:03}/{index % 1000:03}.jpg"
        faces = [face_at(20, 10, 96, 0.8 if index % 10 == 1 else 0.2)]
        made = {"status": "restored", "output": f"out/{key}", "output_sha256": f"{index:064x}"}
        failed = {"status": "failed", "output": None, "output_sha256": None, "reason": "damaged"}
        line = {"key": key, "input": f"gone/{key}", "input_sha256": f"{index:064x}", "settings": ""}
        line |= {"reason": "", "faces": [] if index % 4 == 3 else faces}
        lines.append(line | (failed if index % 4 == 3 else made))
    lines.insert(0, {"format_version": FORMAT_VERSION, **HEADER})
    (root / "out").mkdir()
    (root / "out" / "manifest.jsonl").write_text("".join(map(line_text, lines)))
    return root / "out"


def part_of(output, number):
    html = review.place_of(output, number).read_text(encoding="utf-8")
    return html, json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</', html)[1]
    )


def test_many_photos_come_in_parts_of_which_each_has_its_own(tmp_path):
    output = many(tmp_path, 1200)
    done = write_review(output, check="there")
    assert done.photos == 1200
    keys = []
    for number, size in ((1, 500), (2, 500), (3, 200)):
        html, data = part_of(output, number)
        keys += [photo["key"] for photo in data["photos"]]
        assert (len(data["photos"]), data["parts"]) == (size, 3)
        assert f"Part {number} of 3" in html
        assert "<dt>Photos</dt><dd>1,200</dd>" in html
        assert f"all photos ({size})" in html
        assert f"failed ({size // 4})" in html
        assert len(html) < 1_000_000
        links = re.findall(r'<a href="(\./[^"]*html)"', html.split("</nav>")[0])
        for link in links:
            assert (review.place_of(output, number).parent / link).is_file()
        assert len(links) == (1 + 3 if number == 1 else 2 + (number < 3))
    assert keys == [f"box {i // 1000:03}/{i % 1000:03}.jpg" for i in range(1200)]
    rows = re.findall(r"<tr><th scope=\"row\"><a href.*?</tr>", part_of(output, 1)[0])
    assert [re.findall(r"<td>(.*?)</td>", row)[:4] for row in rows] == [
        ["box 000/000.jpg", "box 000/499.jpg", "125", "25"],  # 1, 11, …: those failed that end in 3
        ["box 000/500.jpg", "box 000/999.jpg", "125", "25"],
        ["box 001/000.jpg", "box 001/199.jpg", "50", "10"],
    ]


def test_parts_of_an_earlier_page_go_and_a_small_run_has_none(tmp_path):
    output = many(tmp_path, 1001)
    write_review(output, check="there")
    (output / "report" / "part-x.html").touch()
    manifest = read_run(output, "restore")
    for key in list(manifest.items)[3:]:
        del manifest.items[key]
    review.write_review(output, manifest, check="there")
    assert [path.name for path in (output / "report").iterdir()] == ["part-x.html"]
    html, data = part_of(output, 1)
    assert (len(data["photos"]), data["parts"]) == (3, 1)
    assert "Part 1" not in html


def test_pictures_of_a_part_are_addressed_from_its_folder(folder, monkeypatch):
    monkeypatch.setattr(review, "PER_FILE", 2)
    write_review(folder)
    for number in (1, 2, 3):
        base = review.place_of(folder, number).parent
        for photo in part_of(folder, number)[1]["photos"]:
            urls = [photo[name] for name in ("before", "after", "original", "result")]
            urls += [face["picture"] for face in photo["faces"]]
            if photo["key"] != "broken.jpg":
                assert all((base / url.replace("%20", " ")).is_file() for url in urls)


@pytest.mark.slow
def test_20_000_photos_take_little_memory_and_no_large_file(tmp_path):
    import resource

    output = many(tmp_path, 20_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    write_review(output, check="there")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    sizes = [review.place_of(output, number).stat().st_size for number in range(1, 41)]
    print(f"20,000 photos: {grown:.0f} MB more, largest file {max(sizes):,} bytes")
    assert grown < 400
    assert max(sizes) < 1_000_000
    assert not review.place_of(output, 41).exists()
