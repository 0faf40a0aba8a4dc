"""What happens to a photograph besides its tone: lens, grain, handling, damp, and the scan.

Every function draws operations. Lengths are drawn for faces of 512 pixels; ``unit`` is the size
of the image over 512. Counts are for a picture that shows little but the face.
"""

from faceren.degradation.degradation import Operation
from faceren.degradation.noise import Grain
from faceren.degradation.pixels import Colour, Sampler
from faceren.degradation.prints import Mirroring
from faceren.degradation.resolution import (
    EdgeSoftness,
    GaussianBlur,
    Jpeg,
    MotionBlur,
    Sharpen,
    Shrink,
    SoftFocus,
    whole_kernel,
)
from faceren.degradation.wear import Crease, Dust, Foxing, Hairs, Scratches, WaterStain

Operations = list[Operation]

BLACK: Colour = (14.0, 13.0, 12.0)
WHITE: Colour = (244.0, 241.0, 234.0)


def softness(sampler: Sampler, unit: float, *, low: float, high: float) -> Operations:
    """Draw a lens with a Gaussian spread of ``low`` to ``high`` pixels at 512."""
    sigma = sampler.length(low, high, unit)
    return [GaussianBlur(sigma=sigma, kernel=whole_kernel(sigma))]


def shake(sampler: Sampler, unit: float, *, longest: int) -> Operations:
    """Draw how the sitter or the camera moved, by up to so many pixels at 512."""
    side = max(3, round(sampler.uniform(3, longest) * unit)) | 1
    return [
        MotionBlur(kernel=side, angle=sampler.uniform(0, 360), direction=sampler.uniform(-0.4, 0.4))
    ]


def portrait_lens(sampler: Sampler, unit: float) -> Operations:
    """Draw a lens that is sharp on the face, soft around it, sometimes glowing."""
    parts: Operations = [
        EdgeSoftness(
            sigma=sampler.length(2, 5, unit),
            x=sampler.uniform(0.42, 0.58),
            y=sampler.uniform(0.4, 0.6),
            radius=sampler.uniform(0.5, 0.8),
        )
    ]
    if sampler.chance(0.4):
        sigma = sampler.length(3, 8, unit)
        parts.append(SoftFocus(sigma=sigma, amount=sampler.uniform(0.1, 0.4)))
    return parts


def grain(sampler: Sampler, unit: float, *, low: float, high: float) -> Operations:
    """Draw grain of ``low`` to ``high`` levels, finer or coarser."""
    size = sampler.length(0.3, 1.3, max(unit, 0.5))
    return [Grain(strength=sampler.uniform(low, high), size=size, seed=sampler.seed())]


