"""Potions and spells: flasks, vials, scrolls, spell books, flames, bolts, crystals, orbs and wands.

Vessels are one drawing of the glass: below the level its tones are the liquid's, above it the glass's. Everything else
is built the same way as food: a body in the main colour, an outline, and parts chosen independently.
In the art, 0123 are the line, shade, base and light tones of the main colour and abcd those of the second one.
"""

from __future__ import annotations

import random

from canvas import RAMPS, WHITE, Canvas, Ramp, coin, height, overlay, pick, pick_clear, record, tones

PALE = ("yellow", "lime", "sky", "pink", "orange")
MAGIC = "red orange yellow lime green teal sky blue indigo purple magenta pink"


def twinkle(canvas: Canvas, x: int, y: int, ramp: Ramp) -> None:
    """A spark like a plus sign, behind whatever is drawn there."""
    for dx, dy in ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)):
        if 0 <= x + dx < 16 and 0 <= y + dy < 16 and not canvas.pixels[y + dy, x + dx]:
            canvas.dot(x + dx, y + dy, ramp.light if dx or dy else ramp.shade)


# --- vessels ---

STOPPERS = [
    """
.dccb.
.dccb.
..cb..
""",
    """
..dc..
.dccb.
..cb..
""",
    """
.dccb.
dccccb
..cb..
""",
    """
..db..
..cb..
..cb..
""",
]
EMBLEMS = {
    "star": """
..3..
33322
.222.
.2.2.
""",
    "heart": """
.3.2.
33222
.222.
..2..
""",
    "cross": """
..3..
.322.
..2..
..2..
""",
    "moon": """
..33.
.32..
.32..
..22.
""",
    "skull": """
.333.
30302
.333.
.2.2.
""",
    "drop": """
..3..
..3..
.332.
.222.
""",
}
BUBBLES = ["3..\n..3\n3..", "33..\n33..\n...3", "3...\n..33\n..33", ".3..\n...3\n.3..\n..3."]
LABELS = [
    """
ddddddd
d00000c
ddddddc
d0000cc
dddddcc
ccccccc
""",
    """
ddddddd
dd000dc
d00000c
dd000cc
ddd0dcc
ccccccc
""",
    """
ddddddd
d0ddd0c
dd0d0dc
ddd0dcc
dd0d0cc
ccccccc
""",
]


def vessel(canvas: Canvas, rng: random.Random, art: str, levels: tuple[int, int], centre: int) -> dict[str, str]:
    """A stoppered glass vessel, full or half full (`levels`); label, emblem or bubbles sit round row `centre`."""
    liquid = pick(rng, MAGIC)
    glass = RAMPS["glass"]
    top = 15 - height(art)
    half = coin(rng)
    level = levels[half]
    canvas.stamp(art, 1, top, tones("0123", glass) | {"l": glass.light})
    for y in range(level, 15):
        for x in range(16):
            tone = int(canvas.pixels[y, x])
            if tone:
                canvas.dot(x, y, liquid.light if y == level else liquid[glass.index(tone)])
    stopper = pick_clear(rng, "wood crust bronze gold steel red purple green blue pink", liquid)
    canvas.stamp(rng.choice(STOPPERS), 5, top - 3, tones("bcd", stopper))
    canvas.outline(liquid.line)
    pattern = rng.choice(["none", "bubbles", "bubbles", "label", "ribbon", *EMBLEMS])
    if pattern == "bubbles":
        color, tone = liquid, liquid.shade if liquid.name in PALE else liquid.light
        canvas.stamp(rng.choice(BUBBLES), rng.choice((6, 7, 8)), centre, {"3": tone})
    elif pattern == "ribbon":
        color = pick_clear(rng, MAGIC, liquid)
        canvas.stamp("ddccb\n.c.b.", 6, top + 2, tones("bcd", color))
    elif pattern == "label":
        color = pick(rng, "cream bone white")
        canvas.stamp(rng.choice(LABELS), 5, centre - 1, tones("bcd", color) | {"0": RAMPS["brown"].line})
    else:
        color = pick_clear(rng, "night red purple white yellow pink sky", liquid)
        tone, eyes = (color.shade, liquid.light) if color.name == "night" else (color.light, liquid.line)
        canvas.stamp(EMBLEMS.get(pattern, ""), 6, centre, {"2": tone, "3": tone, "0": eyes})
    glint = rng.choice(("w", "w\nw", "w\nw\n.\nw", "ww\nw"))
    x = int(min((canvas.pixels[centre] > 0).nonzero()[0])) + 2
    canvas.stamp(glint, x, centre - 1, {"w": WHITE})
    pose = "half full" if half else "full"
    return record(liquid, second_color=stopper, pattern=pattern, pattern_color=color, pose=pose)


