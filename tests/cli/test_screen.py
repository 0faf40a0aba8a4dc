import json

from faceren.cli.screen import Screen, one_line, print_json, write_json


def test_a_name_cannot_break_a_line_or_colour_it():
    assert one_line("a\nb\x1b[31m.jpg") == "a\\nb\\x1b[31m.jpg"
    assert one_line("Zoë 👵 [bold].jpg") == "Zoë 👵 [bold].jpg"


def test_messages_go_to_stderr_and_keep_brackets(capsys):
    Screen().say("[red]photo[/red].jpg")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "[red]photo[/red].jpg\n")


def test_quiet_says_errors_only(capsys):
    screen = Screen(quiet=True)
    screen.say("hello")
    screen.error("broken")
    assert capsys.readouterr().err == "error: broken\n"


def test_no_bar_without_a_terminal(capsys):
    assert list(Screen().progress([1, 2, 3], 3, "photos")) == [1, 2, 3]
    assert capsys.readouterr() == ("", "")


def test_json_holds_no_raw_control_characters_and_no_bytes_that_are_no_text(capsys, tmp_path):
    names = ["Zoë 👵.jpg", "caf\udce9.jpg", "\x9b31mred\x7f\n.jpg", "\u202egpj.exe", "\ud800"]
    for name in names:
        print_json({"name": name})
        write_json(tmp_path / "a.json", {"name": name})
        (line,) = capsys.readouterr().out.splitlines()
        assert line.isprintable()
        assert json.loads(line) == {"name": name}
        assert json.loads((tmp_path / "a.json").read_text()) == {"name": name}
    print_json({"name": "Zoë"})
    assert capsys.readouterr().out == '{"name": "Zoë"}\n'
