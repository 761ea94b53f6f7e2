"""Food: fifteen kinds of things to eat or drink, lit from the upper left, with toppings, bites, plates and leaves.

Each function draws the body, outlines it, and adds details whose place, shape and colour are chosen independently.
In the art, 0123 are the line, shade, base and light tones of the main colour and abcd those of the second one.
"""

from __future__ import annotations

import random

from canvas import BLACK, RAMPS, WHITE, Canvas, Ramp, coin, height, overlay, pick, pick_clear, record, tones


def dots(canvas: Canvas, places: str, index: int, on: tuple[int, ...] = (), down: int = 0) -> None:
    """Paint single pixels given as hexadecimal digits, 'xy xy xy', where one of the colours `on` (or any) is drawn."""
    for place in places.split():
        x, y = int(place[0], 16), int(place[1], 16) + down
        under = canvas.pixels[y, x]
        if under in on or (under and not on):
            canvas.dot(x, y, index)


BITE = """
.00.
00000
00000
.0000
00000
.000.
"""


def bite(canvas: Canvas, x: int, y: int, flesh: Ramp) -> None:
    """Bite a piece out of the picture: an empty scallop with a rim of flesh where food is left beside it."""
    before = canvas.pixels.copy()
    canvas.stamp(BITE, x, y, {"0": 0})
    gone = (before > 0) & (canvas.pixels == 0)
    for j, i in zip(*gone.nonzero(), strict=True):
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            if 0 <= i + dx < 16 and 0 <= j + dy < 16 and canvas.pixels[j + dy, i + dx]:
                canvas.dot(i + dx, j + dy, flesh.light if dy > 0 or dx > 0 else flesh.base)


PLATES = "white sky pink wood teal steel yellow indigo red lime"
PLATE = """
cddddddddddddc
.bcccccccccbb.
"""


def plate(canvas: Canvas, ramp: Ramp) -> None:
    """A plate or board on the lowest rows."""
    canvas.stamp(PLATE, 1, 13, tones("abcd", ramp))


# --- apple ---

APPLES = [
    """
..222..222..
.2332222222.
233322222222
233222222221
232222222221
222222222221
222222222211
.2222222211.
.1222222111.
..111..111..
""",
    """
..222..222..
.2332222222.
233322222221
233222222221
232222222221
.2222222221.
.2222222211.
..22222211..
..12222111..
...11..11...
""",
    """
.2222..2222.
233322222222
233222222221
232222222221
222222222221
222222222221
122222222211
.1222222111.
..11111111..
""",
]
PEAR = """
....2222....
...233222...
...232222...
..22222222..
.2332222222.
233222222221
232222222221
222222222211
.2222222111.
..12221111..
"""
APPLE_LEAVES = [
    "",
    """
.cdd
bcd.
""",
    """
..cdd
.ccdd
bbcc.
""",
    """
.ccd
bccd
.bb.
""",
    """
cd..
bcdd
..bc
""",
]
BLUSH = """
....11
...111
..1111
.11111
.1111.
.111..
11....
"""


