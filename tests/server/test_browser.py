"""The page that acts, in a real browser: from a dropped photo to the picture that is kept."""

import re
import socket
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from faceren.images import write_png
from faceren.runs.manifest import read_manifest
from tests.marked import scratched_run, still_there
from tests.pages.browser import AXE, CHROMIUM, needs_chromium, serious
from tests.runs import make_run

DROP = """async ([data, name]) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type: "image/png" }));
  for (const type of ["dragenter", "dragover", "drop"]) {
    const told = { bubbles: true, cancelable: true, dataTransfer: transfer };
    document.body.dispatchEvent(new DragEvent(type, told));
  }
}"""


@pytest.fixture(scope="module")
def browser():
    with needs_chromium()() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser):
    """Open a served page; nothing may go wrong, and nothing leave this computer meanwhile."""
    wrong, contexts = [], []

    def open_page(served, expected="nothing", **more):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}} | more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: expected in m.text or wrong.append(m.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "request",
            lambda r: r.url.startswith((served.address, "data:", "blob:")) or wrong.append(r.url),
        )
        page.goto(served.address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def said(page, end):
    """Wait until the page says that something is done, and shows it."""
    page.locator("#work-text", has_text=re.compile(f"{end}$")).wait_for(timeout=120_000)
    page.locator("#work-bar").wait_for(state="hidden")


def undone(page):
    """Undo, and wait until that is done: it says the same words each time."""
    state = "async () => await (await fetch('state')).json()"
    before = page.evaluate(state)["finished"]
    page.get_by_role("button", name="Undo").click()
    more = "async n => { const now = await (await fetch('state')).json();"
    page.wait_for_function(f"{more} return now.finished > n && !now.busy; }}", arg=before)
    said(page, "before")


def strengths(out):
    (line,) = read_manifest(out / "manifest.jsonl").items.values()
    return [face["strength"] for face in line["faces"]]


def card(page, name):
    return page.locator(".card").filter(has_text=name)


def test_from_drop_to_download(serve, opened, tmp_path, astronaut):
    import base64

    portrait = astronaut[:300, 60:360]
    write_png(tmp_path / "portrait.png", np.hstack([portrait, portrait[:, ::-1]]))
    data = base64.b64encode((tmp_path / "portrait.png").read_bytes()).decode()
    out = tmp_path / "out"
    out.mkdir()
    page = opened(serve(out), expected="422")  # the text is no photo
    assert page.locator("#found").inner_text() == "0 photos"
    page.evaluate(DROP, [base64.b64encode(b"a letter").decode(), "letter.png"])
    page.wait_for_selector("#work-problem:not([hidden])")
    assert "letter.png" in page.locator("#work-problem").inner_text()
    page.evaluate(DROP, [data, "portrait.png"])
    photo = card(page, "portrait.png")
    photo.wait_for(timeout=120_000)
    assert "restored" in photo.locator(".badges").first.inner_text()
    assert (out / "portrait.png").exists()

    photo.get_by_label("Restore portrait.png again").select_option("weaker")
    said(page, "portrait.png: restored, weaker")
    assert strengths(out) == [0.6, 0.6]
    one = "This face only: restore face 2 of portrait.png again"
    card(page, "portrait.png").get_by_label(one).select_option("stronger")
    said(page, "portrait.png, face 2: restored, stronger")
    assert strengths(out) == [0.6, 0.9]
    badges = card(page, "portrait.png").locator(".face .badges")
    assert ["strength" in text for text in badges.all_inner_texts()] == [False, True]
    assert page.get_by_label(one).input_value() == ""
    card(page, "portrait.png").get_by_label("Keep the original face 1 of portrait.png").check()
    said(page, "portrait.png, face 1: the original is back")
    card(page, "portrait.png").get_by_label("Keep the original face 1 of portrait.png").uncheck()
    said(page, "portrait.png, face 1: restored")
    for _ in range(3):
        undone(page)
    assert strengths(out) == [0.6, 0.6]
    weaker = (out / "portrait.png").read_bytes()

    card(page, "portrait.png").get_by_label("Keep the original of portrait.png").check()
    said(page, "is back")
    assert (out / "portrait.png").read_bytes() == (tmp_path / "portrait.png").read_bytes()
    page.get_by_role("button", name="Undo").click()
    said(page, "before")
    assert (out / "portrait.png").read_bytes() == weaker

    link = card(page, "portrait.png").locator(".pair")
    link.wait_for()
    with page.expect_download() as saving:
        link.click()
    saving.value.save_as(tmp_path / "pair.jpg")
    assert saving.value.suggested_filename == "portrait-before-after.jpg"
    with Image.open(tmp_path / "pair.jpg") as image:
        assert image.size == (2 * 600 + 3 * 8, image.size[1])


def test_it_can_be_used_with_the_keyboard_alone_on_a_phone(serve, opened, tmp_path):
    out = make_run(tmp_path)
    page = opened(serve(out), viewport={"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390

    def tab_to(label):
        for _ in range(120):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.getAttribute('aria-label')") == label:
                return
        raise AssertionError(f"{label} is not reached")

    tab_to("Zoom to face 1 of a b/one.png")
    page.keyboard.press("Enter")
    assert page.locator("#zoom-name").inner_text() == "a b/one.png"
    page.keyboard.press("Escape")
    tab_to("Keep the original of a b/one.png")
    page.keyboard.press("Space")
    said(page, "is back")
    page.locator("#undo:enabled").wait_for()
    kept = page.get_by_label("Keep the original of a b/one.png")
    kept.and_(page.locator(":focus:checked")).wait_for()
    page.locator("#undo").focus()
    page.keyboard.press("Enter")
    said(page, "before")
    line = read_manifest(out / "manifest.jsonl").items["a b/one.png"]
    assert line["status"] == "restored"


def test_a_page_whose_server_has_ended_says_so(serve, opened, tmp_path):
    served = serve(make_run(tmp_path))
    # refused, reset, or a socket kept alive that is closed by now: whichever is noticed first
    page = opened(served, expected="net::ERR_")
    page.wait_for_load_state("networkidle")  # no answer is under way that keeps a socket open
    served.server.should_exit = True
    served.thread.join()
    for connection in served.server.server_state.connections:  # what a process's end closes
        connection.transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
    card(page, "one.png").get_by_label("Keep the original of").check()
    page.wait_for_selector("#work-problem:not([hidden])")
    assert "faceren does not answer" in page.locator("#work-problem").inner_text()


def test_what_is_asked_while_the_photos_are_fetched_is_shown_too(serve, opened, tmp_path):
    page = opened(serve(make_run(tmp_path)))
    held = []
    page.route("**/photos", lambda route: route.continue_() if held else held.append(route))
    with page.expect_request("**/photos"):
        card(page, "one.png").get_by_label("Keep the original of a b/one.png").check()
    page.evaluate("act(page.photos.find((photo) => photo.name.endsWith('two.png')), 'keep')")
    page.wait_for_function("async () => !(await (await fetch('state')).json()).busy")
    held[0].continue_()
    said(page, "two.png: the original is back")
    assert card(page, "two.png").get_by_label("Keep the original of a b/two.png").is_checked()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_serious(serve, browser, tmp_path, scheme, width):
    if not Path(AXE).is_file():
        pytest.skip("needs axe-core (npm; FACEREN_TEST_AXE names its axe.min.js)")
    served = serve(make_run(tmp_path))
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page = context.new_page()
    page.goto(served.address)
    card(page, "two.png").get_by_label("Keep the original face 1 of a b/two.png").check()
    page.locator("#undo:enabled").wait_for()
    assert serious(page) == []
    context.close()


def test_marks_are_filled_and_left_at_once(serve, opened, tmp_path):
    out = scratched_run(tmp_path)
    page = opened(serve(out))
    marks = page.locator(".marks")
    marks.locator("summary").click()
    marks.get_by_role("button", name="Fill the ticked marks of a.png").click()
    said(page, "its marks are filled")
    assert still_there(out) == (False, False)
    assert "filled" in marks.locator("summary").inner_text()
    ticks = marks.locator("ul input")
    marks.locator("summary").click()
    assert not AXE or serious(page) == []
    ticks.last.uncheck()
    said(page, "the marks that are ticked are filled")
    assert sorted(still_there(out)) == [False, True]
    assert [tick.is_checked() for tick in ticks.all()] == [True, False]
    mask = (out / "masks" / "a.png.png").read_bytes()
    page.locator("#undo").click()
    said(page, "as it was before")
    assert still_there(out) == (False, False)
    assert (out / "masks" / "a.png.png").read_bytes() != mask
    marks.locator("summary").click()
    assert [tick.is_checked() for tick in ticks.all()] == [True, True]
