"""The review page in a real browser, opened from disk."""

import itertools
import json
import re
from pathlib import Path

import pytest

from faceren.commands.review import revert, review
from faceren.runs.lists import read_boxes, read_list
from faceren.runs.manifest import ManifestWriter
from tests.marked import scratched_run, still_there
from tests.pages.browser import AXE, CHROMIUM, needs_chromium, serious
from tests.runs import HEADER, add_photo, as_earlier, face_at, make_run, write_manifest

HOSTILE = "<img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def browser():
    with needs_chromium()() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def output(tmp_path):
    out = make_run(tmp_path)
    review(out)
    return out


@pytest.fixture
def opened(browser):
    """Open pages in a profile of their own; nothing may go wrong or leave the disk meanwhile."""
    wrong = []
    context = browser.new_context(viewport={"width": 1280, "height": 900}, has_touch=True)

    def open_page(output, expected="nothing"):
        page = context.new_page()
        page.on("console", lambda message: expected in message.text or wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: on_disk(request.url))
        page.goto((output / "report.html").as_uri())
        return page

    def on_disk(url):
        if not url.startswith(("file:", "data:", "blob:")):
            wrong.append(url)

    yield open_page
    context.close()
    assert wrong == []


def card(page, name):
    return page.locator(".card").filter(has_text=name)


def divider(page, name):
    return float(card(page, name).locator(".slider").input_value())


def names_shown(page):
    return page.locator(".card h2").all_inner_texts()


def place(locator):
    return locator.evaluate("e => [e.style.left, e.style.top, e.style.width].map(parseFloat)")


def test_every_picture_is_shown(output, opened):
    page = opened(output)
    page.locator("#many").select_option("0")
    for image in page.locator(".card img").all():
        image.scroll_into_view_if_needed()
        page.wait_for_function("e => e.complete", arg=image.element_handle())
        assert image.evaluate("e => e.naturalWidth") > 0
    assert page.locator(".card img").count() == 3 * 2 + 1 + 4
    assert card(page, "broken.jpg").locator(".nothing").is_visible()
    assert "broken.jpg: damaged" in card(page, "broken.jpg").inner_text()


