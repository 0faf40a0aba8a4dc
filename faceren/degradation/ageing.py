"""What happens to a photograph besides its tone: lens, grain, handling, damp, and the scan.

Every function draws operations. Lengths are drawn for faces of 512 pixels; ``unit`` is the size
of the image over 512. Counts are for a picture that shows little but the face.
"""

from faceren.degradation.blur import (
    EdgeSoftness,
    GaussianBlur,
    MotionBlur,
    SoftFocus,
    whole_kernel,
)
from faceren.degradation.compression import Jpeg
from faceren.degradation.degradation import Operation
from faceren.degradation.dice import Dice
from faceren.degradation.noise import Grain
from faceren.degradation.pixels import Colour
from faceren.degradation.resampling import Sharpen, Shrink
from faceren.degradation.surface import Mirroring
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain

Operations = list[Operation]

BLACK: Colour = (14.0, 13.0, 12.0)
WHITE: Colour = (244.0, 241.0, 234.0)


def softness(dice: Dice, unit: float, *, low: float, high: float) -> Operations:
    """A lens with a Gaussian spread of ``low`` to ``high`` pixels at 512."""
    sigma = dice.length(low, high, unit)
    return [GaussianBlur(sigma=sigma, kernel=whole_kernel(sigma))]


def shake(dice: Dice, unit: float, *, longest: int) -> Operations:
    """The sitter or the camera moved by up to so many pixels at 512."""
    side = max(3, round(dice.uniform(3, longest) * unit)) | 1
    return [MotionBlur(kernel=side, angle=dice.uniform(0, 360), direction=dice.uniform(-0.4, 0.4))]


def portrait_lens(dice: Dice, unit: float) -> Operations:
    """Sharp on the face, soft around it, sometimes glowing."""
    parts: Operations = [
        EdgeSoftness(
            sigma=dice.length(2, 5, unit),
            x=dice.uniform(0.42, 0.58),
            y=dice.uniform(0.4, 0.6),
            radius=dice.uniform(0.5, 0.8),
        )
    ]
    if dice.chance(0.4):
        sigma = dice.length(3, 8, unit)
        parts.append(SoftFocus(sigma=sigma, amount=dice.uniform(0.1, 0.4)))
    return parts


def grain(dice: Dice, unit: float, *, low: float, high: float) -> Operations:
    """Grain of ``low`` to ``high`` levels, finer or coarser."""
    size = dice.length(0.3, 1.3, max(unit, 0.5))
    return [Grain(strength=dice.uniform(low, high), size=size, seed=dice.seed())]


def dust(dice: Dice, unit: float, *, most: int) -> Operations:
    """White specks (dust on the negative) and dark ones (dirt on the print), and hairs."""
    parts: Operations = [
        Dust(
            count=dice.integer(most // 6, most) if colour is WHITE else dice.integer(0, most // 2),
            size=dice.length(0.8, 2.4, max(unit, 0.5)),
            opacity=dice.uniform(0.35, 0.95),
            colour=colour,
            seed=dice.seed(),
        )
        for colour in (WHITE, BLACK)
    ]
    if dice.chance(0.4):
        parts.append(
            Hairs(
                count=dice.integer(1, 5),
                length=dice.uniform(0.05, 0.25),
                opacity=dice.uniform(0.4, 0.9),
                colour=dice.choice([WHITE, BLACK]),
                seed=dice.seed(),
            )
        )
    return parts


def scratches(dice: Dice, unit: float, *, most: int, colour: Colour) -> Operations:
    """A few scratches, mostly along one direction."""
    return [
        Scratches(
            count=dice.integer(1, most),
            length=dice.uniform(0.1, 0.7),
            thickness=max(1, round(2 * unit)),
            opacity=dice.uniform(0.35, 0.95),
            colour=colour,
            angle=dice.choice([90.0, dice.uniform(-90, 90)]),
            spread=dice.choice([6.0, 25.0, 90.0]),
            seed=dice.seed(),
        )
    ]


def hairlines(dice: Dice, unit: float) -> Operations:
    """The fine parallel wipe marks of a cleaned plate."""
    return [
        Scratches(
            count=dice.integer(15, 70),
            length=dice.uniform(0.15, 0.6),
            thickness=1,
            opacity=dice.uniform(0.1, 0.35),
            colour=(205.0, 203.0, 198.0),
            angle=dice.uniform(-90, 90),
            spread=dice.uniform(4, 20),
            seed=dice.seed(),
        )
    ]


def crease(dice: Dice, unit: float, paper: Colour) -> Operations:
    """One fold, from one border to another or across a corner."""
    corner = dice.chance(0.5)
    a, b = (dice.uniform(0.1, 0.6), dice.uniform(0.1, 0.6)) if corner else (0.0, 0.0)
    ends = (
        [(a, 0.0), (0.0, b)] if corner else [(0.0, dice.uniform(0, 1)), (1.0, dice.uniform(0, 1))]
    )
    if dice.chance(0.5):
        ends = [(y, x) for x, y in ends]
    if corner and dice.chance(0.5):
        ends = [(1 - x, y) for x, y in ends]
    if corner and dice.chance(0.5):
        ends = [(x, 1 - y) for x, y in ends]
    return [
        Crease(
            x0=round(ends[0][0], 6),
            y0=round(ends[0][1], 6),
            x1=round(ends[1][0], 6),
            y1=round(ends[1][1], 6),
            width=dice.length(1.2, 4.0, unit),
            strength=dice.uniform(0.1, 0.8),
            paper=paper,
            seed=dice.seed(),
        )
    ]


def foxing(dice: Dice, unit: float) -> Operations:
    """Some to many rust spots."""
    return [
        Foxing(
            count=dice.integer(4, 40),
            size=dice.length(3, 10, unit),
            opacity=dice.uniform(0.25, 0.7),
            colour=dice.colour((150, 100, 55), (190, 145, 85)),
            seed=dice.seed(),
        )
    ]


def water(dice: Dice) -> Operations:
    """One dried puddle, its centre often outside the picture."""
    return [
        WaterStain(
            x=dice.uniform(-0.2, 1.2),
            y=dice.choice([dice.uniform(-0.2, 0.25), dice.uniform(0.75, 1.2)]),
            radius=dice.uniform(0.15, 0.5),
            strength=dice.uniform(0.2, 0.6),
            colour=dice.colour((150, 115, 70), (205, 180, 135)),
            seed=dice.seed(),
        )
    ]


def mirroring(dice: Dice) -> Operations:
    """Silver migrated to the surface of the shadows."""
    return [
        Mirroring(
            strength=dice.uniform(0.25, 0.75),
            width=dice.uniform(0.1, 0.45),
            colour=dice.colour((118, 128, 142), (150, 158, 168)),
            seed=dice.seed(),
        )
    ]


def scan(dice: Dice, unit: float, *, low: float = 0.45, high: float = 1.0) -> Operations:
    """Digitising: scaled by ``low`` to ``high``, often sharpened, nearly always a JPEG."""
    scale = dice.uniform(low, high)
    parts: Operations = [Shrink(scale=scale, down="area", up="cubic")] if scale < 0.97 else []
    if dice.chance(0.5):
        sigma = dice.length(0.7, 2.2, max(unit, 0.5))
        parts.append(Sharpen(sigma=sigma, amount=dice.uniform(0.2, 1.3)))
    if dice.chance(0.9):
        parts.append(Jpeg(quality=dice.integer(55, 94)))
    return parts