ROUND = [
    """
....llllll....
.....3221.....
....322221....
..3322222221..
.332222222221.
.322222222221.
.322222222221.
.322222222221.
.222222222211.
..2222222111..
....111111....
""",
    """
.....llll.....
.....3221.....
.....3221.....
....332221....
...33222221...
..3322222221..
..3222222221..
..3222222221..
..2222222211..
...22222211...
....111111....
""",
]
TALL = [
    """
....llllll....
.....3221.....
....322221....
...33222221...
...32222221...
...32222221...
...32222221...
...32222221...
...32222221...
...22222211...
...11111111...
""",
    """
.....llll.....
.....3221.....
.....3221.....
.....3221.....
...33222221...
...32222221...
...32222221...
...32222221...
...32222221...
...22222211...
...11111111...
""",
]
CONICAL = [
    """
....llllll....
.....3221.....
.....3221.....
....322221....
....322221....
...32222221...
...32222221...
..3222222221..
..3222222221..
.322222222221.
.111111111111.
""",
    """
....llllll....
.....3221.....
.....3221.....
....322221....
...32222221...
..3222222221..
.322222222221.
32222222222221
32222222222211
11111111111111
""",
]
HEART = [
    """
.....llll.....
.33...21...22.
3333..21..2222
33333222222221
33322222222221
32222222222221
.222222222221.
..2222222211..
...22222211...
....222211....
......11......
""",
    """
.....llll.....
..33..21..22..
.3333.21.2222.
.333322222221.
.333222222221.
.322222222221.
.222222222221.
..2222222211..
...22222211...
....222211....
......11......
""",
]
SQUARE = [
    """
....llllll....
.....3221.....
.333222222221.
.322222222221.
.322222222221.
.322222222221.
.322222222221.
.322222222221.
.222222222211.
.111111111111.
""",
    """
.....llll.....
.....3221.....
.....3221.....
33333222222222
32222222222221
32222222222221
32222222222221
32222222222221
22222222222211
11111111111111
""",
]