def apple(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """An apple with stem and leaf, perhaps a blush on its cheek, a worm or a bite out of its side."""
    return pome(canvas, rng, rng.choice(APPLES), pick(rng, "red red red lime green yellow blond"), glint=2)


def pear(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A pear, likewise."""
    return pome(canvas, rng, PEAR, pick(rng, "lime green yellow blond red orange bronze leaf"), glint=5)


def pome(canvas: Canvas, rng: random.Random, art: str, ramp: Ramp, glint: int) -> dict[str, str]:
    """An apple or a pear; `glint` is how far below its top the light is."""
    leaf = pick_clear(rng, "leaf green lime teal", ramp)
    top = 14 - height(art)
    canvas.stamp(art, 2, top, tones("123", ramp))
    mark = rng.choice(["none", "blush", "bite", "worm"])
    colors = {"blush": "red orange magenta pink", "worm": "lime pink sky"}
    color = pick_clear(rng, colors.get(mark, "cream"), ramp)
    if mark == "blush":
        canvas.stamp(BLUSH, 7, 6, {"1": color.base})
        dots(canvas, "c9 bb c8 ac", color.shade, on=(color.base,))
    elif mark == "bite":
        bite(canvas, rng.choice((0, 11)), rng.randrange(6, 9), color)
    canvas.outline()
    leafy, mirror = rng.choice(APPLE_LEAVES), coin(rng)
    stem = RAMPS["wood"]
    canvas.line(7, top, 8 if mirror else 7, top - rng.choice((2, 3)), stem.line)
    canvas.dot(8, top, stem.shade)
    if leafy:
        over = Canvas()
        over.stamp(leafy, 3 if mirror else 9, max(top - 2, 1), tones("abcd", leaf), mirror)
        overlay(canvas, over)
    if mark == "worm":
        canvas.stamp("00.\n023\n.00", rng.choice((6, 8)), 9, tones("0123", color))
    canvas.stamp(rng.choice(["w", "w\nw", "ww\nw"]), 4, top + glint, {"w": WHITE})
    return record(
        ramp,
        second_color=leaf if leafy else None,
        pattern=mark,
        pattern_color=color,
    )


# --- grapes ---

BERRY = """
.000.
03220
02220
02210
.000.
"""
BUNCHES = [(3, 3, 2, 1), (3, 2, 3, 2), (2, 3, 2, 1), (3, 2, 1, 0), (3, 2, 2, 1)]
VINE_LEAVES = [
    """
.cd.cd.
bcdcddd
.bcccc.
..bbb..
""",
    """
..cd...
.ccdd..
bbccdd.
..bb...
""",
    """
cd...cd
bcd.cdd
.bccccb
..b.b..
""",
]


def grapes(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A bunch of grapes under a vine leaf."""
    ramp = pick(rng, "purple indigo magenta lime green red blue")
    leaf = pick_clear(rng, "leaf green lime", ramp)
    second = pick_clear(rng, "purple lime magenta indigo red yellow", ramp)
    mixed = rng.random() < 0.4
    bunch = rng.choice(BUNCHES)
    lean = rng.choice((-1, 1))
    glint = coin(rng)
    for row, count in reversed(list(enumerate(bunch))):
        shift = lean * 2 if row and count == bunch[row - 1] else 0
        for i in range(count):
            x, y = 6 - 2 * count + 1 + 4 * i + (shift if count < 3 else 0), 2 + 3 * row
            colour = second if mixed and (row + i) % 3 == 2 else ramp
            canvas.stamp(BERRY, x, y, tones("0123", colour))
            if glint:
                canvas.dot(x + 1, y + 1, WHITE)
    mirror = coin(rng)
    leafy = Canvas()
    leafy.stamp(rng.choice(VINE_LEAVES), rng.randrange(3, 7), 1, tones("abcd", leaf), mirror)
    overlay(canvas, leafy)
    canvas.line(8, 1, rng.choice((6, 7, 9)), 0, RAMPS["wood"].line)
    return record(ramp, second_color=leaf, pattern="mixed" if mixed else "none", pattern_color=second)


# --- watermelon ---

MELONS = [
    """
22222222222222
b233222222222b
b233222222222b
cb2322222222bc
cb2222222221bc
.cb22222222bc.
.ccb222221bcc.
..ccbb11bbcc..
....cccccc....
""",
    """
......22......
......32......
.....3322.....
.....3222.....
....332222....
....322222....
...33222222...
...32222221...
..3322222222..
..3222222221..
.bbbb2222bbbb.
cccccbbbbccccc
.ccccccccccc..
...ccccccc....
""",
    """
..........bc
.......222bc
.....32222bc
...3322222bc
..33222222bc
..32222221bc
.32222222bc.
322222221bc.
22222221bcc.
bb2221bbc...
ccbbbbcc....
..cccc......
""",
]
MELON_SEEDS = [
    ["47 67 87 a7 58 98 7a", "57 77 97 68 88 79", "48 a8 69 89 67 97", "47 77 a7 69 89", "58 98 77 7a"],
    ["66 58 88 7a 5a aa", "75 67 87 59 79 99", "76 68 98 5a 8a", "68 88 7a 4a aa", "85 67 79 99 5a"],
    ["75 66 96 48 78 69", "85 57 77 97 69 4a", "76 58 88 59 7a", "95 67 97 59 79", "86 68 88 5a 7a"],
]


def watermelon(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A slice of watermelon: half moon, wedge or quarter, with seeds, striped rind, perhaps a bite."""
    flesh, rind = pick(rng, "red red pink orange yellow"), pick(rng, "green leaf lime teal")
    shape = rng.randrange(3)
    key = tones("0123", flesh) | {"b": RAMPS["cream"].light, "c": rind.base}
    canvas.stamp(MELONS[shape], (1, 1, 2)[shape], (4, 1, 2)[shape], key)
    stripe = rng.choice((2, 3))
    ys, xs = (canvas.pixels == rind.base).nonzero()
    for x, y in zip(xs, ys, strict=True):
        if (x + (y if shape == 2 else 0)) % 4 < stripe - 1:
            canvas.dot(x, y, rind.shade)
    bitten = coin(rng)
    seed = RAMPS["black"] if bitten else pick(rng, "black chocolate cream")
    dots(canvas, rng.choice(MELON_SEEDS[shape]), seed.light if seed.name == "cream" else seed.line)
    if bitten:
        bite(canvas, rng.choice(((2, 7, 9), (3, 7, 8), (3, 4, 6))[shape]), (1, 0, 1)[shape], flesh)
    canvas.outline()
    if coin(rng):
        canvas.flip()
    mark, color = ("bite", flesh) if bitten else ("seeds", seed)
    pose = ("half", "slice", "wedge")[shape]
    return record(flesh, second_color=rind, pattern=mark, pattern_color=color, pose=pose)


# --- bread ---

LOAVES = [
    """
....22222222..
..223333332222
.2333333322222
23333222222222
23322222222221
22222222222211
12222222222111
.111111111111.
""",
    """
....222222....
..2223333222..
.223333222222.
.233332222222.
23332222222221
22222222222221
12222222222111
.111111111111.
""",
    """
..222...2222..
.233222223322.
23332222333222
23322222332222
22222222222221
.222222222221.
.222222222221.
.122222222211.
..1111111111..
""",
]
BAGUETTE = """
...........222
.........23322
.......2333222
......23332221
....233332221.
...233322221..
..233322221...
.23332221.....
23332221......
2332221.......
222211........
.111..........
"""
SLASHES = [
    "",
    "46 55 76 85 a6 b5",
    "56 65 57 86 95 87 b6",
    "45 56 67 85 96 a7",
    "65 66 67 95 96 97",
    "66 76 86 96 56 a6",
]
BAGUETTE_SLASHES = [
    "",
    "a5 b6 78 89 4b 5c",
    "b4 b5 98 87 5a 6b",
    "94 a5 67 78 3a 4b",
    "c3 c4 96 97 69 6a",
    "b5 86 69 5a",
]
END = """
.cc.
cddc
cddc
cddc
.cc.
"""


def bread(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A loaf, cut at one end or slashed, perhaps on a plate; or a baguette, slashed or in a paper band."""
    crust = pick(rng, "crust crust ginger bronze brown wood")
    dish = pick_clear(rng, PLATES, crust)
    pose = rng.choice(("baguette", "loaf", "on plate"))
    mark = rng.choice(("none", "slashes", "slashes", "band" if pose == "baguette" else "cut"))
    color = pick_clear(rng, "white red sky lime pink blue" if mark == "band" else "cream bone blond", crust)
    if pose == "baguette":
        canvas.stamp(BAGUETTE, 1, 2, tones("0123", crust))
        dots(canvas, rng.choice(BAGUETTE_SLASHES), crust.shade)
        if mark == "slashes":
            dots(canvas, rng.choice(BAGUETTE_SLASHES[1:]), color.light)
        elif mark == "band":
            width, start = rng.choice((2, 3)), rng.choice((5, 6, 7))
            for i in range(-4, 5):
                for x in range(start + i, start + i + width):
                    if canvas.pixels[7 + i, x]:
                        canvas.dot(x, 7 + i, color.light if i < 0 else color.base)
    else:
        if pose == "on plate":
            plate(canvas, dish)
        art = rng.choice(LOAVES)
        up = 13 - height(art)
        canvas.stamp(art, 1, up, tones("0123", crust))
        dots(canvas, rng.choice(SLASHES), crust.shade)
        if mark == "slashes":
            dots(canvas, rng.choice(SLASHES[1:]), color.light)
        elif mark == "cut":
            canvas.stamp(END, 11, up + 2, {"c": color.base, "d": color.light})
    canvas.outline()
    if coin(rng):
        canvas.flip()
    second = dish if pose == "on plate" else None
    return record(crust, second_color=second, pattern=mark, pattern_color=color, pose=pose)


# --- fish ---

FISHES = [
    """
...22222....
.222333222..
.233333222..
22333222222.
222222222222
ewwww2222221
.ewwwwww221.
..ewwwww11..
....eeee....
""",
    """
....2222....
..22332222..
.2333322222.
.2333222222.
223222222222
222222222221
ewwww222221.
.ewwwww2221.
..ewwwww11..
....eeee....
""",
    """
..2222222...
.2233333222.
222222222222
222222222221
ewwwwww2221.
.eewwwww11..
...eeee.....
""",
]


TAILS = [
    """
..cd
.ccd
.cd.
cc..
cc..
.bc.
.bcc
..bb
""",
    """
.ccd
.cd.
ccd.
cc..
cbc.
.bcc
""",
    """
..dd
.cdd
cccd
cccd
.bcc
..bb
""",
]


FINS = [
    "",
    "..cd\n.ccd\nbccc",
    "c.c.c\ncdcdc\nbcccc",
    ".cddd\nbcccc",
    "...ccd\n.ccccd\nbbbccc",
]


FISH_PATTERNS = {
    "none": [""],
    "stripes": ["65 66 67 68 69 85 86 87 88 89", "75 76 77 78 79 95 96 97 98 99", "74 75 76 77 78 a6 a7 a8"],
    "scales": ["66 86 77 97 a6 a8 88", "75 95 86 a6 b5 77 97"],
    "spots": ["65 75 66 76 88 98 89 99", "67 77 68 78 95 a5 96 a6"],
}


def fish(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A white-bellied fish from the side, with fins and tail in a second colour (that of its plate) and a pattern."""
    ramp = pick(rng, "steel sky blue teal green orange red pink gold purple grey")
    fin = pick_clear(rng, "steel sky blue teal orange red yellow purple gold pink", ramp)
    belly = RAMPS["white"]
    dish = rng.random() < 0.3
    if dish:
        plate(canvas, fin)
    body = rng.choice(FISHES)
    rows = height(body)
    top = 13 - rows if dish else 8 - rows // 2
    tail = rng.choice(TAILS)
    middle = {9: 5, 10: 5, 7: 3}[rows]  # the row where the body is narrowest
    canvas.stamp(tail, 11, top + middle + 1 - height(tail) // 2, tones("abcd", fin))
    dorsal = rng.choice(FINS)
    canvas.stamp(dorsal, 5, top + 1 - height(dorsal), tones("abcd", fin))
    canvas.stamp(body, 1, top, tones("123", ramp) | {"w": belly.light, "e": belly.base})
    if not dish and coin(rng):
        canvas.stamp("cc.\n.bc", rng.choice((5, 7)), top + rows - 1, tones("abcd", fin))
    pattern = rng.choice(list(FISH_PATTERNS))
    mark = pick_clear(rng, "steel sky blue teal orange red yellow purple gold pink white black", ramp)
    dots(canvas, rng.choice(FISH_PATTERNS[pattern]), mark.base, on=(ramp.base, ramp.light), down=top - 4)
    canvas.outline()
    for y in range(top + 2, top + rows - 2):
        canvas.dot(5, y, ramp.shade)
    eye = top + rows // 2 - 1
    canvas.dot(3, eye, BLACK)
    canvas.dot(2, eye, WHITE)
    canvas.dot(3, eye - 1, WHITE if coin(rng) else ramp.light)
    if coin(rng):
        canvas.flip()
    pose = "on plate" if dish else "none"
    return record(ramp, second_color=fin, pattern=pattern, pattern_color=mark, pose=pose)


# --- meat ---

MEATS = [
    """
..22222.......
.2333322......
233332222.....
2333222222....
2332222222....
22222222221...
22222222221...
.2222222221...
..222222211...
...12222111...
.....1111cc.dd
.........cccdc
..........cccb
..........dcb.
""",
    """
.....2222.....
....233322....
...23333222...
...23332222...
ddd23322222ddd
dcd22222222ccc
ccc22222221ccb
cb.22222221.bb
...12222211...
....122211....
.....1111.....
""",
]


GRILL = [
    "46 55 64 79 88 97",
    "45 56 67 75 86 97",
    "55 56 57 75 76 77 95 96 97",
    "65 56 47 87 78 69",
    "64 75 86 47 58 69",
]


def meat(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """Meat on the bone: a drumstick or a big joint with a bone through it, with grill marks, glaze or a bite."""
    ramp = pick(rng, "crust ginger meat brown bronze red")
    bone = pick_clear(rng, "bone white cream", ramp)
    shape = rng.randrange(2)
    canvas.stamp(MEATS[shape], 1, (1, 2)[shape], tones("123", ramp) | tones("bcd", bone))
    extra = rng.choice(["none", "grill marks", "bite", "glaze", "ribbon" if shape == 0 else "leaf"])
    colors = {
        "grill marks": "black chocolate",
        "bite": "meat pink cream",
        "glaze": "yellow cream gold",
        "ribbon": "white red leaf sky pink yellow",
        "leaf": "leaf green lime",
    }
    color = pick_clear(rng, colors.get(extra, "red"), ramp)
    if extra == "bite":
        bite(canvas, *rng.choice(((-1, 4), (0, 6), (4, -1)) if shape == 0 else ((3, -1), (9, 0), (8, 8))), color)
    canvas.outline()
    if extra in ("grill marks", "glaze"):
        dots(canvas, rng.choice(GRILL), color.shade if extra == "grill marks" else color.light, on=ramp[1:4])
    elif extra == "ribbon":
        canvas.stamp("..cd\n.ccd\nccb.\nbb..", 9, 9, tones("abcd", color))
    elif extra == "leaf":
        canvas.stamp("..cd.\n.ccdd\n.bcc.", rng.choice((4, 6, 8)), 11, tones("abcd", color))
    if coin(rng):
        canvas.flip()
    pose = ("drumstick", "joint")[shape]
    return record(ramp, second_color=bone, pattern=extra, pattern_color=color, pose=pose)


# --- cheese ---

WEDGES = [
    """
.........333..
......33333333
...33333333333
33333333333333
22222222222222
22222222222221
22222222222221
22222222222221
22222222222221
11111111111111
""",
    """
......3333....
....3333333...
..333333333333
33333333333333
22222222222222
22222222222221
22222222222221
22222222222221
11111111111111
""",
]
HOLES = ["", "aa", "aa\nad", "aaa\naaa\n.dd", "aaa\naad", ".aa\naaa\naaa\n.dd"]


def cheese(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A wedge of cheese with holes in its front, perhaps a mouse's bite, a rind and a plate of one colour."""
    ramp = pick(rng, "yellow yellow gold blond orange cream")
    second = pick_clear(rng, "red red orange brown green black white sky teal indigo", ramp)
    rind, dish, bitten = coin(rng), coin(rng), rng.random() < 0.35
    if dish:
        plate(canvas, second)
    art = rng.choice(WEDGES)
    top = 13 - height(art)
    canvas.stamp(art, 1, top, tones("0123", ramp))
    hole = {"a": ramp.shade, "d": ramp.light}
    for i, (x, y) in enumerate(((5, 7), (8, 9), (2, 9), (11, 7), (11, 10))):
        canvas.stamp(rng.choice(HOLES[2 if i < 2 else 0 :]), x, y, hole)
    if rind:
        for y in range(top, 13):
            x = int(max(canvas.pixels[y].nonzero()[0]))
            canvas.dot(x, y, second.base)
            canvas.dot(x - 1, y, second.light if y < top + 4 else second.base)
    if bitten:
        bite(canvas, rng.choice((-2,) if rind else (-2, 12)), rng.choice((7, 8)), ramp)
    for x in rng.choice(((), (8,), (7, 11), (5, 10))):
        canvas.stamp("11", x, top + 2, tones("123", ramp))
    canvas.outline()
    if coin(rng):
        canvas.flip()
    return record(
        ramp,
        second_color=second if rind or dish else None,
        pattern="bite" if bitten else "holes",
        pattern_color=ramp,
        pose="on plate" if dish else "none",
    )


# --- cake ---

ICING_FLAVOURS = "pink chocolate white magenta sky lime red yellow purple teal cream orange"
SPRINKLE_COLORS = "red yellow sky white lime blue"
SLICE = """
........333333
.....333333333
..333333333333
33333333333333
22222222222222
cdddddddddddcc
cdddddddddddcb
ffffffffffffff
cdddddddddddcb
cccccccccccccb
"""
DRIPS = ["", "2.2.2.2.2.2.2.", "22..22..22..22", ".222..22..222.", "2...22...2..22"]
TOPPINGS = {
    "cherry": ("..0\n.0.\n321\n221", "red magenta"),
    "strawberry": (".gg\n322\n221\n.1.", "red pink"),
    "candle": (".f\n.f\n.2\n.1\n.2", "sky pink lime yellow white blue"),
    "chocolate": ("..1\n.21\n321\n21.", "chocolate"),
    "blueberry": ("....\n.32.\n2132\n1.21", "indigo blue"),
    "lemon": (".22.\n2332\n2322\n.22.", "yellow lime"),
}


def topping(canvas: Canvas, rng: random.Random, x: int, bottom: int, icing: Ramp) -> tuple[str, Ramp]:
    """A cherry, candle, ... standing on row `bottom` of the icing; returns its name and colour."""
    name = rng.choice([name for name in TOPPINGS if name != icing.name])
    art, names = TOPPINGS[name]
    ramp = pick_clear(rng, names, icing)
    extras = {"g": RAMPS["green"].base, "f": RAMPS["orange"].base}
    canvas.stamp(art, x, max(bottom + 1 - height(art), 1), tones("0123", ramp) | extras)
    return name, ramp


def cake(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A slice of layer cake: sponge, icing that drips and is its filling too, a topping or sprinkles."""
    icing = pick(rng, ICING_FLAVOURS)
    sponge = pick_clear(rng, "cream blond chocolate crust pink", icing)
    key = tones("123", icing) | {"b": sponge.shade, "c": sponge.base, "d": sponge.light, "f": icing.base}
    canvas.stamp(SLICE, 1, 5, key)
    canvas.stamp(rng.choice(DRIPS), 1, 10, key)
    color = pick_clear(rng, SPRINKLE_COLORS, icing)
    extra = rng.choice(("none", "sprinkles", "topping", "topping", "topping"))
    if extra == "topping":
        extra, color = topping(canvas, rng, rng.choice((8, 9, 10)), 6, icing)
    canvas.outline()
    if extra == "sprinkles":
        dots(canvas, rng.choice(("78 48 a8 67 c7 e8", "38 58 97 b8 77 d7")), color.light)
    if coin(rng):
        canvas.flip()
    return record(icing, second_color=sponge, pattern=extra, pattern_color=color)


# --- cupcake ---

FROSTINGS = [
    """
.....22.....
....3222....
...332221...
..33322221..
..11111111..
.3332222221.
.3322222221.
.1111111111.
332222222221
""",
    """
....2222....
..33222221..
.3332222221.
.3322222221.
332222222221
322222222221
222222222211
""",
    """
......2.....
....322.....
...33222....
...22211....
..33322221..
.3322222221.
.1111111111.
333222222221
222222222211
""",
    """
....3222....
...332222...
...222211...
.3321132221.
332221222221
222211122221
222222222211
""",
]
WRAPPERS = [
    """
cdcbcdcbcdcb
cdcbcdcbcdcb
.dcbcdcbcdc.
.dcbcdcbcdc.
""",
    """
dccccccccccb
ddcccccccccb
.dcccccccbb.
.dcccccccbb.
""",
    """
ddcddcddcddc
bccbccbccbcc
.cddcddcddc.
.bccbccbccb.
""",
]
SPRINKLES = ["57 88 a6 75", "49 68 a9 86", "66 77 99 58", "59 89 a8 67 76"]


def cupcake(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A cupcake: pleated paper, swirled icing, sprinkles or something on top."""
    icing = pick(rng, ICING_FLAVOURS)
    paper = pick_clear(rng, "crust chocolate white sky red purple teal yellow pink blue", icing)
    art = rng.choice(FROSTINGS)
    top = 11 - height(art)
    canvas.stamp(rng.choice(WRAPPERS), 2, 11, tones("bcd", paper))
    canvas.stamp(art, 2, top, tones("123", icing))
    color = pick_clear(rng, SPRINKLE_COLORS, icing)
    extra = rng.choice(("none", "sprinkles", "topping", "topping", "topping"))
    if extra == "topping":
        extra, color = topping(canvas, rng, rng.choice((6, 7)), top + 1, icing)
    canvas.outline()
    if extra == "sprinkles":
        dots(canvas, rng.choice(SPRINKLES), color.light)
    return record(icing, second_color=paper, pattern=extra, pattern_color=color)


# --- doughnut ---

GLAZE = [
    """
....222222....
..2233333222..
.223333322222.
.233332222222.
223322..222221
22332....22221
22222....22221
222222..222221
.222222222221.
.22.222.222.1.
.....2...22...
""",
    """
...22222222...
..2333332222..
.233333222222.
.23332222222..
.2332...22222.
22332....22221
22222....2222.
.22222..22221.
..2222222222..
...2222.221...
....22........
""",
    """
.....2222.....
...23333222...
..2333332222..
.23332222222..
.2332....2222.
.2322....2222.
.2222....2221.
..222....221..
..2222222221..
...22222221...
.....222......
""",
]
TOP_PATTERNS = {
    "none": [""],
    "sprinkles": ["53 84 b5 37 5a 99 c8", "43 73 a4 c7 36 4a 8b", "63 94 47 b9 6a 35 c5"],
    "stripes": [
        "33 42 53 64 73 82 a3 b4 c5 39 4a 5b 6a 79 8a 9b a9 b8",
        "26 37 46 55 64 73 82 5a 69 78 87 96 a5 b4 99 a8 b7 c6",
    ],
    "nuts": ["53 54 a4 b4 37 38 b8 a8 6a 7a", "43 44 83 84 c7 c6 4a 5a 9a 99"],
}


def doughnut(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A ring doughnut with dripping icing and sprinkles, stripes or nuts, or bitten."""
    icing = pick(rng, ICING_FLAVOURS)
    dough = pick_clear(rng, "crust crust ginger bronze chocolate blond", icing)
    canvas.ellipse(7.5, 7.5, 7, 6.4, dough)
    canvas.stamp(rng.choice(GLAZE), 1, 2, tones("123", icing))
    if coin(rng):
        canvas.flip()
    canvas.stamp(".11.\n1001\n1001\n.11.", 6, 6, {"0": dough.line, "1": dough.shade})
    extra = rng.choice(["bite", *TOP_PATTERNS])
    color = pick_clear(rng, "crust cream brown" if extra == "nuts" else f"{SPRINKLE_COLORS} pink chocolate", icing)
    if extra == "bite":
        color = dough
        bite(canvas, *rng.choice(((12, 4), (12, 7), (-1, 5), (9, -2))), dough)
    else:
        places = rng.choice(TOP_PATTERNS[extra])
        dots(canvas, places, color.light, on=icing[1:4])
        if extra == "sprinkles":
            dots(canvas, " ".join(places.split()[::2]), color.base, on=(color.light,))
    canvas.outline()
    canvas.stamp("00\n00", 7, 7, {"0": 0})
    return record(icing, second_color=dough, pattern=extra, pattern_color=color)


# --- carrot ---

CARROTS = [
    """
.......2222.
......333222
.....3332222
....33322221
...333222221
..333222221.
.333222221..
.33222211...
33222211....
322221......
22211.......
211.........
""",
    """
........222.
.......33222
......332222
.....3322221
.....332221.
....332221..
...332221...
..332221....
..32221.....
.32221......
3221........
21..........
""",
    """
......22222.
.....3332222
....33322222
...333222222
...332222221
..3332222221
..332222221.
.33222222.1.
.3222221....
.222211.....
.2211.......
.1..........
""",
]
CARROT_LEAVES = [
    "cd..d.\n.cdcd.\nbcccdd\n.bcc..\nbbbcdd\n..b.cc",
    ".cd...\ncdd.cd\nccdcdd\nbccdd.\nbbccc.\n.bb.cd",
    "..cd..\n..cdcd\n.bccd.\nbbccdd\n.bbccc\n......",
    "d.d.d.\ncdcdcd\nbcdcd.\nbbccdd\n.bbcc.\n......",
]
RIDGES = ["", "57 68 8a 86 97 a8", "67 77 4a 5a 96 a6", "86 77 59 6a a8", "77 88 49 5a", "95 a6 68 79 4a"]


def carrot(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A carrot lying aslant, with feathery leaves, ridges, perhaps a bite."""
    ramp, leaf = pick(rng, "orange orange orange ginger yellow purple"), pick(rng, "leaf green lime teal")
    canvas.stamp(rng.choice(CARROTS), 1, 3, tones("123", ramp))
    dots(canvas, rng.choice(RIDGES), ramp.light)
    dots(canvas, rng.choice(RIDGES), ramp.shade)
    bitten = rng.random() < 0.3
    if bitten:
        bite(canvas, *rng.choice(((-1, 9), (0, 9), (0, 10))), ramp)
    leafy = Canvas()
    leafy.stamp(rng.choice(CARROT_LEAVES), 9, 1, tones("bcd", leaf))
    canvas.outline()
    overlay(canvas, leafy)
    if coin(rng):
        canvas.flip()
    return record(ramp, second_color=leaf, pattern="bite" if bitten else "none", pattern_color=ramp)


# --- mushroom ---

CAPS = [
    """
....222222....
..2233322222..
.233333222222.
.233322222222.
23332222222222
23322222222221
22222222222221
12222222222211
.111111111111.
""",
    """
.....2222.....
....233222....
...23332222...
...23322222...
..2333222222..
..2332222222..
.233222222221.
22222222222221
11111111111111
""",
    """
...22222222...
.223333322222.
23333322222222
23332222222221
22222222222221
12222222222211
.111111111111.
""",
]
STALKS = [
    """
..aaaaaa..
..bddccb..
..bddccb..
..bddccb..
..bddccb..
...bccb...
""",
    """
.aaaaaaaa.
..bddccb..
..bddccb..
.bddddccb.
.bddddccb.
..bbbbbb..
""",
    """
.aaaaaaaa.
.dddddddd.
..bddccb..
..bddccb..
..bddcccb.
...bcccb..
""",
]
GRASS = ["d..d\ncd.c\nbccb", ".d..\nccd.\nbbcc", "d.d.\nccdc\nbbcb"]
SPOTS = {
    "none": [""],
    "spots": ["45 94 77 b6 37", "54 85 37 a7 b5", "55 a5 77 38 c7 83"],
    "patches": ["44 54 45 95 a5 a6 68 78", "53 63 54 98 a8 99 36 37 c6", "74 84 75 36 46 47 a7 b7 b6"],
    "stripes": [
        "43 44 45 36 37 38 73 74 75 76 77 78 a3 a4 b5 b6 b7 b8",
        "45 55 65 75 85 95 a5 b5 38 48 58 68 78 88 98 a8 b8",
    ],
}


def mushroom(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A mushroom: cap of one of three shapes, with or without spots, on a stalk, perhaps in grass."""
    ramp = pick(rng, "red red brown ginger crust white purple blue teal pink")
    stalk = pick_clear(rng, "cream bone white", ramp)
    cap = rng.choice(CAPS)
    top = 10 - height(cap)
    canvas.stamp(rng.choice(STALKS), 3, 9, tones("abcd", stalk))
    canvas.stamp(cap, 1, top, tones("123", ramp))
    pattern = rng.choice(["none", "spots", "spots", "patches", "patches", "stripes"])
    mark = pick_clear(rng, "cream white yellow red brown", ramp)
    dots(canvas, rng.choice(SPOTS[pattern]), mark.light, on=(ramp.base, ramp.light))
    grass = coin(rng)
    if grass:
        canvas.stamp(rng.choice(GRASS), rng.choice((1, 3, 9, 10)), 12, tones("bcd", RAMPS["leaf"]))
    canvas.outline()
    pose = "in grass" if grass else "none"
    return record(ramp, second_color=stalk, pattern=pattern, pattern_color=mark, pose=pose)


# --- ice cream ---

SCOOPS = [
    """
...2222...
.22332222.
.23332222.
2333222221
2332222221
2222222211
12.221.111
""",
    """
..222222..
.23332222.
2333222221
2332222221
.22222221.
1222212211
.1..11..1.
""",
]
SMALL_SCOOP = """
..3322..
.333222.
33222221
22222221
"""
LOWER_SCOOP = """
.00000000.
2333222221
2322222221
.12.221.1.
"""
SAUCES = [
    """
..222222..
.22333222.
222332222.
2222222222
22.22.222.
""",
    """
..3322..
.333222.
.2.2..2.
""",
]
CONES = {
    "cone": [
        """
bcdcbcdb
dcbcdcbb
cbcdcbcb
.dcbcdb.
.cbcdcb.
..dcbb..
...cb...
""",
        """
bdbdbdbb
dcccccbb
.dcdcbb.
.ddccbb.
..dccb..
..dcbb..
...cb...
""",
    ],
    "cup": [
        """
dddcccbb
ddccccbb
dddcccbb
.bbbbbb.
..dccb..
..dccb..
..dccb..
""",
    ],
}
GARNISH = {
    "cherry": ("..0\n.0.\n321\n221", "red magenta"),
    "wafer": ("..32\n..32\n.32.\n.32.\n.32.", "crust chocolate cream"),
    "biscuit": (".333\n.321\n.221\n..21", "crust chocolate cream"),
    "mint": ("32.3\n.232\n..1.", "lime green leaf"),
}


def ice_cream(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """One or two scoops of ice cream in a cone or a wafer cup, with sauce, a wafer, cherry, biscuit or mint leaf."""
    flavours = "pink cream chocolate lime sky yellow magenta orange purple white teal red"
    ramp = pick(rng, flavours)
    second = pick_clear(rng, flavours, ramp)
    upper, two = (second, True) if coin(rng) else (ramp, False)
    holder = rng.choice(list(CONES))
    canvas.stamp(rng.choice(CONES[holder]), 4, 8, tones("bcd", RAMPS["crust"]))
    extra = rng.choice(["none", "sauce", *GARNISH])
    art, names = GARNISH.get(extra, ("", "chocolate red yellow white"))
    color = pick_clear(rng, names, upper)
    canvas.stamp(art, rng.choice((5, 7, 8)), 1, tones("0123", color))
    if two:
        canvas.stamp(SMALL_SCOOP, 4, 3, tones("123", second))
        canvas.stamp(LOWER_SCOOP, 3, 6, tones("0123", ramp))
    else:
        canvas.stamp(rng.choice(SCOOPS), 3, 3, tones("123", ramp))
    if extra == "sauce":
        canvas.stamp(SAUCES[two], 4 if two else 3, 3, tones("123", color))
    canvas.outline()
    if coin(rng):
        canvas.flip()
    return record(ramp, second_color=second if two else None, pattern=extra, pattern_color=color, pose=holder)


# --- burger ---

BUNS = [
    """
...22222222...
.223333322222.
23333333222222
23333222222221
22222222222221
""",
    """
....222222....
..2333332222..
.233333222222.
23333222222222
22222222222221
""",
]
PATTY = "22222222222222\n11111111111111"
FILLINGS = {
    "lettuce": ("33233323332333\n.2..12..2.12..", "lime leaf green"),
    "cheese": ("33333333333333\n..222....22...", "yellow orange gold"),
    "tomato": (".222333222333.", "red"),
    "onion": (".332233223322.", "purple white"),
    "bacon": ("22332233223322", "meat"),
    "egg": (".333322223333.", "white"),
}
SEEDS = ["43 63 92 b3 74", "52 83 a2 44 c4", "42 62 82 a3 53 73 93"]


def burger(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A burger: sesame bun, one patty or two, with one kind of filling above, below or between."""
    bun = pick(rng, "crust crust ginger blond orange cream")
    filling = rng.choice(list(FILLINGS))
    art, names = FILLINGS[filling]
    color = pick_clear(rng, names, bun)
    patty = pick_clear(rng, "chocolate brown meat", color, bun)
    double = coin(rng)
    canvas.stamp("22222222222221\n.111111111111.", 1, 12, tones("123", bun))
    y = 12
    for layer in rng.choice(("pfpf", "fpfp", "fpfpf", "pffp") if double else ("fpf", "pff", "ffp")):
        y -= 2 if layer == "p" else 1
        canvas.stamp(PATTY if layer == "p" else art, 1, y, tones("123", patty if layer == "p" else color))
    canvas.stamp(rng.choice(BUNS), 1, y - 5, tones("123", bun))
    canvas.outline()
    dots(canvas, rng.choice(SEEDS), RAMPS["cream"].light)
    pose = "double" if double else "single"
    return record(bun, second_color=patty, pattern=filling, pattern_color=color, pose=pose)


# --- mug ---

MUGS = [
    """
.3333333333
.1111111111
.2332222211
.2332222211
.2332222211
.2332222211
.2332222211
.2332222211
.2332222211
..111111111
""",
    """
.3333333333
.1111111111
.2332222211
.2332222211
.2322222211
..232222211
..232222211
..22222211.
...222211..
...111111..
""",
]
HANDLES = ["cccb\n...b\n...b\n...b\nbbbb", "ccc.\n..cb\n...b\n..bb\nbbb.", "cccb\n...b\n..bb\nbbb."]
MUG_MARKS = {
    "none": "",
    "stripes": "33222221\n........\n33222221",
    "heart": ".3.2.\n33222\n.222.\n..2..",
    "star": "..3..\n33322\n.222.\n.2.2.",
}
FROTH = [
    "..dd..ddd.\ndddddddddd\ncddcdddcdc\n.cc..cc..c",
    ".ddd.dd...\ndddddddddd\ndcdddcddcc\nc..cc..c..",
    "...dddd...\n.dddddddd.\ndddcddddcc\ncc..cc.cc.",
]
STEAM = ["", ".d..d\nd..d.\n.d..d", "d..\n.d.\nd..", "..d..d\n.d..d."]


def mug(canvas: Canvas, rng: random.Random) -> dict[str, str]:
    """A mug of beer with froth, or of tea, cocoa or milk with steam; stripes or an emblem on its side."""
    ramp = pick(rng, "gold wood red blue green sky purple orange steel pink teal black")
    beer = coin(rng)
    drink = RAMPS["white"] if beer else pick_clear(rng, "chocolate gold cream red bronze lime", ramp)
    canvas.stamp(rng.choice(MUGS), 1, 5, tones("0123", ramp))
    canvas.stamp(rng.choice(HANDLES), 11, 7, tones("abcd", ramp))
    pattern = rng.choice(list(MUG_MARKS))
    mark = pick_clear(rng, "white yellow red night sky", ramp)
    canvas.stamp(MUG_MARKS[pattern], 3 if pattern == "stripes" else 4, 9, tones("123", mark))
    if beer:
        canvas.stamp(rng.choice(FROTH), 2, 3, tones("abcd", drink))
    else:
        canvas.stamp("33333333\n22222222", 3, 5, tones("123", drink))
    canvas.outline()
    steam = "" if beer else rng.choice(STEAM)
    canvas.stamp(steam, rng.choice((4, 5)), 1, {"d": RAMPS["grey"].base})
    if coin(rng):
        canvas.flip()
    pose = "frothy" if beer else "steaming" if steam else "none"
    return record(ramp, second_color=drink, pattern=pattern, pattern_color=mark, pose=pose)


KINDS = {
    "apple": apple,
    "pear": pear,
    "grapes": grapes,
    "watermelon": watermelon,
    "bread": bread,
    "fish": fish,
    "meat": meat,
    "cheese": cheese,
    "cake": cake,
    "cupcake": cupcake,
    "doughnut": doughnut,
    "carrot": carrot,
    "mushroom": mushroom,
    "ice cream": ice_cream,
    "burger": burger,
    "mug": mug,
}
