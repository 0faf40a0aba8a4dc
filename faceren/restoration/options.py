"""What a user can ask of a restored photo."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from typer import Option

from faceren.checks import Bounds, check_fields
from faceren.config import Detector, Ensemble
from faceren.errors import ConfigError

if TYPE_CHECKING:  # the command line reads the fields below before NumPy and OpenCV are loaded
    from faceren.faces.given import GivenFace

Format = Literal["keep", "png", "jpg", "webp", "tiff"]


@dataclass(frozen=True, kw_only=True)
class RestoreOptions:
    """Everything that decides which pixels an output has.

    A field is the one place of an option: the command line makes a flag and an environment
    variable of it, the manifest's header and the digest of a photo's settings hold it.
    """

    aligned: Annotated[bool, Option(help="Inputs are aligned face crops: restore them whole.")] = (
        False
    )
    """Nothing is detected then."""
    faces: Annotated[
        Literal["auto", "all", "largest", "center"],
        Option(help="Which of the faces found to restore; all takes doubtful ones, too."),
    ] = "auto"
    min_face: Annotated[
        float, Bounds(0), Option(help="Leave out narrower faces, in pixels of the photo.")
    ] = 0.0
    detector: Annotated[
        Detector, Option(help="What finds faces; all but tiny need faceren[facexlib].")
    ] = "tiny"
    detection_threshold: Annotated[
        float, Bounds(0.01, 1), Option(help="Least confidence, 0.01 to 1.")
    ] = 0.8
    rotate: Annotated[Literal["auto", "off"], Option(help="Find turned faces.")] = "auto"
    """Faces that lie on their side or upside down are looked for, too."""
    strength: Annotated[
        float, Bounds(0, 1), Option(help="Blend: 0 is the input, 1 the restored face.")
    ] = 1.0
    min_identity: Annotated[
        float | None,
        Bounds(0),
        Option(
            help="Blend faces back whose identity distance exceeds this; 0.6 is another person.",
            metavar="DISTANCE",
        ),
    ] = None
    working_size: Annotated[
        Literal["auto"] | Annotated[int, Bounds(64, 2048)],
        Option(help="Side at which the network sees a face, pixels; auto: by its detail."),
    ] = "auto"
    """Never more than the face's own crop has."""
    grain: Annotated[
        Literal["auto", "off"], Option(help="Match grain and sharpness of the photo.")
    ] = "auto"
    ensemble: Annotated[
        Ensemble,
        Option(
            help="Restore each face's mirror image, too, and take the mean: on (calmer), off "
            "(twice as fast) or auto (as the weights say)."
        ),
    ] = "auto"
    mask: Annotated[Literal["auto", "ellipse", "parsing"], Option(help="What is pasted.")] = "auto"
    """An ellipse, or the outline of the head within it; ``auto`` is settled by ``resolve_mask``."""
    color: Annotated[Literal["auto", "keep", "free"], Option(help="Whose chroma.")] = "auto"
    """``keep`` the photo's, ``free``: the network's; ``auto`` keeps it in monochrome photos."""
    background: Annotated[
        Literal["keep", "renovate"], Option(help="keep, or renovate: restore the whole photo.")
    ] = "keep"
    scale: Annotated[Literal[1, 2, 4], Option(help="So many times as many pixels a side.")] = 1
    repair: Annotated[
        Literal["off", "suggest", "auto", "strong"],
        Option(
            help="Scratches, dust and creases: suggest shows them in OUT/masks, auto fills them, "
            "strong fills doubtful ones, too."
        ),
    ] = "off"
    """Of the whole photo, before its faces; see ``restoration.repair``."""
    format: Annotated[Format, Option(help="File format of the outputs.")] = "keep"
    quality: Annotated[
        int, Bounds(1, 100), Option(help="Of lossy outputs, 1 to 100; good JPEGs keep their own.")
    ] = 95
    """A JPEG of quality 75 or better keeps its own tables."""

    def __post_init__(self) -> None:
        check_fields(self, flag_of)
        if self.aligned and self.background == "renovate":
            raise ConfigError(
                "--aligned restores whole pictures already; leave out --background renovate"
            )

    @property
    def writes_anew(self) -> bool:
        """Whether also a photo without a face is written anew, not copied."""
        return self.scale != 1 or self.format != "keep"

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
        if self.repair == "off":
            del asked["repair"]  # as before there was any
        fields = json.dumps(asked, sort_keys=True) + computed
        if given:
            fields += repr(tuple(given))
        return hashlib.sha256(f"{fields}|{weights_sha256}".encode()).hexdigest()[:16]


def flag_of(field: str) -> str:
    """Return what a field of options is called on the command line."""
    return "--" + field.replace("_", "-")