def round_flask(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """The round flask of a healing potion."""
    return vessel(canvas, rng, rng.choice(ROUND), (6, 9), 9)


def tall_bottle(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A tall bottle with shoulders."""
    return vessel(canvas, rng, rng.choice(TALL), (6, 9), 9)


def conical_flask(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """An alchemist's conical flask."""
    return vessel(canvas, rng, rng.choice(CONICAL), (7, 10), 10)


def heart_flask(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A flask in the shape of a heart."""
    return vessel(canvas, rng, rng.choice(HEART), (5, 8), 8)


def square_vial(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A square vial, tall or squat."""
    return vessel(canvas, rng, rng.choice(SQUARE), (7, 10), 9)


# --- scroll ---

OPEN_SCROLL = """
a333333333332a
b222222222221b
..1111111111..
..3333333332..
..3333333332..
..3333333332..
..3333333332..
..3333333332..
..3333333332..
..2222222221..
a333333333332a
b222222222221b
"""
ROLLED_SCROLL = """
.........332..
........33322.
.......3332202
......33322202
.....333222022
....333222221.
...333222221..
..333222221...
.333222221....
333222221.....
1322222.1.....
2122221.......
.12221........
..11..........
"""
RUNES = {
    "writing": [
        "22222222\n........\n2222222.\n........\n22222222",
        "2222.222\n........\n222.2222\n........\n22222...",
        "22.22222\n........\n22222.22\n........\n2222.22.",
    ],
    "rune": [
        "..22..\n.2..2.\n2.22.2\n.2..2.\n..22..",
        "2....2\n.2..2.\n..22..\n.2..2.\n2....2",
        "..22..\n.2222.\n..22..\n222222\n..22..",
        "222222\n..22..\n.2222.\n..22..\n222222",
        ".2..2.\n222222\n.2..2.\n222222\n.2..2.",
    ],
}


def scroll(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A scroll: open with writing, a rune or a sign between its rods, or rolled up with a ribbon or a wax seal."""
    paper, rods = pick(rng, "cream bone white blond crust"), pick(rng, MAGIC + " gold wood")
    pose = "rolled" if rng.random() < 0.35 else "open"
    if pose == "rolled":
        canvas.stamp(ROLLED_SCROLL, 1, 1, tones("0123", paper))
        canvas.outline()
        pattern, color = rng.choice(("ribbon", "ribbon", "seal")), pick_clear(rng, MAGIC + " gold", paper)
        if pattern == "ribbon":
            width = rng.choice((1, 2, 3))
            for i in range(-5, 6):
                for j in range(width):
                    if canvas.pixels[7 + i, 7 + i + j] not in (0, paper.line):
                        canvas.dot(7 + i + j, 7 + i, color.light if i < -1 else color.base if i < 2 else color.shade)
            knot = rng.choice(("", "dc\ncb", "daad\ncdcc\n.bb.", ".dd.\ndccb\nccbb\n.bb."))
            canvas.stamp(knot, 6, 6, tones("abcd", color))
        else:
            seal = rng.choice((".dd.\nddcb\nacba\n.aa.", "adca\ndccb\nccbb\nabba", ".aaa.\nadcba\nacaba\nacbba\n.aaa."))
            canvas.stamp(seal, rng.choice((5, 6, 7)), rng.choice((5, 6, 7)), tones("abcd", color))
    else:
        canvas.stamp(OPEN_SCROLL, 1, 2, tones("0123", paper) | {"a": rods.base, "b": rods.shade})
        canvas.outline()
        color = pick_clear(rng, "black red blue purple green brown magenta teal", paper)
        pattern = rng.choice(["writing", "writing", "rune", "rune", "star", "heart", "moon", "flame"])
        art = rng.choice(RUNES.get(pattern) or [SIGNS[pattern]])
        canvas.stamp(art, 5 if pattern == "rune" else 4, 5, tones("123", color))
    if coin(rng):
        canvas.flip()
    second = rods if pose == "open" else None
    return record(paper, second_color=second, pattern=pattern, pattern_color=color, pose=pose)


# --- spell book ---

# Large signs: on scrolls and books, and the heads of wands.
SIGNS = {
    "star": """
...33...
...32...
33332221
.332221.
..3221..
.332221.
.32..21.
""",
    "gem": """
...3...
..332..
.33322.
3333222
.22211.
..221..
...1...
""",
    "moon": """
..333..
.332...
332....
322....
3222..2
.222222
..2221.
""",
    "heart": """
.33.22.
3332222
3322221
3222221
.22221.
..221..
...1...
""",
    "flame": """
....3..
..3.32.
..3332.
.33222.
.322221
.322221
..2221.
""",
    "flower": """
..333..
..322..
33dd221
32dd221
22dd211
..221..
..211..
""",
}

BOOK = """
.022222222222.
10233333333322
10232222222222
10222222222222
10222222222222
10222222222222
10222222222222
10222222222222
10222222222221
10222222222211
1022222222111.
1pppppppppppp.
.0qqqqqqqqqqqq
.1111111111111
"""


def book(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A closed spell book with an emblem, metal corners, a clasp or a bookmark."""
    cover = pick(rng, MAGIC + " brown black")
    metal = pick_clear(rng, "gold gold steel bronze white pink sky", cover)
    fitting = pick_clear(rng, "gold red sky lime pink purple steel bronze", cover)
    canvas.stamp(BOOK, 1, 1, tones("0123", cover) | {"p": RAMPS["cream"].light, "q": RAMPS["cream"].shade})
    canvas.outline()
    corners, extra = coin(rng), rng.choice(("clasp", "bookmark", "bands", "none"))
    if corners:
        for x, y in ((3, 1), (12, 1), (3, 10), (12, 10)):
            canvas.stamp("32\n21", x, y, tones("123", fitting))
    if extra == "clasp":
        canvas.stamp("adc\nacb", 12, 6, tones("abcd", fitting))
    elif extra == "bookmark":
        canvas.stamp("dc\ncb\nc.", rng.choice((6, 9, 11)), 12, tones("bcd", fitting))
    elif extra == "bands":
        for y in (3, 9):
            canvas.stamp("dc", 1, y, tones("bcd", fitting))
    sign = rng.choice(list(SIGNS))
    over = Canvas()
    over.stamp(SIGNS[sign], 5, 3, tones("123", metal) | {"d": cover.base})
    overlay(canvas, over, cover.line)
    if coin(rng):
        canvas.flip()
    second = fitting if corners or extra != "none" else None
    return record(cover, second_color=second, pattern=sign, pattern_color=metal)


# --- flame ---

FLAMES = [
    """
......1.......
......11......
.....111...1..
.....1111..1..
..1..11211.11.
..11112221111.
.111122221111.
.111222322211.
11122233222211
11122333322211
11222333332211
.1122333332211
.111223332211.
...111111111..
""",
    """
.......1......
......11......
.....111......
....1111..1...
...111211.11..
...11222111...
..112222211...
..112232221...
.1122332221...
.11223332211..
.11223332211..
..1122322211..
...11222111...
....111111....
""",
    """
...........11.
.....1....111.
....11..1111..
...11.111111..
..1111111111.1
.111122211111.
.11222222111..
1112233222111.
112233332211..
11223333221111
112233332211..
.1122332211...
.111222111....
...11111......
""",
]
LOGS = """
dcc......ccb
.bcccccccbb.
bccb....bccc
"""


def flame(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A magic flame or fireball in three nested tones, perhaps with embers, on logs or in a dish."""
    outer = pick(rng, MAGIC)
    inner = pick_clear(rng, MAGIC + " white", outer)
    core = rng.choice((WHITE, inner.light))
    canvas.stamp(rng.choice(FLAMES), 1, 1, {"1": outer.base, "2": inner.base, "3": core})
    for y, x in zip(*(canvas.pixels == outer.base).nonzero(), strict=True):
        if not canvas.pixels[y, x + 1] or not canvas.pixels[y + 1, x]:
            canvas.dot(x, y, outer.shade)
    pose = rng.choice(["none", "in dish", "on logs"])
    if pose == "on logs":
        canvas.stamp(LOGS, 2, 12, tones("bcd", RAMPS["wood"]))
    canvas.outline()
    embers, color = coin(rng), rng.choice((outer, inner))
    if embers:  # one on either side of the tip, where there is room
        for columns in (range(1, 7), range(8, 15)):
            free = [
                (x, y) for x in columns for y in range(1, 7) if not canvas.pixels[y - 1 : y + 3, x - 1 : x + 3].any()
            ]
            for x, y in rng.sample(free, min(len(free), 1)):
                canvas.stamp("cc\ncb", x, y, tones("bcd", color))
    if pose == "in dish":
        canvas.pixels[14:] = 0
        canvas.stamp("addddddddddcca\n.abccccccccba.\n..aabbbbbbaa..", 1, 12, tones("abcd", RAMPS["gold"]))
    if coin(rng):
        canvas.flip()
    return record(outer, second_color=inner, pattern="embers" if embers else "none", pattern_color=color, pose=pose)


# --- lightning bolt ---

BOLTS = [
    """
.....33332..
....33322...
....3322....
...3332.....
...333222221
..3333322221
......32221.
.....32221..
.....3221...
....3221....
....221.....
...221......
...21.......
...1........
""",
    """
......33321.
.....33221..
....33221...
...33221....
..33222222..
.3333222221.
....332221..
...33221....
..33222222..
.....3221...
....3221....
...321......
...21.......
..1.........
""",
    """
...333332...
...33322....
..33322.....
..3332......
.333332222..
.333322221..
....32221...
....3221....
...32222....
...3221.....
..321.......
..21........
.21.........
.1..........
""",
]
SHORT_BOLTS = [
    """
...33332.
..33332..
.33332...
.33333222
....3322.
...3322..
..332....
.32......
.2.......
""",
    """
...33332.
..33322..
.3332....
.33222222
...33222.
....332..
...322...
...32....
...2.....
""",
]
CLOUDS = [
    """
....dddd......
..dddddcdddc..
.ddddcccddccc.
dccccccccccccb
.bbbbbbbbbbbb.
""",
    """
......dddd....
..dddddccccc..
.ddcdddcccccc.
dccccccccccccb
.bbbcccbbbbbb.
""",
]
SPARKS = ["13 2c d5", "22 c3 3d dd", "14 e7 cb", "25 d4 2b db", "11 ed c2 3c"]


def bolt(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A bolt of lightning, with sparks or out of a cloud."""
    ramp = pick(rng, MAGIC + " yellow yellow gold")
    pattern = rng.choice(["none", "sparks", "cloud"])
    color = pick_clear(rng, "white grey sky indigo purple pink black" if pattern == "cloud" else MAGIC, ramp)
    if pattern == "cloud":
        canvas.stamp(rng.choice(SHORT_BOLTS), rng.choice((3, 4, 5)), 6, tones("123", ramp))
        canvas.outline()
        over = Canvas()
        over.stamp(rng.choice(CLOUDS), 1, 1, tones("bcd", color))
        overlay(canvas, over)
    else:
        canvas.stamp(rng.choice(BOLTS), rng.choice((1, 2)), 1, tones("123", ramp))
        canvas.outline()
    if pattern == "sparks":
        for place in rng.choice(SPARKS).split():
            twinkle(canvas, int(place[0], 16), int(place[1], 16), color)
    if coin(rng):
        canvas.flip()
    return record(ramp, pattern=pattern, pattern_color=color)


# --- crystal ---

SHARDS = {
    "small": """
..3..
.322.
33221
33221
33221
33221
33221
33221
""",
    "big": """
..33..
.3322.
332221
332221
332221
332221
332221
332221
332221
332221
332221
332221
""",
}
GEMS = [
    """
...33322222...
..3333222222..
.3w33322222111
33333222222111
11111111111111
33322222221111
.333222222111.
..3322222211..
...33222211...
....332211....
.....3211.....
......21......
""",
    """
......32......
.....3322.....
....333222....
...33332222...
..3333322222..
.333333222222.
.222222111111.
..2222211111..
...22221111...
....222111....
.....2211.....
......21......
""",
    """
...33333333...
..3333333321..
.332222222211.
.332222222111.
.33222w222111.
.3322w2222111.
.332w22222111.
.332222222111.
.332222222111.
.321111111111.
..2111111111..
...11111111...
""",
]
# Shards of a cluster, back to front: (x, y, big or small).
CLUSTERS = [
    ((1, 6, 0), (10, 7, 0), (5, 1, 1)),
    ((2, 5, 0), (7, 2, 1)),
    ((2, 2, 1), (9, 6, 0)),
    ((1, 7, 0), (5, 4, 0), (9, 1, 1)),
    ((2, 8, 0), (10, 5, 0), (5, 2, 1)),
]
ROCKS = [".ddcccccccb.\ndcccccccccbb\n.bbbbbbbbbb.", "..dccddcccb.\nddccccccccbb\nbbbbbbbbbbbb"]


def crystal(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """Magic crystals growing out of rock, or a cut gem that twinkles."""
    ramp = pick(rng, MAGIC + " glass")
    second = pick_clear(rng, MAGIC, ramp)
    rock = pick_clear(rng, "grey brown steel bone night gold", ramp)
    pose = rng.choice(("cluster", "cluster", "gem"))
    if pose == "cluster":
        pattern = rng.choice(("none", "mixed"))
        for x, y, big in rng.choice(CLUSTERS):
            shard = Canvas()
            colour = second if pattern == "mixed" and not big else ramp
            shard.stamp(SHARDS["big" if big else "small"], x, y, tones("123", colour))
            overlay(canvas, shard)
        canvas.pixels[13:] = 0  # the shards stand in the rock
        canvas.stamp(rng.choice(ROCKS), 2, 12, tones("bcd", rock))
        canvas.outline()
    else:
        shape = rng.randrange(len(GEMS))
        canvas.stamp(GEMS[shape], 1, 2, tones("123", ramp) | {"w": WHITE})
        canvas.outline()
        pattern = rng.choice(("none", "glint", "glint" if shape == 2 else "sparks"))  # no room beside the square one
        if pattern == "glint":
            second = RAMPS["white"]
            canvas.stamp(".w.\nwww\n.w.", rng.choice((4, 5, 8)), rng.choice((5, 6, 8)), {"w": WHITE})
        elif pattern == "sparks":
            for x, y in rng.choice(
                (((2, 13), (14, 12)), ((1, 12), (13, 14)), ((2, 14), (14, 14)), ((3, 13), (13, 13)))
            ):
                twinkle(canvas, x, y, second)
    return record(
        ramp,
        second_color=rock if pose == "cluster" else None,
        pattern=pattern,
        pattern_color=second,
        pose=pose,
    )


# --- orb ---

SWIRLS = {
    "swirl": [
        "..2222..\n.2....2.\n2..22..2\n2.2..2.2\n2.2...2.\n.2.222..",
        ".2222...\n2....2..\n2.22..2.\n.2..2.2.\n..22..2.\n.....2..",
        "....222.\n..22...2\n.2..22.2\n2..2..2.\n2...22..\n.22.....",
    ],
    "star": ["...2....\n...22...\n22222222\n.222222.\n..2222..\n.22..22."],
    "moon": ["..2222..\n.222....\n222.....\n222.....\n.222....\n..2222.."],
    "eye": ["........\n..2222..\n.2.22.2.\n2..22..2\n.2.22.2.\n..2222.."],
    "mist": ["........\n..2222..\n22....22\n....222.\n.222...2\n2......."],
    "flame": ["...2....\n..22..2.\n..222.2.\n.222222.\n.222222.\n..2222.."],
}
STANDS = ["..dcccccb..\n.dcccccccb.", "dc.dcccb.cb\n.dcccccccb.", "...dcccb...\ndcccccccccb"]


def orb(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A crystal ball with a sign inside, on a stand or ringed with light."""
    ramp = pick(rng, MAGIC + " night glass")
    sign = pick_clear(rng, MAGIC + " white white", ramp)
    stand = pick_clear(rng, "gold steel bronze wood purple red black", ramp)
    pattern = rng.choice(list(SWIRLS))
    on_stand = rng.random() < 0.75
    if on_stand:
        canvas.ellipse(7.5, 6.5, 5.9, 5.9, ramp)
        canvas.stamp(rng.choice(STANDS), 2, 13, tones("bcd", stand))
        middle = 4
    else:
        canvas.ellipse(7.5, 7.5, 6.9, 6.9, ramp)
        middle = 5
    canvas.outline()
    mirror = coin(rng)
    canvas.stamp(rng.choice(SWIRLS[pattern]), 4, middle, {"2": sign.light if coin(rng) else sign.base}, mirror)
    canvas.stamp(rng.choice(("ww\nw", "w\nw", "www\nw")), 4, middle - 1, {"w": WHITE})
    second, pose = (stand, "on stand") if on_stand else (None, "none")
    return record(ramp, second_color=second, pattern=pattern, pattern_color=sign, pose=pose)


# --- wand ---


def wand(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A wand or staff held aslant, with a shining head, perhaps a ribbon or sparks."""
    ramp = pick(rng, MAGIC + " yellow gold")
    shaft = pick_clear(rng, "wood crust bronze gold steel white purple red pink black", ramp)
    head = rng.choice([name for name in SIGNS if name != "moon"])  # a crescent on a stick looks like a spanner
    for i in range(8):
        canvas.stamp("cb", 1 + i, 13 - i, tones("bcd", shaft))
        canvas.dot(1 + i, 13 - i, shaft.light)
        canvas.dot(2 + i, 14 - i, shaft.shade)
    canvas.outline()
    over = Canvas()
    over.stamp(SIGNS[head], 7, 1, tones("123", ramp) | {"d": RAMPS["yellow"].light})
    overlay(canvas, over)
    pattern, color = rng.choice(("none", "ribbon", "sparks")), pick_clear(rng, MAGIC, ramp, shaft)
    if pattern == "ribbon":
        canvas.stamp("dc..\nccb.\n.bcd\n..cb", 4, 8, tones("bcd", color))
    elif pattern == "sparks":
        for x, y in rng.choice((((3, 3), (13, 12)), ((4, 5), (12, 11)), ((2, 6), (10, 13)), ((4, 2), (14, 10)))):
            twinkle(canvas, x, y, color)
    if coin(rng):
        canvas.flip()
    return record(ramp, second_color=shaft, pattern=pattern, pattern_color=color, pose=head)


KINDS = {
    "round flask": round_flask,
    "tall bottle": tall_bottle,
    "conical flask": conical_flask,
    "heart flask": heart_flask,
    "square vial": square_vial,
    "scroll": scroll,
    "book": book,
    "flame": flame,
    "bolt": bolt,
    "crystal": crystal,
    "orb": orb,
    "wand": wand,
}
