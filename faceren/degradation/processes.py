"""The look of photographic processes: how each sees colour, prints it, and turns with age.

Every function draws the operations of one process. Lengths are drawn for faces of 512 pixels;
``unit`` is the size of the image over 512.
"""

from faceren.degradation.degradation import Operation
from faceren.degradation.pixels import Colour
from faceren.degradation.sampler import Sampler
from faceren.degradation.tone import (
    Curve,
    DyeFading,
    EdgeFading,
    Monochrome,
    Toning,
    UnevenExposure,
    Vignette,
)

Operations = list[Operation]


def blue_sensitive(sampler: Sampler) -> Monochrome:
    """Collodion and daguerreotype: blind to red and nearly to green; skin dark, eyes pale."""
    return Monochrome(
        red=sampler.uniform(0.05, 0.2),
        green=sampler.uniform(0.3, 0.45),
        blue=sampler.uniform(0.4, 0.6),
    )


def orthochromatic(sampler: Sampler) -> Monochrome:
    """Plates of about 1880 to 1930: green and blue, little red."""
    return Monochrome(
        red=sampler.uniform(0.08, 0.2),
        green=sampler.uniform(0.5, 0.65),
        blue=sampler.uniform(0.2, 0.35),
    )


def panchromatic(sampler: Sampler) -> Monochrome:
    """Film since the 1930s: about as the eye sees."""
    return Monochrome(
        red=sampler.uniform(0.24, 0.4),
        green=sampler.uniform(0.45, 0.6),
        blue=sampler.uniform(0.08, 0.2),
    )


def daguerreotype(sampler: Sampler, unit: float) -> Operations:
    """A silvered plate: steep, dark, cool to faintly brown, darker towards its mat."""
    shadow, middle, light = sampler.choice(_PLATES)
    return [
        blue_sensitive(sampler),
        Curve(gamma=sampler.uniform(0.5, 0.85), black=0.0, white=255.0),  # exposed for the skin
        _toning(sampler, shadow, middle, light, fade=sampler.uniform(0.0, 0.2)),
        UnevenExposure(
            strength=sampler.uniform(0.04, 0.12), period=300 * unit, seed=sampler.seed()
        ),
        Vignette(strength=sampler.uniform(0.1, 0.4), start=sampler.uniform(0.4, 0.8)),
    ]


def albumen(sampler: Sampler, unit: float) -> Operations:
    """Egg-white paper on a card: purple- to yellow-brown, cream lights, faded from its edges."""
    aged = sampler.uniform(0.0, 1.0)  # 0: still purple-brown; 1: pale yellow-brown
    shadow = _between((48, 34, 34), (92, 66, 44), aged)
    middle = _between((144, 116, 98), (176, 142, 100), aged)
    light = _between((242, 230, 206), (233, 211, 166), aged)
    steps: Operations = [
        sampler.choice([blue_sensitive, orthochromatic])(sampler),
        Curve(gamma=sampler.uniform(0.6, 1.0), black=0.0, white=255.0),
        _toning(sampler, shadow, middle, light, fade=0.0),
        UnevenExposure(strength=sampler.uniform(0.03, 0.1), period=350 * unit, seed=sampler.seed()),
    ]
    if sampler.chance(0.3):  # printed through an oval mask, as cards often were
        steps.append(Vignette(strength=-sampler.uniform(0.4, 1.0), start=0.8, paper=light))
    if sampler.chance(0.6):
        strength, width = sampler.uniform(0.15, 0.5), sampler.uniform(0.15, 0.5)
        steps.append(EdgeFading(strength=strength, width=width, colour=light, seed=sampler.seed()))
    return steps


