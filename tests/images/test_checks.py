import os
from pathlib import Path, PurePosixPath

import pytest

from faceren.images import Found, find_images, find_others, same_name


@pytest.fixture
def album(tmp_path):
    for name in ("b.jpg", "a/z.PNG", "a/b/c.tiff", "notes.txt", ".hidden.jpg", ".trash/d.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def names(inputs, exclude=()):
    return [found.relative.as_posix() for found in find_images(inputs, exclude)]


def test_a_folder_is_searched_recursively_and_sorted(album):
    assert names([album]) == ["a/b/c.tiff", "a/z.PNG", "b.jpg"]


def test_a_file_is_found_by_name_whatever_its_suffix(album):
    assert list(find_images([album / "notes.txt"])) == [
        Found(album / "notes.txt", PurePosixPath("notes.txt"))
    ]


@pytest.mark.parametrize("pattern", ["a", "a/", "a/*", "*.PNG"])
def test_excluded_names_and_folders_are_left_out(album, pattern):
    found = names([album], [pattern])
    assert "a/z.PNG" not in found
    assert "b.jpg" in found


def test_a_loop_of_links_ends_and_finds_each_photo_once(album):
    (album / "a" / "up").symlink_to(album)
    (album / "self").symlink_to(album / "self")
    assert names([album]) == ["a/b/c.tiff", "a/z.PNG", "b.jpg"]


def test_many_links_across_do_not_multiply(tmp_path):
    for name in "abcdefghij":
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jpg").touch()
    for first in "abcdefghij":
        for second in "abcdefghij":
            (tmp_path / first / f"to_{second}").symlink_to(tmp_path / second)
    assert names([tmp_path]) == [f"{name}/{name}.jpg" for name in "abcdefghij"]


def test_a_linked_folder_outside_is_followed(album, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "x.jpg").touch()
    (album / "0link").symlink_to(other)
    assert "0link/x.jpg" in names([album])


def test_the_real_place_counts_though_a_link_sorts_before_it(album):
    (album / "0link").symlink_to(album / "a")
    assert names([album]) == ["a/b/c.tiff", "a/z.PNG", "b.jpg"]


def test_a_broken_link_is_found_so_that_it_is_reported(tmp_path):
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert names([tmp_path]) == ["gone.jpg"]


def test_a_folder_that_cannot_be_listed_is_found_itself(album, monkeypatch):
    real = os.scandir

    def denied(path):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", denied)
    assert names([album]) == ["a/b", "a/z.PNG", "b.jpg"]


def test_thousands_of_other_files_are_passed_over(tmp_path):
    for index in range(5_000):
        os.close(os.open(tmp_path / f"{index}.dat", os.O_CREAT))
    (tmp_path / "one.jpg").touch()
    assert names([tmp_path]) == ["one.jpg"]


def test_what_is_no_photo_is_named(tmp_path):
    for name in ("a.jpg", "a.jpg.xmp", "film.mov", ".hidden", "sub/notes.txt", "sub/b.tif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    others = [str(found.relative) for found in find_others([tmp_path, tmp_path / "a.jpg"])]
    assert others == ["a.jpg.xmp", "film.mov", "sub/notes.txt"]
    assert [str(f.relative) for f in find_others([tmp_path], ["sub"])] == ["a.jpg.xmp", "film.mov"]
    assert [str(f.relative) for f in find_images([tmp_path])] == ["a.jpg", "sub/b.tif"]


def test_an_accent_is_one_name_however_it_is_written():
    composed, decomposed = "Jos\u00e9.jpg", "Jose\u0301.jpg"
    assert composed != decomposed
    assert same_name(decomposed) == same_name(composed) == composed


def test_the_pictures_of_a_review_page_are_no_photos_of_somebody(album):
    for name in ("run/a.jpg", "run/report/b.jpg", "run/report.html", "report/c.jpg"):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).touch()
    assert "run/report/b.jpg" in names([album])
    (album / "run/manifest.jsonl").touch()
    found = names([album])
    assert {"run/a.jpg", "report/c.jpg"} <= set(found)
    assert "run/report/b.jpg" not in found
