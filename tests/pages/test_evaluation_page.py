import re

import pytest
from PIL import Image

from faceren.metrics.results import Evaluation, ImageScores, MetricResult, Scores
from faceren.pages.tables import write_evaluation, write_worst
from tests.runs import picture


@pytest.fixture
def evaluation(tmp_path):
    rows = []
    for index, name in enumerate(("a.png", "<b>.png", "gone.png")):
        Image.fromarray(picture(index)).save(tmp_path / name)
        rows.append(
            ImageScores(
                path=name,
                result=tmp_path / name,
                reference=tmp_path / "a.png",
                input=None,
                values={"psnr": 20.0 + index},
            )
        )
    (tmp_path / "gone.png").unlink()
    psnr = MetricResult(mean=21.0, ci95=(20.0, 22.0), n=3, by="us")
    scores = Scores(
        metrics={"psnr": psnr}, not_computed={"fid": "too few"}, images=tuple(rows), warnings=()
    )
    return Evaluation(
        protocol="standard",
        results=tmp_path,
        reference="manifest",
        scores=scores,
        strays=("<i>.png",),
    )


def test_the_page_has_the_figures_the_worst_and_what_is_missing(evaluation, tmp_path):
    write_evaluation(evaluation, tmp_path / "page.html", count=2)
    html = (tmp_path / "page.html").read_text()
    cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", html)
    assert cells[5:] == ["psnr ↑", "21.00", "20.00 – 22.00", "3", "us"]
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", html)
    assert captions == ["a.png: psnr 20.00", "&lt;b&gt;.png: psnr 21.00"]
    assert html.count("data:image/jpeg;base64,") == 2
    assert "fid: too few" in html
    assert "no twin: &lt;i&gt;.png" in html


def test_a_file_that_is_gone_since_leaves_its_place_empty(evaluation, tmp_path):
    write_evaluation(evaluation, tmp_path / "page.html")
    html = (tmp_path / "page.html").read_text()
    assert "gone.png: psnr 22.00" in html


def test_the_sheet_of_the_worst_is_a_new_file_and_no_picture_changes(evaluation, tmp_path):
    names = ("a.png", "<b>.png")
    before = [(tmp_path / name).read_bytes() for name in names]
    sheet = tmp_path / "sheet.png"
    assert write_worst(evaluation, sheet, count=3) == "psnr"
    assert [(tmp_path / name).read_bytes() for name in names] == before
    with Image.open(sheet) as image:
        assert image.width < 3 * 256  # outputs and references; no row has an input
