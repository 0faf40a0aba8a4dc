"""Old photographs as a whole: each preset is a look (tone) and what has happened since (damage).

The two are drawn apart, so that training can ask for the damage to be undone and the tone kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

from faceren.degradation import ageing, looks
from faceren.degradation.ageing import Operations
from faceren.degradation.dice import Dice
from faceren.degradation.pixels import Colour
from faceren.degradation.surface import Halftone, PaperTexture, Tarnish

Draw = Callable[[Dice, float], Operations]
"""Draws operations; the number is the size of the image over 512."""

CREAM: Colour = (240.0, 230.0, 208.0)


@dataclass(frozen=True)
class Preset:
    """A kind of old photograph."""

    tone: Draw
    damage: Draw


def draw_historic(dice: Dice, unit: float, name: str = "") -> tuple[Operations, Operations]:
    """Return the tone and the damage of one old photograph.

    Args:
        dice: What to draw with.
        unit: Size of the image over 512.
        name: A key of ``PRESETS``; empty draws one of those or of ``OTHERS``, all equally likely.
    """
    known = {**PRESETS, **OTHERS}
    preset = known[name or dice.choice(list(known))]
    return preset.tone(dice, unit), preset.damage(dice, unit)


def _maybe(dice: Dice, probability: float, draw: Callable[[], Operations]) -> Operations:
    return draw() if dice.chance(probability) else []


def _plate(dice: Dice, unit: float) -> Operations:
    return [
        *ageing.portrait_lens(dice, unit),
        *_maybe(dice, 0.5, lambda: ageing.shake(dice, unit, longest=6)),
        *ageing.softness(dice, unit, low=0.3, high=1.3),
        *ageing.grain(dice, unit, low=2, high=7),
        Tarnish(strength=dice.uniform(0.25, 0.75), width=dice.uniform(0.1, 0.45), seed=dice.seed()),
        *ageing.hairlines(dice, unit),
        *_maybe(dice, 0.5, lambda: ageing.scratches(dice, unit, most=5, colour=ageing.BLACK)),
        *ageing.dust(dice, unit, most=90),
        *ageing.scan(dice, unit),
    ]


def _card(dice: Dice, unit: float) -> Operations:
    texture = dice.uniform(1.5, 5), dice.length(3, 7, unit)
    return [
        *ageing.portrait_lens(dice, unit),
        *ageing.softness(dice, unit, low=0.4, high=1.6),
        *ageing.grain(dice, unit, low=2, high=9),
        PaperTexture(kind="fibre", strength=texture[0], period=texture[1], seed=dice.seed()),
        *_maybe(dice, 0.6, lambda: ageing.foxing(dice, unit)),
        *_maybe(dice, 0.3, lambda: ageing.water(dice)),
        *_maybe(dice, 0.4, lambda: ageing.scratches(dice, unit, most=5, colour=CREAM)),
        *_maybe(dice, 0.15, lambda: ageing.crease(dice, unit, CREAM)),
        *ageing.dust(dice, unit, most=60),
        *ageing.scan(dice, unit),
    ]


def _newspaper(dice: Dice, unit: float) -> Operations:
    pitch = dice.length(4.5, 8.0, unit)
    paper = dice.colour((232, 222, 200), (206, 184, 146))
    return [
        *ageing.softness(dice, unit, low=0.8, high=2.5),
        Halftone(
            pitch=max(pitch, 1.5),
            angle=dice.choice([45.0, 45.0, dice.uniform(10, 80)]),
            softness=dice.uniform(0.15, 0.45),
            gain=dice.uniform(0.0, 0.1),
            ink=dice.colour((42, 38, 36), (72, 66, 60)),
            paper=paper,
        ),
        PaperTexture(
            kind="fibre",
            strength=dice.uniform(3, 8),
            period=dice.length(3.0, 5.0, unit),
            seed=dice.seed(),
        ),
        *_maybe(dice, 0.4, lambda: ageing.crease(dice, unit, paper)),
        *_maybe(dice, 0.3, lambda: ageing.water(dice)),
        *ageing.dust(dice, unit, most=40),
        *ageing.softness(dice, unit, low=0.5, high=1.1),
        *ageing.scan(dice, unit, low=0.6),
    ]


def _snapshot(dice: Dice, unit: float) -> Operations:
    paper = ageing.WHITE
    return [
        *ageing.softness(dice, unit, low=0.8, high=3.0),
        *_maybe(dice, 0.3, lambda: ageing.shake(dice, unit, longest=9)),
        *ageing.grain(dice, unit, low=4, high=16),
        *_maybe(dice, 0.4, lambda: ageing.mirroring(dice)),
        *_maybe(dice, 0.25, lambda: ageing.water(dice)),
        *_maybe(dice, 0.55, lambda: ageing.crease(dice, unit, paper)),
        *_maybe(dice, 0.3, lambda: ageing.crease(dice, unit, paper)),
        *_maybe(dice, 0.6, lambda: ageing.scratches(dice, unit, most=7, colour=paper)),
        *_maybe(dice, 0.25, lambda: ageing.scratches(dice, unit, most=3, colour=ageing.BLACK)),
        *ageing.dust(dice, unit, most=80),
        *ageing.scan(dice, unit, low=0.35),
    ]


def _colour_print(dice: Dice, unit: float) -> Operations:
    parts = [
        *ageing.softness(dice, unit, low=0.6, high=2.2),
        *_maybe(dice, 0.2, lambda: ageing.shake(dice, unit, longest=8)),
        *ageing.grain(dice, unit, low=4, high=13),
    ]
    if dice.chance(0.5):
        period = max(dice.length(5.0, 8.0, unit), 2.0)
        parts.append(
            PaperTexture(kind="silk", strength=dice.uniform(3, 9), period=period, seed=dice.seed())
        )
    return [
        *parts,
        *_maybe(dice, 0.3, lambda: ageing.scratches(dice, unit, most=5, colour=ageing.WHITE)),
        *_maybe(dice, 0.15, lambda: ageing.crease(dice, unit, ageing.WHITE)),
        *ageing.dust(dice, unit, most=40),
        *ageing.scan(dice, unit),
    ]


PRESETS = {
    "daguerreotype-1850": Preset(looks.daguerreotype, _plate),
    "cabinet-card-1880": Preset(looks.albumen, _card),
    "newsprint-1920": Preset(looks.press, _newspaper),
    "snapshot-1940": Preset(looks.gelatin, _snapshot),
    "faded-colour-1970": Preset(looks.chromogenic, _colour_print),
}
"""What ``--task`` takes by name."""

OTHERS = {
    "gelatin": Preset(looks.gelatin, _card),
    "sepia": Preset(looks.sepia, _card),
    "cyanotype": Preset(looks.cyanotype, _card),
}
"""What the task ``historic`` draws besides."""
