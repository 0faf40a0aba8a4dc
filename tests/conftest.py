import sys

import pytest

from faceren import cli


@pytest.fixture
def run(capsys, monkeypatch):
    """Run the command line as a user would; return exit status, stdout, stderr."""

    def run_main(*arguments):
        monkeypatch.setenv("FACEREN_DEVICE", "cpu")
        monkeypatch.setattr(sys, "argv", ["faceren", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code, *capsys.readouterr()

    return run_main
