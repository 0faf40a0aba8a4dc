"""Old photographs as a whole: each preset is a look (tone) and what has happened since (damage).

The two are drawn apart, so that training can ask for the damage to be undone and the tone kept.

Every function draws the operations of one process. Lengths are drawn for faces of 512 pixels;
``unit`` is the size of the image over 512.
"""

from collections.abc import Callable
from dataclasses import dataclass

from faceren.degradation import ageing
from faceren.degradation.ageing import Operations
from faceren.degradation.pixels import Colour, Sampler
from faceren.degradation.prints import (
    Curve,
    DyeFading,
    EdgeFading,
    Halftone,
    Monochrome,
    PaperTexture,
    Tarnish,
    Toning,
    UnevenExposure,
    Vignette,
)


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


Draw = Callable[[Sampler, float], Operations]
"""Draws operations; the number is the size of the image over 512."""

CREAM: Colour = (240.0, 230.0, 208.0)


@dataclass(frozen=True)
class Preset:
    """A kind of old photograph."""

    tone: Draw
    damage: Draw


def draw_historic(sampler: Sampler, unit: float, name: str = "") -> tuple[Operations, Operations]:
    """Return the tone and the damage of one old photograph.

    Args:
        sampler: Draws the parameters.
        unit: Size of the image over 512.
        name: A key of ``PRESETS``; empty draws one of those or of ``OTHERS``, all equally likely.
    """
    known = {**PRESETS, **OTHERS}
    preset = known[name or sampler.choice(list(known))]
    return preset.tone(sampler, unit), preset.damage(sampler, unit)


def _maybe(sampler: Sampler, probability: float, draw: Callable[[], Operations]) -> Operations:
    return draw() if sampler.chance(probability) else []


def _plate(sampler: Sampler, unit: float) -> Operations:
    return [
        *ageing.portrait_lens(sampler, unit),
        *_maybe(sampler, 0.5, lambda: ageing.shake(sampler, unit, longest=6)),
        *ageing.softness(sampler, unit, low=0.3, high=1.3),
        *ageing.grain(sampler, unit, low=2, high=7),
        Tarnish(
            strength=sampler.uniform(0.25, 0.75),
            width=sampler.uniform(0.1, 0.45),
            seed=sampler.seed(),
        ),
        *ageing.hairlines(sampler, unit),
        *_maybe(sampler, 0.5, lambda: ageing.scratches(sampler, unit, most=5, colour=ageing.BLACK)),
        *ageing.dust(sampler, unit, most=90),
        *ageing.scan(sampler, unit),
    ]


def _card(sampler: Sampler, unit: float) -> Operations:
    texture = sampler.uniform(1.5, 5), sampler.length(3, 7, unit)
    return [
        *ageing.portrait_lens(sampler, unit),
        *ageing.softness(sampler, unit, low=0.4, high=1.6),
        *ageing.grain(sampler, unit, low=2, high=9),
        PaperTexture(kind="fibre", strength=texture[0], period=texture[1], seed=sampler.seed()),
        *_maybe(sampler, 0.6, lambda: ageing.foxing(sampler, unit)),
        *_maybe(sampler, 0.3, lambda: ageing.water(sampler)),
        *_maybe(sampler, 0.4, lambda: ageing.scratches(sampler, unit, most=5, colour=CREAM)),
        *_maybe(sampler, 0.15, lambda: ageing.crease(sampler, unit, CREAM)),
        *ageing.dust(sampler, unit, most=60),
        *ageing.scan(sampler, unit),
    ]


def _newspaper(sampler: Sampler, unit: float) -> Operations:
    pitch = sampler.length(4.5, 8.0, unit)
    paper = sampler.colour((232, 222, 200), (206, 184, 146))
    return [
        *ageing.softness(sampler, unit, low=0.8, high=2.5),
        Halftone(
            pitch=max(pitch, 1.5),
            angle=sampler.choice([45.0, 45.0, sampler.uniform(10, 80)]),
            softness=sampler.uniform(0.15, 0.45),
            gain=sampler.uniform(0.0, 0.1),
            ink=sampler.colour((42, 38, 36), (72, 66, 60)),
            paper=paper,
        ),
        PaperTexture(
            kind="fibre",
            strength=sampler.uniform(3, 8),
            period=sampler.length(3.0, 5.0, unit),
            seed=sampler.seed(),
        ),
        *_maybe(sampler, 0.4, lambda: ageing.crease(sampler, unit, paper)),
        *_maybe(sampler, 0.3, lambda: ageing.water(sampler)),
        *ageing.dust(sampler, unit, most=40),
        *ageing.softness(sampler, unit, low=0.5, high=1.1),
        *ageing.scan(sampler, unit, low=0.6),
    ]


def _snapshot(sampler: Sampler, unit: float) -> Operations:
    paper = ageing.WHITE
    return [
        *ageing.softness(sampler, unit, low=0.8, high=3.0),
        *_maybe(sampler, 0.3, lambda: ageing.shake(sampler, unit, longest=9)),
        *ageing.grain(sampler, unit, low=4, high=16),
        *_maybe(sampler, 0.4, lambda: ageing.mirroring(sampler)),
        *_maybe(sampler, 0.25, lambda: ageing.water(sampler)),
        *_maybe(sampler, 0.55, lambda: ageing.crease(sampler, unit, paper)),
        *_maybe(sampler, 0.3, lambda: ageing.crease(sampler, unit, paper)),
        *_maybe(sampler, 0.6, lambda: ageing.scratches(sampler, unit, most=7, colour=paper)),
        *_maybe(
            sampler, 0.25, lambda: ageing.scratches(sampler, unit, most=3, colour=ageing.BLACK)
        ),
        *ageing.dust(sampler, unit, most=80),
        *ageing.scan(sampler, unit, low=0.35),
    ]


def _colour_print(sampler: Sampler, unit: float) -> Operations:
    parts = [
        *ageing.softness(sampler, unit, low=0.6, high=2.2),
        *_maybe(sampler, 0.2, lambda: ageing.shake(sampler, unit, longest=8)),
        *ageing.grain(sampler, unit, low=4, high=13),
    ]
    if sampler.chance(0.5):
        period = max(sampler.length(5.0, 8.0, unit), 2.0)
        parts.append(
            PaperTexture(
                kind="silk", strength=sampler.uniform(3, 9), period=period, seed=sampler.seed()
            )
        )
    return [
        *parts,
        *_maybe(sampler, 0.3, lambda: ageing.scratches(sampler, unit, most=5, colour=ageing.WHITE)),
        *_maybe(sampler, 0.15, lambda: ageing.crease(sampler, unit, ageing.WHITE)),
        *ageing.dust(sampler, unit, most=40),
        *ageing.scan(sampler, unit),
    ]


PRESETS = {
    "daguerreotype-1850": Preset(daguerreotype, _plate),
    "cabinet-card-1880": Preset(albumen, _card),
    "newsprint-1920": Preset(press, _newspaper),
    "snapshot-1940": Preset(gelatin, _snapshot),
    "faded-colour-1970": Preset(chromogenic, _colour_print),
}
"""What ``--task`` takes by name."""

OTHERS = {
    "gelatin": Preset(gelatin, _card),
    "sepia": Preset(sepia, _card),
    "cyanotype": Preset(cyanotype, _card),
}
"""What the task ``historic`` draws besides."""
