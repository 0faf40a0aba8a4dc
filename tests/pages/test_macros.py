"""Tables of pages: figures that never break, intervals on a line of their own."""

import pytest

from faceren.pages.page import _environment
from tests.pages.browser import CHROMIUM, needs_chromium


def table(rows):
    source = '{% import "macros.html.j2" as ui with context %}{{ ui.table(["a", "b", "c"], rows) }}'
    return _environment().from_string(source).render(rows=rows)


def test_an_interval_has_a_line_of_its_own():
    html = table([["psnr", "25.10 (24.80 – 25.40)", "by <dlib>"], ["fid", "–", 7]])
    assert '<td class="number">25.10<br><small>24.80 – 25.40</small></td>' in html
    assert "<td>by &lt;dlib&gt;</td>" in html
    assert '<td class="number">–</td>' in html
    assert '<td class="number">7</td>' in html


@pytest.mark.parametrize("width", [320, 390])
def test_a_table_scrolls_sideways_on_a_phone_and_breaks_no_figure(tmp_path, width):
    from faceren.pages.page import write_page

    row = ["a method", *["0.1234 (0.1111 – 0.1357)"] * 8]
    context = {
        "title": "t", "subtitle": "s", "facts": [], "headers": ["m", *"abcdefgh"],
        "rows": [row], "problems": [], "worst": [], "by": "",
    }  # fmt: skip
    write_page(tmp_path / "page.html", "evaluation.html.j2", context)
    with needs_chromium()() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": width, "height": 800})
        page.goto((tmp_path / "page.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        scroll = page.locator(".scroll")
        assert scroll.evaluate("e => e.scrollWidth > e.clientWidth")
        heights = page.locator(".number").evaluate_all("all => all.map(e => e.offsetHeight)")
        assert set(heights) == {heights[0]}
        assert heights[0] < 80  # two lines
        chromium.close()
