from pathlib import Path

import pytest
from PIL import Image

from faceren.errors import ConfigError, MachineError, NothingToDoError
from faceren.runs.plan import Job, check_output, make_plan, resolve_inputs, without_collisions


@pytest.fixture
def folder(tmp_path):
    for name in ("b.png", "a/c.jpg", "a/d.PNG", "notes.txt"):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (80, 80)).save(path) if path.suffix != ".txt" else path.write_text("x")
    return tmp_path / "in"


def test_the_sub_tree_is_mirrored_in_order_of_names(folder):
    jobs = make_plan([folder], Path("out"), file_format="keep")
    assert [job.key for job in jobs] == ["a/c.jpg", "a/d.PNG", "b.png"]
    assert [job.output for job in jobs] == [Path("out") / job.key for job in jobs]


def test_another_format_changes_the_suffix_only(folder):
    jobs = make_plan([folder], Path("out"), file_format="tiff")
    assert [job.key for job in jobs] == ["a/c.tif", "a/d.tif", "b.tif"]


def test_exclude_leaves_out_files_and_folders(folder):
    def keys(*patterns):
        return [j.key for j in make_plan([folder], Path("o"), file_format="keep", exclude=patterns)]

    assert keys("*.PNG") == ["a/c.jpg", "b.png"]
    assert keys("a") == ["b.png"]
    with pytest.raises(NothingToDoError, match="of 4 files there none that --exclude leaves is"):
        keys("*")


def test_a_folder_without_a_photo_is_said_with_the_number_of_its_files(tmp_path):
    for index in range(1200):
        (tmp_path / f"{index}.txt").touch()
    with pytest.raises(NothingToDoError, match=r"no image found in .*: of 1,200 files there none"):
        make_plan([tmp_path], Path("out"), file_format="keep")


def test_outputs_are_no_inputs_though_a_link_leads_there(folder):
    out = folder.parent / "out"
    out.mkdir()
    (out / "b.png").touch()
    (folder / "up").symlink_to("..")
    jobs = make_plan([folder], out, file_format="keep")
    assert [job.key for job in jobs] == ["a/c.jpg", "a/d.PNG", "b.png"]


def test_one_file_named_twice_is_one_job(folder):
    twice = make_plan([folder / "b.png", folder / "b.png"], Path("o"), file_format="keep")
    assert len(twice) == 1


def test_outputs_that_differ_only_in_case_collide(folder):
    Image.new("L", (80, 80)).save(folder / "B.png")
    with pytest.raises(ConfigError, match="would both be written to"):
        make_plan([folder], Path("out"), file_format="keep")


def test_a_new_suffix_can_make_a_collision(folder):
    Image.new("L", (80, 80)).save(folder / "b.jpg")
    assert len(make_plan([folder], Path("out"), file_format="keep")) == 4
    with pytest.raises(ConfigError, match="would both be written to"):
        make_plan([folder], Path("out"), file_format="webp")


def test_output_inside_an_input_needs_an_exclude(folder):
    with pytest.raises(ConfigError, match="--exclude 'x/out'"):
        check_output([folder], folder / "x" / "out", [])
    check_output([folder], folder / "x" / "out", ["x"])
    check_output([folder], folder / "x" / "out", ["x/out"])
    check_output([folder], folder.parent / "out", [])


def test_the_folder_of_a_photo_named_alone_is_no_output(folder):
    with pytest.raises(ConfigError, match="originals are never written to"):
        check_output([folder / "b.png"], folder, [])


def test_an_output_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(MachineError, match="cannot be written"):
        check_output([tmp_path / "in.png"], tmp_path / "file" / "out", [])


def test_to_look_whether_an_output_can_be_written_makes_nothing(folder):
    output = folder.parent / "new" / "out"
    check_output([folder], output, [])
    assert not output.parent.exists()
    output.parent.mkdir()
    output.symlink_to(folder.parent / "gone")
    with pytest.raises(MachineError, match="cannot be written"):
        check_output([folder], output, [])


def test_inputs_must_exist():
    with pytest.raises(ConfigError, match="gone: no such file or folder"):
        resolve_inputs([Path("gone")])


def test_of_jobs_for_one_photo_and_output_one_is_kept():
    here, elsewhere = Path("in/a.png"), Path("in/../in/a.png")
    jobs = [Job(here, Path("out/a.png"), "a.png"), Job(elsewhere, Path("out/A.png"), "A.png")]
    assert without_collisions(jobs, "") == jobs[1:]
    assert without_collisions([], "") == []


def test_a_collision_names_both_photos_the_output_and_what_to_do():
    jobs = [Job(Path(f"{n}/a.png"), Path("out/a.png"), "a.png") for n in "xy"]
    with pytest.raises(
        ConfigError, match="^x/a.png and y/a.png would both be .* out/a.png; rename$"
    ):
        without_collisions(jobs, "rename")