def gelatin(sampler: Sampler, unit: float) -> Operations:
    """Silver gelatin paper: neutral black, sometimes warm, any contrast."""
    steps: Operations = [
        sampler.choice([orthochromatic, panchromatic])(sampler),
        Curve(
            gamma=sampler.uniform(0.75, 1.35),
            black=sampler.uniform(4, 45),
            white=sampler.uniform(205, 250),
        ),
    ]
    if sampler.chance(0.4):
        warm = sampler.uniform(0.2, 1.0)
        shadow, middle = (
            _between((8, 8, 8), (34, 26, 20), warm),
            _between((127,) * 3, (138, 126, 112), warm),
        )
        steps.append(
            _toning(sampler, shadow, middle, _between((246,) * 3, (245, 238, 222), warm), fade=0)
        )
    if sampler.chance(0.5):
        strength = sampler.uniform(0.03, 0.15)
        steps.append(UnevenExposure(strength=strength, period=300 * unit, seed=sampler.seed()))
    if sampler.chance(0.3):
        steps.append(Vignette(strength=sampler.uniform(0.1, 0.4), start=sampler.uniform(0.4, 0.9)))
    return steps


def sepia(sampler: Sampler, unit: float) -> Operations:
    """Silver turned to sulphide: brown from shadow to light, permanent, little faded."""
    return [
        orthochromatic(sampler),
        Curve(gamma=sampler.uniform(0.8, 1.2), black=0.0, white=255.0),
        _toning(
            sampler, (46, 28, 16), (152, 120, 84), (246, 232, 202), fade=sampler.uniform(0, 0.25)
        ),
        UnevenExposure(strength=sampler.uniform(0.02, 0.1), period=350 * unit, seed=sampler.seed()),
    ]


def cyanotype(sampler: Sampler, unit: float) -> Operations:
    """Prussian blue on white paper, brushed on by hand."""
    return [
        blue_sensitive(sampler),
        Curve(gamma=sampler.uniform(0.85, 1.25), black=0.0, white=255.0),
        _toning(
            sampler, (12, 30, 78), (84, 122, 166), (232, 238, 234), fade=sampler.uniform(0, 0.3)
        ),
        UnevenExposure(
            strength=sampler.uniform(0.05, 0.16), period=160 * unit, seed=sampler.seed()
        ),
    ]


def press(sampler: Sampler, unit: float) -> Operations:
    """A picture prepared for the newspaper: gray, steep, lights and shadows closed up."""
    return [
        orthochromatic(sampler),
        Curve(
            gamma=sampler.uniform(0.65, 1.0),
            black=sampler.uniform(0, 20),
            white=sampler.uniform(225, 255),
        ),
    ]


def chromogenic(sampler: Sampler, unit: float) -> Operations:
    """A colour print of the 1970s: its cyan dye gone first, the base yellowed, blacks brown."""
    cyan = sampler.uniform(0.35, 0.7)
    steps: Operations = [
        Curve(gamma=sampler.uniform(0.85, 1.05), black=sampler.uniform(8, 26), white=255.0),
        DyeFading(
            cyan=cyan,
            magenta=round(min(cyan + sampler.uniform(0.15, 0.4), 1.0), 6),
            yellow=round(min(cyan + sampler.uniform(0.1, 0.35), 1.0), 6),
            saturation=sampler.uniform(0.4, 0.85),
            stain=sampler.colour((255, 250, 232), (250, 234, 196)),
        ),
    ]
    if sampler.chance(0.5):
        steps.append(Vignette(strength=sampler.uniform(0.1, 0.35), start=sampler.uniform(0.5, 0.9)))
    return steps


_PLATES: list[tuple[Colour, Colour, Colour]] = [
    ((14, 14, 16), (116, 116, 117), (232, 232, 229)),  # bright silver
    ((22, 18, 16), (126, 116, 104), (234, 224, 207)),  # gilded, faintly brown
    ((16, 17, 22), (112, 116, 122), (224, 228, 229)),  # bluish
]


def _between(a: Colour, b: Colour, share: float) -> Colour:
    red, green, blue = (round(x + (y - x) * share, 2) for x, y in zip(a, b, strict=True))
    return red, green, blue


def _toning(
    sampler: Sampler, shadow: Colour, middle: Colour, light: Colour, *, fade: float
) -> Toning:
    """Jitter the three colours a little; ``fade`` moves the shadow towards the middle."""
    return Toning(
        shadow=sampler.colour(shadow, _between(shadow, middle, fade)),
        middle=sampler.colour(middle, middle),
        highlight=sampler.colour(light, light),
    )
