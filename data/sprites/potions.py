"""Potions and spells: flasks, vials, scrolls, spell books, flames, bolts, crystals, orbs and wands.

Vessels are one drawing of the glass: below the level its tones are the liquid's, above it the glass's. Everything else
is built the same way as food: a body in the main colour, an outline, and parts chosen independently.
In the art, 0123 are the line, shade, base and light tones of the main colour and abcd those of the second one.
"""

from __future__ import annotations

import random

from canvas import RAMPS, WHITE, Canvas, Ramp, attributes, coin, height, pick, pick_other, tones

PALE = ("yellow", "lime", "sky", "pink", "orange")
MAGIC = "red orange yellow lime green teal sky blue indigo purple magenta pink"


def overlay(canvas: Canvas, part: Canvas, line: int | None = None) -> None:
    """Outline `part` by itself and lay it over the picture."""
    part.outline(line)
    drawn = part.pixels > 0
    canvas.pixels[drawn] = part.pixels[drawn]


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
.322.
.322.
..2..
""",
    "flame": """
..3..
.33..
.322.
..2..
""",
}
BUBBLES = ["", "3..\n..3\n3..", "33..\n33..\n...3", "3...\n..33\n..33", ".3..\n...3\n.3..\n..3."]
LABEL = """
ddddddd
dddddcc
dddddcc
dddddcc
dddddcc
ccccccc
"""


def vessel(canvas: Canvas, rng: random.Random, art: str, levels: tuple[int, ...], centre: int) -> dict[str, str]:
    """A stoppered glass vessel of liquid; `centre` is the row round which label, emblem or bubbles sit."""
    liquid = pick(rng, MAGIC)
    glass = RAMPS["glass"]
    top = 15 - height(art)
    level = rng.choice(levels)
    canvas.stamp(art, 1, top, tones("0123", glass) | {"l": glass.light})
    for y in range(level, 15):
        for x in range(16):
            tone = int(canvas.pixels[y, x])
            if tone:
                canvas.dot(x, y, liquid.light if y == level else liquid[glass.index(tone)])
    item = rng.choice(["none", "bubbles", "bubbles", "label", "ribbon", *EMBLEMS])
    stopper = pick(rng, "wood crust bronze gold steel red purple green blue pink")
    canvas.stamp(rng.choice(STOPPERS), 5, top - 3, tones("bcd", stopper))
    canvas.outline(liquid.line)
    bubbles = rng.choice(BUBBLES[1:] if item == "bubbles" else BUBBLES)
    shift = rng.choice((6, 7, 8))
    if item in ("bubbles", "ribbon"):
        canvas.stamp(bubbles, shift, centre, {"3": liquid.light})
    if item == "ribbon":
        ribbon = pick_other(rng, MAGIC, liquid)
        canvas.stamp("ddccb\n.c.b.", 6, top + 2, tones("bcd", ribbon))
    elif item == "label":
        paper = pick(rng, "cream bone white")
        ink = pick(rng, "black red brown blue purple")
        canvas.stamp(LABEL, 5, centre - 1, tones("bcd", paper))
        canvas.stamp(EMBLEMS[rng.choice(list(EMBLEMS))], 6, centre, {"2": ink.base, "3": ink.base, "0": paper.light})
    elif item in EMBLEMS:
        mark = pick(rng, "night red purple white" if liquid.name in PALE else "white white yellow pink sky")
        tone = mark.shade if mark.name == "night" else mark.light
        canvas.stamp(EMBLEMS[item], 6, centre, {"2": tone, "3": tone, "0": liquid.line})
    glint = rng.choice(("w", "w\nw", "w\nw\n.\nw", "ww\nw"))
    x = int(min((canvas.pixels[centre] > 0).nonzero()[0])) + 2
    canvas.stamp(glint, x, centre - 1, {"w": WHITE})
    return attributes(liquid, stopper, item)


ROUND = [
    """
....llllll....
.....3221.....
...33222221...
..3322222221..
.332222222221.
.322222222221.
.322222222221.
.222222222211.
.122222222111.
..1222221111..
...11111111...
""",
    """
.....llll.....
.....3221.....
....322221....
..3322222221..
.322222222221.
32222222222221
32222222222221
22222222222211
.122222222111.
..1111111111..
""",
]
TALL = [
    """
....llllll....
.....3221.....
....322221....
...32222221...
..3222222221..
..3222222221..
..3222222221..
..3222222221..
..3222222221..
..2222222211..
..1111111111..
""",
    """
.....llll.....
.....3221.....
.....3221.....
...33222221...
...32222221...
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
.322222222221.
.222222222211.
..1111111111..
""",
    """
