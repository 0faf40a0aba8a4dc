import base64
import hashlib
import re

import numpy as np
import pytest
from jinja2 import DictLoader, UndefinedError

from faceren.pages import page

HOSTILE = "<img src=x onerror=alert(1)>\"'&.jpg"


@pytest.fixture
def render(monkeypatch):
    """Render a template that is given as text, with the package's own beside it."""

    def rendered(content, **context):
        environment = page._environment().overlay()
        text = (
            '{% extends "base.html.j2" %}{% import "macros.html.j2" as ui with context %}'
            "{% block content %}" + content + "{% endblock %}"
        )
        own = page._environment().loader
        environment.loader = DictLoader(
            {"test": text}
            | {name: own.get_source(environment, name)[0] for name in own.list_templates()}
        )
        monkeypatch.setattr(page, "_environment", lambda: environment)
        return page.render(
            "test", {"title": "T", "subtitle": "S"} | context, scripts=["compare.js"]
        )

    return rendered


def test_everything_is_escaped(render):
    parts = (
        "{{ ui.facts([(x, x)]) }}{{ ui.table([x, x], [[x, x]], caption=x) }}{{ ui.badge(x) }}"
        "{{ ui.figure(x, x, caption=x) }}{{ ui.notice(x, [x]) }}"
    )
    html = render(parts, x=HOSTILE, title=HOSTILE, subtitle=HOSTILE)
    assert "<img src=x" not in html
    assert html.count("&lt;img src=x onerror=alert(1)&gt;&#34;&#39;&amp;.jpg") >= 14


def test_a_name_that_the_context_lacks_is_an_error(render):
    with pytest.raises(UndefinedError, match="gone"):
        render("{{ gone }}")


def test_the_policy_names_exactly_the_style_and_the_scripts(render):
    html = render("")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#39;", "'")
    blocks = re.findall(r"<(style|script)>(.*?)</\1>", html, re.DOTALL)
    hashes = {
        kind: base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        for kind, text in blocks
    }
    assert policy == (
        "default-src 'none'; img-src 'self' file: data:; "
        f"style-src 'sha256-{hashes['style']}'; script-src 'sha256-{hashes['script']}'; "
        "base-uri 'none'; form-action 'none'"
    )


def test_no_page_and_no_static_file_leads_to_the_network(render):
    files = [path for path in page.HERE.rglob("*") if path.suffix in (".css", ".js", ".j2")]
    assert len(files) >= 9
    for text in [render(""), *(path.read_text(encoding="utf-8") for path in files)]:
        assert not re.search(r"https?:|//[\w-]+\.\w|@import|\burl\(", text)
        assert "innerHTML" not in text
        assert "eval(" not in text


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("a b/c.jpg", "./a%20b/c.jpg"),
        ("../photos/x.jpg", "./../photos/x.jpg"),
        ("javascript:alert(1).jpg", "./javascript%3Aalert%281%29.jpg"),
        ("#?%&\"'<>\n.jpg", "./%23%3F%25%26%22%27%3C%3E%0A.jpg"),
        ("é.jpg", "./%C3%A9.jpg"),
        ("\udcff.jpg", "./%FF.jpg"),
    ],
)
def test_an_address_names_a_file_and_nothing_else(name, address):
    assert page.relative_url(name) == address


def test_an_embedded_picture_is_the_picture():
    import cv2

    rgb = np.full((8, 8, 3), (200, 30, 40), np.uint8)
    head, data = page.embedded(page.jpeg(rgb), "jpeg").split(",")
    assert head == "data:image/jpeg;base64"
    decoded = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
    np.testing.assert_allclose(decoded[..., ::-1], rgb, atol=3)


def test_an_unchanged_page_is_not_written_again(tmp_path):
    context = {"title": "T", "subtitle": "S"}
    page.write_page(tmp_path / "p.html", "base.html.j2", context)
    stamp = (tmp_path / "p.html").stat().st_mtime_ns
    page.write_page(tmp_path / "p.html", "base.html.j2", context)
    assert (tmp_path / "p.html").stat().st_mtime_ns == stamp
    page.write_page(tmp_path / "p.html", "base.html.j2", context | {"title": "U"})
    assert "<h1>U</h1>" in (tmp_path / "p.html").read_text()
