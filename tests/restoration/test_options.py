"""What a restoration can be asked: checked when it is made, and told apart by its digest."""

from dataclasses import fields

import pytest

from faceren.errors import ConfigError
from faceren.faces.given import GivenFace
from faceren.restoration.options import RestoreOptions, flag_of


@pytest.mark.parametrize(
    ("options", "weights", "digest"),
    [
        (RestoreOptions(mask="ellipse"), "0" * 64, "b14a1de4d0d6e82b"),
        (
            RestoreOptions(mask="ellipse", strength=0.5, scale=2),
            "1" * 64,
            "e61b5809e419ead4",
        ),
    ],
)
def test_the_digest_is_that_of_earlier_versions_so_that_their_runs_go_on(options, weights, digest):
    assert options.digest(weights) == digest


def test_a_limit_of_the_distance_is_none_of_earlier_versions_whose_distance_was_another():
    limited = RestoreOptions(mask="ellipse", strength=0.5, scale=2, max_identity_distance=0.6)
    assert limited.digest("1" * 64) != "ad003c0c503f17e6"


def test_a_face_marked_by_hand_changes_the_digest():
    options = RestoreOptions()
    assert options.digest("0", [GivenFace((1, 2, 30, 40))]) != options.digest("0")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"detector": "yolo"}, "--detector: expected one of 'tiny', 'retinaface_resnet50'"),
        ({"grain": "some"}, "--grain: expected one of 'auto', 'off', got 'some'"),
        ({"mask": "square"}, "--mask: "),
        ({"faces": "larges"}, "--faces: .*; did you mean 'largest'"),
        ({"max_identity_distance": -0.1}, "--max-identity-distance: expected .* 0.*, got -0.1"),
        ({"strength": 1.5}, "--strength: expected float from 0 to 1, got 1.5"),
        ({"detection_threshold": 0.0}, "--detection-threshold: expected float from 0.01 to 1"),
        ({"quality": 101}, "--quality: expected int from 1 to 100, got 101"),
        ({"scale": 3}, "--scale: expected one of 1, 2, 4, 'auto', got 3"),
        ({"aligned": True, "background": "renovate"}, "leave out --background renovate"),
    ],
)
def test_options_that_make_no_sense(options, said):
    with pytest.raises(ConfigError, match=said):
        RestoreOptions(**options)


def test_a_field_is_called_as_its_flag():
    assert flag_of("max_identity_distance") == "--max-identity-distance"


def test_the_digest_changes_with_every_option_and_with_the_weights():
    others = {
        "aligned": True,
        "faces": "largest",
        "min_face": 24.0,
        "detector": "retinaface_resnet50",
        "detection_threshold": 0.5,
        "rotate": "off",
        "strength": 0.5,
        "max_identity_distance": 0.6,
        "working_size": 256,
        "grain": "off",
        "ensemble": "on",
        "mask": "ellipse",
        "color": "free",
        "background": "renovate",
        "scale": 2,
        "format": "png",
        "repair": "auto",
        "quality": 80,
    }
    assert set(others) == {field.name for field in fields(RestoreOptions)}
    changed = [RestoreOptions(**{name: value}) for name, value in others.items()]
    digests = {options.digest("weights") for options in (RestoreOptions(), *changed)}
    assert len(digests | {RestoreOptions().digest("other")}) == len(others) + 2
    assert RestoreOptions().digest("weights") in digests


def test_the_page_of_a_given_face_counts():
    digests = {
        RestoreOptions().digest("0", [GivenFace((1, 2, 30, 40), page=page)]) for page in (0, 1)
    }
    assert len(digests) == 2


def test_all_faces_are_more_than_those_of_earlier_versions():
    digests = {RestoreOptions(faces=faces).digest("0") for faces in ("auto", "all", "largest")}
    assert len(digests) == 3
