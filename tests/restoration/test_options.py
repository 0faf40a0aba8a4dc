import pytest

from faceren.errors import ConfigError
from faceren.restoration.options import RestoreOptions


def test_options_are_checked():
    for wrong in ({"strength": -0.1}, {"quality": 0}, {"min_face": -1}, {"faces": "some"}):
        with pytest.raises(ConfigError, match="--"):
            RestoreOptions(**wrong)


def test_the_digest_changes_with_every_option_and_with_the_weights():
    base = RestoreOptions()
    others = [
        RestoreOptions(strength=0.5),
        RestoreOptions(color="free"),
        RestoreOptions(aligned=True),
        RestoreOptions(format="png"),
    ]
    digests = {options.digest("weights") for options in (base, *others)} | {base.digest("other")}
    assert len(digests) == 6
    assert base.digest("weights") == RestoreOptions().digest("weights")
