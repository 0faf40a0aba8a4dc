"""What a user can ask of a restored photo."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from typer import Option

from faceren.checks import Bounds, check_fields, check_value
from faceren.config import ANOTHER_PERSON, Detector, Ensemble, FileFormat
from faceren.errors import ConfigError

if TYPE_CHECKING:  # the command line reads the fields below before NumPy and OpenCV are loaded
    from faceren.faces.given import GivenFace

Preset = Literal["gentle", "normal", "strong"]
PRESETS: "dict[Preset, dict[str, object]]" = {
    "gentle": {"strength": 0.6, "max_identity_distance": 0.25},
    "normal": {},
    "strong": {"faces": "all", "grain": "off"},
}
"""Values of options by one word each; whatever is given beside it goes before. Beyond an identity
distance of 0.25 are 2 in 100 pairs of portraits of one person that differ by a smile."""
FACES = "Faces"
OUTPUT = "Output"
EVERYDAY = "Everyday"
"""Groups of the help."""
HASHED = (
    *("aligned", "faces", "min_face", "detector", "detection_threshold", "rotate", "strength"),
    *("max_identity_distance", "working_size", "grain", "ensemble", "mask", "color", "background"),
    *("scale", "format", "quality"),
)
"""Fields that every digest holds. A younger one enters it only where it is not the default, so that
what was restored before there was such an option is not restored anew."""


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Everything that decides which pixels an output has.

    A field is the one place of an option: the command line makes a flag and an environment
    variable of it, the manifest's header and the digest of a photo's settings hold it.
    """

    aligned: Annotated[
        bool,
        Option(help="Inputs are aligned face crops: restore them whole.", rich_help_panel=FACES),
    ] = False
    """Nothing is detected then."""
    faces: Annotated[
        Literal["auto", "all", "largest", "center"],
        Option(
            help="Which of the faces found to restore; all takes doubtful ones, too.",
            rich_help_panel=EVERYDAY,
        ),
    ] = "auto"
    min_face: Annotated[
        float,
        Bounds(0),
        Option(help="Leave out narrower faces, in pixels of the photo.", rich_help_panel=FACES),
    ] = 0.0
    detector: Annotated[
        Detector,
        Option(
            help="What finds faces; all but tiny need faceren[facexlib].", rich_help_panel=FACES
        ),
    ] = "tiny"
    detection_threshold: Annotated[
        float, Bounds(0.01, 1), Option(help="Least confidence.", rich_help_panel=FACES)
    ] = 0.8
    rotate: Annotated[
        Literal["auto", "off"], Option(help="Find turned faces.", rich_help_panel=FACES)
    ] = "auto"
    """Faces that lie on their side or upside down are looked for, too."""
    strength: Annotated[
        float,
        Bounds(0, 1),
        Option(help="Blend: 0 is the input, 1 the restored face.", rich_help_panel=EVERYDAY),
    ] = 1.0
    max_identity_distance: Annotated[
        float | None,
        Bounds(0),
        Option(
            help="Blend faces back whose identity distance exceeds this: 0 is the same, beyond "
            f"{ANOTHER_PERSON} another person, 1 a stranger.",
            metavar="DISTANCE",
            rich_help_panel=FACES,
        ),
    ] = None
    working_size: Annotated[
        Literal["auto"] | Annotated[int, Bounds(64, 2048)],
        Option(
            help="Side at which the network sees a face, pixels; auto: by its detail.",
            rich_help_panel=FACES,
        ),
    ] = "auto"
    """Never more than the face's own crop has."""
    grain: Annotated[
        Literal["auto", "off"],
        Option(help="Match grain and sharpness of the photo.", rich_help_panel=FACES),
    ] = "auto"
    ensemble: Annotated[
        Ensemble,
        Option(
            help="Restore each face's mirror image, too, and take the mean: on (calmer), off "
            "(twice as fast) or auto (as the weights say).",
            rich_help_panel=FACES,
        ),
    ] = "auto"
    mask: Annotated[
        Literal["auto", "ellipse", "parsing"],
        Option(help="What is pasted: an ellipse, or the head's outline.", rich_help_panel=FACES),
    ] = "auto"
    """An ellipse, or the outline of the head within it; ``auto`` is settled by ``resolve_mask``."""
    color: Annotated[
        Literal["auto", "keep", "free"],
        Option(
            help="keep the photo's own chroma, or free; auto keeps it in monochrome photos.",
            rich_help_panel=FACES,
        ),
    ] = "auto"
    """``keep`` the photo's, ``free``: the network's; ``auto`` keeps it in monochrome photos."""
    background: Annotated[
        Literal["keep", "renovate"],
        Option(help="keep, or renovate: restore the whole photo.", rich_help_panel=EVERYDAY),
    ] = "keep"
    scale: Annotated[
        Literal[1, 2, 4, "auto"],
        Option(
            help="Enlarge width and height by this factor; auto: by 2 where faces are small.",
            rich_help_panel=EVERYDAY,
        ),
    ] = 1
    """``auto`` decides photo by photo, see ``restoration.photo.choose_scale``."""
    format: Annotated[
        FileFormat, Option(help="File format of the outputs.", rich_help_panel=OUTPUT)
    ] = "keep"
    repair: Annotated[
        Literal["off", "suggest", "auto", "strong"],
        Option(
            help="Scratches, dust, creases: suggest shows them in OUT/masks, auto fills them, "
            "strong fills doubtful ones, too.",
            rich_help_panel=EVERYDAY,
        ),
    ] = "off"
    """Of the whole photo, before its faces; see ``restoration.repair``."""
    quality: Annotated[
        int,
        Bounds(1, 100),
        Option(help="Of lossy outputs; good JPEGs keep their own.", rich_help_panel=OUTPUT),
    ] = 95
    """A JPEG of quality 75 or better keeps its own tables."""

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
        if self.aligned and self.background == "renovate":
            raise ConfigError(
                "--aligned restores whole pictures already; leave out --background renovate"
            )

    def digest(
        self, weights_sha256: str, given: "Sequence[GivenFace]" = (), computed: str = ""
    ) -> str:
        """Return a hash of all that decides an output beside its input.

        Args:
            weights_sha256: Of the network.
            given: Faces that a person has marked.
            computed: Engine, device and number type.
        """
        # what is "auto" now was "all": a run with the default options goes on as it was
        faces = {"auto": "all", "all": "all, doubtful too"}.get(self.faces, self.faces)
        asked = dataclasses.asdict(self) | {"faces": faces}
        for field in dataclasses.fields(self):
            if field.name not in HASHED and asked[field.name] == field.default:
                del asked[field.name]
        if self.max_identity_distance is None:  # its name in earlier versions
            asked["min_identity"] = asked.pop("max_identity_distance")  # whose distance was another
        fields = json.dumps(asked, sort_keys=True) + computed
        if given:
            fields += repr(tuple(given))
            pages = [face.page for face in given]
            if any(pages):  # those of one page are hashed as they were before pages were known
                fields += repr(pages)
        return hashlib.sha256(f"{fields}|{weights_sha256}".encode()).hexdigest()[:16]


def preset(name: Preset) -> RestoreOptions:
    """Return the options of a preset.

    Args:
        name: ``gentle``, ``normal`` or ``strong``.

    Raises:
        ConfigError: If there is none of that name.
    """
    check_value("--preset", name, Preset)
    values: dict[str, Any] = {**PRESETS[name]}
    return RestoreOptions(**values)


def flag_of(field: str) -> str:
    """Return what a field of options is called on the command line."""
    return "--" + field.replace("_", "-")