....llllll....
.....3221.....
....322221....
...32222221...
..3222222221..
.322222222221.
.322222222221.
32222222222221
22222222222211
.111111111111.
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
...33222221...
..3322222221..
.332222222221.
.322222222221.
.322222222221.
.222222222211.
..2222222211..
...11111111...
""",
]


def round_flask(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """The round flask of a healing potion."""
    return vessel(canvas, rng, rng.choice(ROUND), (6, 7, 8, 9), 9)


def tall_bottle(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A tall bottle with shoulders."""
    return vessel(canvas, rng, rng.choice(TALL), (5, 7, 8, 9), 9)


def conical_flask(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """An alchemist's conical flask."""
    return vessel(canvas, rng, rng.choice(CONICAL), (6, 8, 9, 10), 10)


def heart_flask(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A flask in the shape of a heart or a shield."""
    return vessel(canvas, rng, rng.choice(HEART), (5, 6, 7, 8), 8)


def square_vial(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A square or bevelled vial."""
    return vessel(canvas, rng, rng.choice(SQUARE), (6, 7, 8, 9), 9)


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
    "symbol": [EMBLEMS[name] for name in ("star", "heart", "moon", "flame", "skull")],
}


def scroll(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A scroll: unrolled with writing, a rune or a symbol, or rolled up with a ribbon."""
    paper, accent = pick(rng, "cream bone white blond crust"), pick(rng, MAGIC + " gold wood")
    ink = pick(rng, "black red blue purple green brown magenta teal")
    if rng.random() < 0.35:
        canvas.stamp(ROLLED_SCROLL, 1, 1, tones("0123", paper))
        canvas.outline()
        width = rng.choice((1, 2, 3))
        for i in range(-5, 6):
            for j in range(width):
                if canvas.pixels[7 + i, 7 + i + j] not in (0, paper.line):
                    canvas.dot(7 + i + j, 7 + i, accent.light if i < -1 else accent.base if i < 2 else accent.shade)
        knot = rng.choice(("", "dc\ncb", "daad\ncdcc\n.bb.", ".dd.\ndccb\nccbb\n.bb."))
        canvas.stamp(knot, 6, 6, tones("abcd", accent))
        item = "ribbon"
    else:
        canvas.stamp(OPEN_SCROLL, 1, 2, tones("0123", paper) | {"a": accent.base, "b": accent.shade})
        canvas.outline()
        item = rng.choice(list(RUNES))
        art = rng.choice(RUNES[item])
        left = {"writing": 4, "rune": 5, "symbol": 6}[item]
        canvas.stamp(art, left, 5, {"2": ink.base, "3": ink.base, "0": paper.light})
        if coin(rng):
            wax = pick(rng, "red magenta blue green purple gold")
            canvas.stamp(".aa.\nadca\nacba\n.aa.", rng.choice((4, 8, 9)), 9, tones("abcd", wax))
    if coin(rng):
        canvas.flip()
    return attributes(paper, accent if item == "ribbon" else ink, item)


# --- spell book ---

# Large signs: the emblems of books, the heads of wands.
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
..332..
.33221.
3332211
3322211
3222211
.22211.
..211..
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
    metal = pick_other(rng, "gold gold steel bronze white pink sky", cover)
    canvas.stamp(BOOK, 1, 1, tones("0123", cover) | {"p": RAMPS["cream"].light, "q": RAMPS["cream"].shade})
    canvas.outline()
    if coin(rng):
        for x, y in ((3, 1), (12, 1), (3, 10), (12, 10)):
            canvas.stamp("32\n21", x, y, tones("123", metal))
    second = pick_other(rng, "gold red sky lime pink purple", cover)
    extra = rng.choice(("clasp", "bookmark", "bands", "none"))
    if extra == "clasp":
        canvas.stamp("adc\nacb", 12, 6, tones("abcd", second))
    elif extra == "bookmark":
        canvas.stamp("dc\ncb\nc.", rng.choice((6, 9, 11)), 12, tones("bcd", second))
    elif extra == "bands":
        for y in (3, 9):
            canvas.stamp("dc", 1, y, tones("bcd", metal))
    item = rng.choice(list(SIGNS))
    sign = Canvas()
    sign.stamp(SIGNS[item], 5, 3, tones("123", metal) | {"d": cover.base})
    overlay(canvas, sign, cover.line)
    if coin(rng):
        canvas.flip()
    return attributes(cover, metal, item)


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
    inner = pick_other(rng, MAGIC + " white", outer)
    core = rng.choice((WHITE, inner.light, RAMPS["yellow"].light))
    canvas.stamp(rng.choice(FLAMES), 1, 1, {"1": outer.base, "2": inner.base, "3": core})
    for y, x in zip(*(canvas.pixels == outer.base).nonzero(), strict=True):
        if not canvas.pixels[y, x + 1] or not canvas.pixels[y + 1, x]:
            canvas.dot(x, y, outer.shade)
    item = rng.choice(["none", "embers", "dish", "logs"])
    accent = inner
    if item == "logs":
        accent = RAMPS["wood"]
        canvas.stamp(LOGS, 2, 12, tones("bcd", accent))
    canvas.outline()
    if item == "embers":
        for x, y in rng.choice((((2, 3), (13, 2)), ((3, 2), (12, 4)), ((1, 5), (14, 5)), ((4, 1), (14, 3)))):
            if not canvas.pixels[y, x]:
                canvas.dot(x, y, outer.base)
    elif item == "dish":
        accent = pick(rng, "gold steel bronze")
        canvas.stamp("addddddddddcca\n.abccccccccba.\n..aabbbbbbaa..", 1, 12, tones("abcd", accent))
    if coin(rng):
        canvas.flip()
    return attributes(outer, accent, item)


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
    accent = pick_other(rng, MAGIC + " white", ramp)
    edge = rng.choice((None, accent.line))
    item = rng.choice(["none", "sparks", "cloud"])
    if item == "cloud":
        accent = pick(rng, "white grey sky indigo purple pink black")
        canvas.stamp(rng.choice(SHORT_BOLTS), rng.choice((3, 4, 5)), 6, tones("123", ramp))
        canvas.outline()
        over = Canvas()
        over.stamp(rng.choice(CLOUDS), 1, 1, tones("bcd", accent))
        overlay(canvas, over)
    else:
        canvas.stamp(rng.choice(BOLTS), rng.choice((1, 2)), 1, tones("123", ramp))
        canvas.outline(edge)
    if item == "sparks":
        for place in rng.choice(SPARKS).split():
            twinkle(canvas, int(place[0], 16), int(place[1], 16), accent)
    if coin(rng):
        canvas.flip()
    return attributes(ramp, accent, item)


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
    accent = pick(rng, "grey brown steel bone night gold")
    if coin(rng):
        second = ramp if coin(rng) else pick(rng, MAGIC)
        for x, y, big in rng.choice(CLUSTERS):
            shard = Canvas()
            shard.stamp(SHARDS["big" if big else "small"], x, y, tones("123", ramp if big else second))
            overlay(canvas, shard)
        item = "rock"
        canvas.pixels[13:] = 0  # the shards stand in the rock
        canvas.stamp(rng.choice(ROCKS), 2, 12, tones("bcd", accent))
        canvas.outline()
    else:
        art = rng.choice(GEMS)
        canvas.stamp(art, 1, 2, tones("123", ramp) | {"w": WHITE})
        canvas.outline()
        item = rng.choice(["none", "twinkle"])
        accent = ramp
        if coin(rng):
            accent = pick(rng, "gold steel")
            canvas.pixels[canvas.pixels == ramp.line] = accent.line
    if item == "twinkle":
        canvas.stamp(".w.\nwww\n.w.", rng.choice((4, 5, 8)), rng.choice((5, 6, 8)), {"w": WHITE})
    return attributes(ramp, accent, item)


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
    sign = pick_other(rng, MAGIC + " white white", ramp)
    stand = pick(rng, "gold steel bronze wood purple red black")
    item = rng.choice(list(SWIRLS))
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
    canvas.stamp(rng.choice(SWIRLS[item]), 4, middle, {"2": sign.light if coin(rng) else sign.base}, mirror)
    canvas.stamp(rng.choice(("ww\nw", "w\nw", "www\nw")), 4, middle - 1, {"w": WHITE})
    return attributes(ramp, stand if on_stand else sign, item)


# --- wand ---


def wand(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A wand or staff held aslant, with a shining head, perhaps a ribbon, perhaps sparkles."""
    ramp = pick(rng, MAGIC + " yellow gold")
    shaft = pick_other(rng, "wood crust bronze gold steel white purple red pink black", ramp)
    item = rng.choice([name for name in SIGNS if name != "moon"])  # a crescent on a stick looks like a spanner
    for i in range(8):
        canvas.stamp("cb", 1 + i, 13 - i, tones("bcd", shaft))
        canvas.dot(1 + i, 13 - i, shaft.light)
        canvas.dot(2 + i, 14 - i, shaft.shade)
    canvas.outline()
    head = Canvas()
    head.stamp(SIGNS[item], 7, 1, tones("123", ramp) | {"d": RAMPS["yellow"].light})
    overlay(canvas, head)
    ribbon = pick(rng, MAGIC)
    if coin(rng):
        canvas.stamp("dc..\nccb.\n.bcd\n..cb", 4, 8, tones("bcd", ribbon))
    if coin(rng):
        spark = pick_other(rng, MAGIC, ramp)
        for x, y in rng.choice((((3, 3), (13, 12)), ((4, 5), (12, 11)), ((2, 6), (10, 13)), ((4, 2), (14, 10)))):
            twinkle(canvas, x, y, spark)
    if coin(rng):
        canvas.flip()
    return attributes(ramp, shaft, item)


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
