"""The mixture that training draws from: everything from almost clean to the paper's ``full``.

Real photographs are mostly damaged far less than ``full``; a network that sees only that invents
where it should copy. And most of their faces are small: what has happened to them happened to the
small picture. So two pairs in five are small faces, and one in three is mild to moderate, or an old
photograph. The paper's other tasks are there because each shows one kind of damage bare: strong
noise that no blur has softened since, or a face of sixteen pixels.
"""

from collections.abc import Collection

from faceren.degradation import ageing, looks, paper
from faceren.degradation.ageing import Operations
from faceren.degradation.blur import GaussianBlur, MotionBlur, whole_kernel
from faceren.degradation.compression import Jpeg
from faceren.degradation.degradation import Operation
from faceren.degradation.dice import Dice
from faceren.degradation.noise import GaussianNoise, Grain, LaplacianNoise
from faceren.degradation.presets import draw_historic
from faceren.degradation.resampling import Filter, Sharpen, Shrink
from faceren.degradation.small import draw_small
from faceren.degradation.tone import Curve, Toning

SHARE_SMALL = 0.4
"""Share of pairs that are small faces; of 90 faces in real photographs 85 had under 256 pixels."""
SHARE_FULL = 0.2
"""Share of pairs with the paper's ``full`` damage."""
SHARE_SINGLE = 0.08
"""Share of pairs with one of the paper's other tasks."""
SINGLE = (paper.sr4x, paper.hallucination, paper.denoise, paper.denoise, paper.deblur, paper.jpeg)
"""These tasks; noise twice, because it comes in three kinds."""
SHARE_HISTORIC = 0.08
"""Share of pairs that are an old photograph with all that belongs to one."""
SHARE_COLOUR = 0.42
"""Share of the other pairs that keep their colours."""


def draw_mixture(dice: Dice, unit: float, compat: Collection[str]) -> tuple[Operations, Operations]:
    """Return the tone and the damage of one training pair; ``unit`` is the size over 512."""
    kind = dice.uniform(0, 1)
    if kind < SHARE_HISTORIC:
        return draw_historic(dice, unit)
    tone = _tone(dice, unit)
    kind -= SHARE_HISTORIC
    if kind < SHARE_SMALL:
        return tone, [*_wear(dice, unit), *draw_small(dice, round(unit * 512))]
    kind -= SHARE_SMALL
    if kind < SHARE_FULL:
        return tone, paper.full(dice, compat)
    if kind < SHARE_FULL + SHARE_SINGLE:
        return tone, [dice.choice(SINGLE)(dice, compat)]
    return tone, _moderate(dice, unit, gray=bool(tone))


def _tone(dice: Dice, unit: float) -> Operations:
    """Return nothing (colour), or a gray, sometimes steeper, flatter or toned photograph."""
    if dice.chance(SHARE_COLOUR):
        return []
    if dice.chance(0.25):
        process = [looks.albumen, looks.sepia, looks.cyanotype, looks.gelatin, looks.daguerreotype]
        return dice.choice(process)(dice, unit)
    sees = dice.choice([looks.panchromatic, looks.panchromatic, looks.orthochromatic])
    tone: Operations = [sees(dice)]
    if dice.chance(0.75):
        black, white = (0.0, 255.0)
        if dice.chance(0.6):
            black, white = dice.uniform(0, 60), dice.uniform(190, 255)
        tone.append(Curve(gamma=dice.uniform(0.7, 1.4), black=black, white=white))
    if dice.chance(0.1):
        tone.append(_any_tint(dice))
    return tone


def _any_tint(dice: Dice) -> Toning:
    """Any colour at all, so that no hue is a sign of anything."""
    shadow = dice.uniform(0, 60), dice.uniform(0, 60), dice.uniform(0, 60)
    light = dice.uniform(190, 255), dice.uniform(190, 255), dice.uniform(190, 255)
    red, green, blue = (round((a + b) / 2, 6) for a, b in zip(shadow, light, strict=True))
    return Toning(shadow=shadow, middle=(red, green, blue), highlight=light)


def _moderate(dice: Dice, unit: float, *, gray: bool) -> Operations:
    """Return wear, then some of blur, shrinking, noise, JPEG and sharpening in random order.

    One number, how hard, sets the upper ends of all ranges, so that light damage of every kind
    comes together and almost clean images occur.
    """
    hard = dice.uniform(0, 1) ** 1.3
    steps: list[Operation] = []
    if dice.chance(0.75):
        steps.append(_blur(dice, hard))
    if dice.chance(0.75):
        steps.append(_shrink(dice, hard))
    if dice.chance(0.75):
        steps.append(_noise(dice, hard, gray=gray))
    if dice.chance(0.7):
        steps.append(Jpeg(quality=dice.integer(int(85 - 65 * hard), 95)))
    if dice.chance(0.15):
        steps.append(Sharpen(sigma=dice.uniform(0.5, 1.5), amount=dice.uniform(0.1, 1.0)))
    return [*_wear(dice, unit), *dice.shuffled(steps)]


def _wear(dice: Dice, unit: float) -> Operations:
    wear: Operations = []
    if dice.chance(0.18):
        level = dice.choice([dice.uniform(200, 255), dice.uniform(0, 60)])
        wear += ageing.scratches(dice, unit, most=5, colour=(level, level, level))
    if dice.chance(0.18):
        wear += ageing.dust(dice, unit, most=50)
    if dice.chance(0.04):
        wear += ageing.crease(dice, unit, ageing.WHITE)
    return wear


def _blur(dice: Dice, hard: float) -> Operation:
    widest = 0.5 + 3 * hard
    if dice.chance(0.6):
        sigma = dice.uniform(0.3, widest)
        return GaussianBlur(sigma=sigma, kernel=whole_kernel(sigma))
    side = dice.integer(3, max(4, int(2.6 * widest))) | 1
    return MotionBlur(kernel=side, angle=dice.uniform(0, 360), direction=dice.uniform(-1, 1))


def _shrink(dice: Dice, hard: float) -> Operation:
    filters: list[Filter] = ["area", "cubic", "linear"]
    scale = round(1 / dice.uniform(1, 1 + 4 * hard), 6)
    return Shrink(scale=scale, down=dice.choice(filters), up=dice.choice(filters[1:]))


def _noise(dice: Dice, hard: float, *, gray: bool) -> Operation:
    sigma, one = dice.uniform(0, 3 + 27 * hard), gray or dice.chance(0.4)
    kind = dice.integer(0, 3)
    if kind == 0:
        return GaussianNoise(sigma=sigma, seed=dice.seed(), gray=one)
    if kind == 1:
        return LaplacianNoise(scale=round(sigma * 0.7, 6), seed=dice.seed(), gray=one)
    return Grain(strength=sigma, size=dice.uniform(0, 1.2), seed=dice.seed())
