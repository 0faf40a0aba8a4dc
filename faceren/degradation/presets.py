"""Old photographs as a whole: each preset is a look (tone) and what has happened since (damage).

The two are drawn apart, so that training can ask for the damage to be undone and the tone kept.
"""

from collections.abc import Callable
from dataclasses import dataclass

from faceren.degradation import ageing, processes
from faceren.degradation.ageing import Operations
from faceren.degradation.pixels import Colour
from faceren.degradation.sampler import Sampler
from faceren.degradation.surface import Halftone, PaperTexture, Tarnish

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
    "daguerreotype-1850": Preset(processes.daguerreotype, _plate),
    "cabinet-card-1880": Preset(processes.albumen, _card),
    "newsprint-1920": Preset(processes.press, _newspaper),
    "snapshot-1940": Preset(processes.gelatin, _snapshot),
    "faded-colour-1970": Preset(processes.chromogenic, _colour_print),
}
"""What ``--task`` takes by name."""

OTHERS = {
    "gelatin": Preset(processes.gelatin, _card),
    "sepia": Preset(processes.sepia, _card),
    "cyanotype": Preset(processes.cyanotype, _card),
}
"""What the task ``historic`` draws besides."""