def test_the_slider_follows_mouse_touch_and_arrow_keys(output, opened):
    page = opened(output)
    box = card(page, "one.png").locator(".compare")
    area = box.bounding_box()
    middle = area["y"] + area["height"] / 2
    assert divider(page, "one.png") == 50
    page.mouse.move(area["x"] + area["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.8, middle)
    page.mouse.up()
    page.mouse.move(area["x"] + 5, middle)
    assert divider(page, "one.png") == 80
    assert box.evaluate("e => getComputedStyle(e.querySelector('.before')).clipPath") == (
        "inset(0px 20% 0px 0px)"
    )
    page.touchscreen.tap(area["x"] + area["width"] * 0.25, middle)
    assert divider(page, "one.png") == 25
    box.locator(".slider").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert divider(page, "one.png") == 27
    assert box.locator(".slider").get_attribute("aria-valuetext").startswith("27 %")
    assert divider(page, "two.png") == 50


def test_zoom_shows_the_same_spot_in_both(output, opened):
    page = opened(output)
    card(page, "two.png").get_by_role("button", name="Zoom into").click()
    before, after = page.locator("#zoom-before"), page.locator("#zoom-after")
    page.wait_for_function("() => document.getElementById('zoom-after').naturalWidth === 200")
    assert page.locator("#zoom-name").inner_text() == "a b/two.png"
    assert after.get_attribute("src") == "./a%20b/two.png"
    assert before.get_attribute("src") == "./../photos/a%20b/two.png"
    start = place(before)
    area = page.locator(".pane").first.bounding_box()
    page.mouse.move(area["x"] + area["width"] * 0.7, area["y"] + area["height"] / 2)
    page.mouse.wheel(0, -400)
    page.wait_for_function(
        f"() => parseFloat(document.getElementById('zoom-before').style.width) > {start[2]}"
    )
    assert place(before) == place(after)
    left, _, width = place(before)
    spot = (area["width"] * 0.7 - left) / width  # what is under the mouse stays there
    assert spot == pytest.approx((area["width"] * 0.7 - start[0]) / start[2], abs=0.005)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.7 - 60, area["y"] + area["height"] / 2 + 20)
    page.mouse.up()
    assert place(before) == place(after)
    assert place(before)[0] == pytest.approx(left - 60, abs=1)
    page.keyboard.press("0")
    assert place(after) == pytest.approx(start)
    page.keyboard.press("PageDown")
    assert page.locator("#zoom-name").inner_text() == "three.jpg"  # broken.jpg has no picture
    page.keyboard.press("Escape")
    assert not page.locator("#zoom").is_visible()


def test_a_click_on_a_face_zooms_both_panes_to_it(output, opened):
    page = opened(output)
    card(page, "two.png").get_by_role("button", name="Zoom to face 2 of").click()
    assert page.locator("#zoom-name").inner_text() == "a b/two.png"
    before, after = page.locator("#zoom-before"), page.locator("#zoom-after")
    page.wait_for_function("() => document.getElementById('zoom-before').naturalWidth === 200")
    page.wait_for_function(
        "() => parseFloat(document.getElementById('zoom-before').style.width) > 700"
    )
    assert place(before) == place(after)
    left, top, width = place(before)
    area = page.locator(".pane").first.bounding_box()
    box = json.loads(page.locator("#data").text_content())["photos"][1]["faces"][1]["box"]
    middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
    scale = width / 200  # the photo has 200 pixels a row
    assert [left + middle[0] * scale, top + middle[1] * scale] == pytest.approx(
        [area["width"] / 2, area["height"] / 2], abs=1
    )


def test_a_list_and_its_command_are_copied(output, opened):
    page = opened(output)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    card(page, "one.png").get_by_label("Keep the original of").check()
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Copy list").click()
    page.locator("#copied", has_text="keep-original.txt is copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "a b/one.png\n"
    page.get_by_role("button", name="Copy command").click()
    page.locator("#copied", has_text="The command is copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()").endswith("--revert keep-original.txt")
    assert "Downloads" in page.locator("#lists").inner_text()


def test_without_a_clipboard_the_list_is_selected(output, opened):
    page = opened(output)
    page.evaluate("() => { navigator.clipboard.writeText = () => Promise.reject(new Error()); }")
    card(page, "one.png").get_by_label("Keep the original of").check()
    page.get_by_role("button", name="Export").click()
    page.get_by_role("button", name="Copy list").click()
    page.locator("#copied", has_text="is selected: copy it with Ctrl-C").wait_for()
    selected = "(e => e.value.slice(e.selectionStart, e.selectionEnd))(document.activeElement)"
    assert page.evaluate(selected) == "a b/one.png\n"


def test_cards_of_different_height_leave_no_hole(output, opened):
    page = opened(output)
    boxes = [c.bounding_box() for c in page.locator(".card").all()]
    columns = {}
    for box in boxes:
        columns.setdefault(round(box["x"]), []).append(box)
    assert max(map(len, columns.values())) > 1
    for column in columns.values():
        column.sort(key=lambda box: box["y"])
        for upper, lower in itertools.pairwise(column):
            assert 16 <= lower["y"] - upper["y"] - upper["height"] <= 36


def test_zoom_falls_back_to_the_small_picture(output, opened, tmp_path):
    page = opened(output, expected="ERR_FILE_NOT_FOUND")
    (tmp_path / "photos/three.jpg").rename(tmp_path / "photos/moved.jpg")
    card(page, "three.jpg").get_by_role("button", name="Zoom into").click()
    page.wait_for_function("() => document.getElementById('zoom-before').naturalWidth === 200")
    assert "./report/" in page.locator("#zoom-before").get_attribute("src")
    assert "of the original cannot be shown from here" in page.locator("#zoom-note").inner_text()


def test_filters_sorting_and_search(output, opened):
    page = opened(output)
    every = ["a b/one.png", "a b/two.png", "broken.jpg", "three.jpg", "view.png"]
    assert names_shown(page) == every
    for status, expected in (
        ("restored", [every[0], every[1], every[3]]),
        ("no_face", ["view.png"]),
        ("failed", ["broken.jpg"]),
        ("gone", []),
    ):
        page.locator("#status").select_option(status)
        assert names_shown(page) == expected
        assert page.locator("#found").inner_text() == f"{len(expected)} of 5 photos"
    page.locator("#status").select_option("")
    page.locator("#identity").fill("0.4")
    assert names_shown(page) == [every[1], every[3]]
    page.locator("#identity").fill("")
    page.locator("#search").fill("A B/")
    assert names_shown(page) == every[:2]
    page.locator("#search").fill("")
    page.locator("#sort").select_option("identity")
    assert names_shown(page)[:3] == ["a b/two.png", "three.jpg", "a b/one.png"]
    page.locator("#sort").select_option("faces")
    assert names_shown(page)[0] == "a b/two.png"


def test_ticks_survive_a_reload_and_the_list_takes_back_what_it_names(output, opened, tmp_path):
    page = opened(output)
    card(page, "one.png").get_by_label("Keep the original of").check()
    card(page, "two.png").get_by_label("Keep the original face 2").check()
    card(page, "three.jpg").get_by_label("Restore three.jpg again").select_option("weaker")
    page.reload()
    assert page.locator("#decided").inner_text() == (
        "1 photo to keep as it was, 1 face to keep as it was, 1 photo to restore again"
    )
    assert card(page, "one.png").get_by_label("Keep the original of").is_checked()
    page.locator("#status").select_option("ticked")
    assert len(names_shown(page)) == 3
    page.get_by_role("button", name="Export").click()
    assert "--only weaker.txt --strength 0.6" in page.locator("#lists").inner_text()
    with page.expect_download() as saving:
        page.get_by_role("button", name="Save keep-original.txt").click()
    saving.value.save_as(tmp_path / "keep.txt")
    assert (tmp_path / "keep.txt").read_text() == "a b/one.png\na b/two.png\t2\n"
    done = list(revert(output, read_list(tmp_path / "keep.txt", "--revert")).results)
    assert [taken.status for taken in done] == ["reverted"] * 2
    original = (tmp_path / "photos/a b/one.png").read_bytes()
    assert (output / "a b/one.png").read_bytes() == original
    review(output)
    page.reload()  # what was decided about files that are other files now is done
    assert page.locator("#decided").inner_text() == "1 photo to restore again"
    assert card(page, "one.png").get_by_text("original kept").first.is_visible()


def test_a_distance_of_an_earlier_version_is_named_as_dlibs(opened, tmp_path):
    faces = [as_earlier(face_at(20, 10, 96, 0.65)), face_at(100, 10, 96, 0.65)]
    out = write_manifest(tmp_path, [add_photo(tmp_path, "a.png", faces)])
    review(out)
    badges = opened(out).locator(".face .badge")
    shown = {text: badges.filter(has_text=text) for text in badges.all_inner_texts()}
    assert "watch" in shown["identity 0.65 by dlib"].first.get_attribute("class")  # beyond its 0.6
    tones = {b.get_attribute("class") for b in badges.all() if b.inner_text() == "identity 0.65"}
    assert tones == {"badge plain"}


def test_a_face_left_alone_can_be_asked_for(opened, tmp_path):
    place = {"box": [10, 20, 40.5, 60], "score": 0.9, "reason": "doubtful: no face"}
    name = 'a "b"\n.png'
    out = write_manifest(tmp_path, [add_photo(tmp_path, name, []) | {"left": [place]}])
    review(out)
    page = opened(out)
    page.locator("#status").select_option("left")
    page.locator(".left-faces summary").click()
    assert page.locator(".left-faces .reason").inner_text() == "doubtful: no face"
    page.locator(".left-faces input").check()
    page.reload()
    assert page.locator("#decided").inner_text() == "1 face to restore all the same"
    page.get_by_role("button", name="Export").click()
    assert "--boxes faces.jsonl" in page.locator("#lists").inner_text()
    (tmp_path / "faces.jsonl").write_text(page.locator("#lists textarea").input_value())
    (line,) = read_boxes(tmp_path / "faces.jsonl")
    assert (line.photo, line.face.box) == (name, (10, 20, 40.5, 60))


def test_marks_are_shown_over_the_photo_and_can_be_unticked(opened, tmp_path, run):
    out = scratched_run(tmp_path)
    review(out)
    page = opened(out)
    marks = page.locator(".marks")
    assert "2 marks on the print, nothing filled yet" in marks.locator("summary").inner_text()
    none = page.evaluate("marksSummary({count: 0, note: '', share: 0})")
    assert none == "No mark found on the print"
    marks.locator("summary").click()
    assert marks.get_by_alt_text("a.png with its marks in colour").is_visible()
    ticks = marks.locator("ul input")
    assert [tick.is_checked() for tick in ticks.all()] == [True, True]
    assert "px wide" in ticks.first.get_attribute("aria-label")
    horizontal = min(
        range(2), key=lambda n: marks.locator(".mark-box").nth(n).bounding_box()["height"]
    )
    marks.locator(".mark-box").nth(horizontal).click()  # as good as its tick
    assert not ticks.nth(horizontal).is_checked()
    assert page.locator("#decided").inner_text() == "1 photo whose marks to fill as ticked"
    page.reload()
    marks.locator("summary").click()
    assert [tick.is_checked() for tick in ticks.all()].count(False) == 1
    assert not AXE or serious(page) == []
    page.get_by_role("button", name="Export").click()
    told = page.locator("#lists").inner_text()
    assert "--repair-keep marks.jsonl" in told
    assert "--repair auto" in told
    listed = tmp_path / "marks.jsonl"
    listed.write_text(page.locator("#lists textarea").input_value())
    assert run("restore", "-o", out, "--repair", "auto", "--repair-keep", listed)[0] == 0
    assert still_there(out) == (False, True)
    page.reload()
    assert page.locator("#decisions").is_hidden()
    assert "1 mark" not in marks.locator("summary").inner_text()
    marks.locator("summary").click()
    assert [tick.is_checked() for tick in ticks.all()].count(False) == 1  # as recorded


@pytest.mark.parametrize(
    "name",
    [HOSTILE, "tab\tand\nline.png", '"quoted".png', " space .png", "javascript:alert(1).png"],
)
def test_a_hostile_name_is_shown_listed_and_reverted(name, opened, tmp_path):
    photo = add_photo(tmp_path, name, [face_at(4, 8, 80), face_at(104, 20, 80)])
    out = write_manifest(tmp_path, [photo])
    review(out)
    page = opened(out)
    assert page.locator(".card").count() == 1
    shown = name.replace("\t", "\\t").replace("\n", "\\n")
    assert page.locator(".card h2").text_content() == shown
    assert page.locator("img[src='x']").count() == 0
    page.get_by_role("button", name="Zoom into").click()
    page.wait_for_function("() => document.getElementById('zoom-after').naturalWidth === 200")
    page.keyboard.press("Escape")
    page.locator(".choices .keep").check()
    page.get_by_role("button", name="Export").click()
    (tmp_path / "list").write_text(page.locator("#lists textarea").input_value())
    (taken,) = revert(out, read_list(tmp_path / "list", "--revert")).results
    assert taken.status == "reverted"


def follow(link):
    """Click on a link and wait for the page that it leads to: this one may have its words."""
    with link.page.expect_navigation():
        link.click()


def test_thousands_of_photos_come_in_pages(opened, tmp_path):
    photo = add_photo(tmp_path, "0.png", [face_at(20, 10, 96)])
    lines = [photo | {"key": f"{index}.png"} for index in range(600)]
    (tmp_path / "out").mkdir(exist_ok=True)
    with ManifestWriter(tmp_path / "out/manifest.jsonl", HEADER) as writer:
        writer._file.write("".join(f"{line}\n" for line in map(json.dumps, lines)))
    review(tmp_path / "out", check="there")
    page = opened(tmp_path / "out")
    assert page.locator(".card").count() == 24
    assert page.locator("#where").inner_text() == "Page 1 of 21"
    page.get_by_role("button", name="Next").click()
    assert page.locator("#where").inner_text() == "Page 2 of 21"
    assert page.evaluate("document.getElementsByTagName('*').length") < 2500
    card(page, "32.png").first.get_by_label("Keep the original of").check()
    follow(page.get_by_role("link", name="Next part"))  # with ticks of its own
    assert page.locator("#where").inner_text() == "Page 1 of 5"
    assert page.locator("#decided").inner_text() == "1 photo decided on in other parts"
    card(page, "550.png").get_by_label("Keep the original of").check()
    page.get_by_role("button", name="Export lists").click()
    assert page.locator("#lists textarea").input_value() == "550.png\n"
    page.get_by_role("button", name="Close").last.click()
    follow(page.get_by_role("link", name="All parts"))
    assert "1 photo decided on in other parts" in page.locator("#decided").inner_text()
    assert "1 photo to keep as it was" in page.locator("#decided").inner_text()
    page.get_by_text("All parts", exact=True).click()
    follow(page.get_by_role("link", name="2", exact=True))
    assert page.url.endswith("/out/report/part-2.html")


def test_a_script_that_was_smuggled_in_does_not_run(output, opened):
    path = output / "report.html"
    attack = (
        "<script>document.title = 'run'</script><b onclick=\"document.title = 'run'\" id=b>b</b>"
    )
    path.write_text(path.read_text().replace("<main", attack + "<main", 1))
    page = opened(output, expected="Content Security Policy")
    page.locator("#b").click()
    assert page.title() == "Restored photographs"
    assert page.locator(".card").count() == 5


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(output, browser, scheme, width, monkeypatch):
    if not Path(AXE).is_file():
        pytest.skip("needs axe-core (npm; FACEREN_TEST_AXE names its axe.min.js)")
    (output / "a b/one.png").unlink()
    monkeypatch.setattr("faceren.pages.review.PER_FILE", 500 if width == 1280 else 4)
    review(output)
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto((output / "report.html").as_uri())
    page.locator(".choices .keep").first.check()
    for summary in page.locator(".masthead summary").all():
        summary.click()
    assert serious(page) == []
    page.locator("#export").click()
    assert serious(page) == []
    page.keyboard.press("Escape")
    page.locator(".open").last.click()
    assert serious(page) == []
    context.close()


def test_it_can_be_used_without_a_mouse(output, opened):
    page = opened(output)
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    seen = []
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id || document.activeElement.className"))
    for wanted in ("search", "status", "identity", "sort", "many", "slider", "open", "keep"):
        assert wanted in seen, seen


def test_without_scripts_the_photos_are_listed(output, browser):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((output / "report.html").as_uri())
    rows = page.locator("noscript tbody tr")
    assert rows.count() == 5
    assert re.sub(r"\s+", " ", rows.first.inner_text()).startswith("a b/one.png restored 1")
    context.close()


def test_paper_shows_both_pictures_and_no_controls(output, opened):
    page = opened(output)
    page.emulate_media(media="print")
    first = card(page, "one.png")
    before, after = (
        first.locator(f".compare .{side}").bounding_box() for side in ("before", "after")
    )
    assert before["x"] + before["width"] <= after["x"] + 1
    assert not page.locator("#toolbar").is_visible()
    assert not first.get_by_role("button", name="Zoom into").is_visible()