def dust(sampler: Sampler, unit: float, *, most: int) -> Operations:
    """Draw white specks (dust on the negative) and dark ones (dirt on the print), and hairs."""
    parts: Operations = [
        Dust(
            count=sampler.integer(most // 6, most)
            if colour is WHITE
            else sampler.integer(0, most // 2),
            size=sampler.length(0.8, 2.4, max(unit, 0.5)),
            opacity=sampler.uniform(0.35, 0.95),
            colour=colour,
            seed=sampler.seed(),
        )
        for colour in (WHITE, BLACK)
    ]
    if sampler.chance(0.4):
        parts.append(
            Hairs(
                count=sampler.integer(1, 5),
                length=sampler.uniform(0.05, 0.25),
                opacity=sampler.uniform(0.4, 0.9),
                colour=sampler.choice([WHITE, BLACK]),
                seed=sampler.seed(),
            )
        )
    return parts


def scratches(sampler: Sampler, unit: float, *, most: int, colour: Colour) -> Operations:
    """Draw a few scratches, mostly along one direction."""
    return [
        Scratches(
            count=sampler.integer(1, most),
            length=sampler.uniform(0.1, 0.7),
            thickness=max(1, round(2 * unit)),
            opacity=sampler.uniform(0.35, 0.95),
            colour=colour,
            angle=sampler.choice([90.0, sampler.uniform(-90, 90)]),
            spread=sampler.choice([6.0, 25.0, 90.0]),
            seed=sampler.seed(),
        )
    ]


def hairlines(sampler: Sampler, unit: float) -> Operations:
    """Draw the fine parallel wipe marks of a cleaned plate."""
    return [
        Scratches(
            count=sampler.integer(15, 70),
            length=sampler.uniform(0.15, 0.6),
            thickness=1,
            opacity=sampler.uniform(0.1, 0.35),
            colour=(205.0, 203.0, 198.0),
            angle=sampler.uniform(-90, 90),
            spread=sampler.uniform(4, 20),
            seed=sampler.seed(),
        )
    ]


def crease(sampler: Sampler, unit: float, paper: Colour) -> Operations:
    """Draw one fold, from one border to another or across a corner."""
    corner = sampler.chance(0.5)
    a, b = (sampler.uniform(0.1, 0.6), sampler.uniform(0.1, 0.6)) if corner else (0.0, 0.0)
    ends = (
        [(a, 0.0), (0.0, b)]
        if corner
        else [(0.0, sampler.uniform(0, 1)), (1.0, sampler.uniform(0, 1))]
    )
    if sampler.chance(0.5):
        ends = [(y, x) for x, y in ends]
    if corner and sampler.chance(0.5):
        ends = [(1 - x, y) for x, y in ends]
    if corner and sampler.chance(0.5):
        ends = [(x, 1 - y) for x, y in ends]
    return [
        Crease(
            x0=round(ends[0][0], 6),
            y0=round(ends[0][1], 6),
            x1=round(ends[1][0], 6),
            y1=round(ends[1][1], 6),
            width=sampler.length(1.2, 4.0, unit),
            strength=sampler.uniform(0.1, 0.8),
            paper=paper,
            seed=sampler.seed(),
        )
    ]


def foxing(sampler: Sampler, unit: float) -> Operations:
    """Draw a few to many rust spots."""
    return [
        Foxing(
            count=sampler.integer(4, 40),
            size=sampler.length(3, 10, unit),
            opacity=sampler.uniform(0.25, 0.7),
            colour=sampler.colour((150, 100, 55), (190, 145, 85)),
            seed=sampler.seed(),
        )
    ]


def water(sampler: Sampler) -> Operations:
    """Draw one dried puddle, its centre often outside the picture."""
    return [
        WaterStain(
            x=sampler.uniform(-0.2, 1.2),
            y=sampler.choice([sampler.uniform(-0.2, 0.25), sampler.uniform(0.75, 1.2)]),
            radius=sampler.uniform(0.15, 0.5),
            strength=sampler.uniform(0.2, 0.6),
            colour=sampler.colour((150, 115, 70), (205, 180, 135)),
            seed=sampler.seed(),
        )
    ]


def mirroring(sampler: Sampler) -> Operations:
    """Draw the sheen of silver that has migrated to the surface of the shadows."""
    return [
        Mirroring(
            strength=sampler.uniform(0.25, 0.75),
            width=sampler.uniform(0.1, 0.45),
            colour=sampler.colour((118, 128, 142), (150, 158, 168)),
            seed=sampler.seed(),
        )
    ]


def scan(sampler: Sampler, unit: float, *, low: float = 0.45, high: float = 1.0) -> Operations:
    """Draw digitising: scaled by ``low`` to ``high``, often sharpened, nearly always a JPEG."""
    scale = sampler.uniform(low, high)
    parts: Operations = [Shrink(scale=scale, down="area", up="cubic")] if scale < 0.97 else []
    if sampler.chance(0.5):
        sigma = sampler.length(0.7, 2.2, max(unit, 0.5))
        parts.append(Sharpen(sigma=sigma, amount=sampler.uniform(0.2, 1.3)))
    if sampler.chance(0.9):
        parts.append(Jpeg(quality=sampler.integer(55, 94)))
    return parts
