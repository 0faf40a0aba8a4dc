from faceren.cli.screen import Screen, one_line


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
