"""The monsters: fourteen creatures that no player would take for a hero.

Every kind stamps ASCII-art parts in layers (wings, body, horns, what it holds), draws the outline around the whole
silhouette and adds the face last. All parts share one key, see `key`: digits are the monster's own two colours, PQR
its pattern's, XYZ its hat's; other letters are fixed materials. Art that looks to one side is drawn looking left and
flipped for the other side.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

from canvas import BLACK, RAMPS, WHITE, Canvas, Ramp, coin, pick, pick_clear, record, tones

MATERIALS = (
    tones("mno", RAMPS["bone"])
    | tones("tuv", RAMPS["wood"])
    | tones("xyz", RAMPS["steel"])
    | tones("ghi", RAMPS["gold"])
    | {"k": BLACK, "w": WHITE, "q": RAMPS["red"].base, "r": RAMPS["orange"].base, "s": RAMPS["yellow"].base}
    | {"j": RAMPS["leaf"].base, "J": RAMPS["leaf"].light, "p": RAMPS["pink"].base, "d": RAMPS["red"].line}
)
# What most of the parts are made of that come in one colour only.
_MATERIAL_OF = {
    "bone": "bone horns skull spikes thorns",
    "gold": "coin crown gold",
    "wood": "bag club torch",
    "steel": "axe helmet mace trident",
    "orange": "fireball flame flames",
    "leaf": "moss sprout",
    "black": "bomb",
}
MADE_OF = {part: ramp for ramp, parts in _MATERIAL_OF.items() for part in parts.split()}  # most of it, that is
GLOWS = (*(RAMPS[name].base for name in ("yellow", "red", "lime", "sky")), WHITE)  # eye colours

VIVID = "red orange yellow lime green teal sky blue indigo purple magenta pink"
BEASTS = "black grey white brown red orange green teal blue indigo purple magenta"
SCALES = "red orange yellow leaf green teal sky blue indigo purple magenta grey black"


def material(part: str) -> list[Ramp]:
    """The ramp a part is made of, if it comes in that colour only."""
    return [RAMPS[MADE_OF[part]]] if part in MADE_OF else []


def paint(rng: Random, part: str, names: str, *beside: Ramp) -> Ramp:
    """The ramp of a part: its material's, else one of the names that shows up well beside others."""
    return material(part)[0] if part in MADE_OF else pick_clear(rng, names, *beside)


def key(body: Ramp, second: Ramp, pattern: Ramp | None = None, hat: Ramp | None = None) -> dict[str, int]:
    """Key of all art here: 0-3 line to light of the body, 4-7 of the second colour, PQR, XYZ; letters of MATERIALS."""
    ink = tones("0123", body) | tones("4567", second) | MATERIALS
    return ink | tones("PQR", pattern or second) | tones("XYZ", hat or second)


def pair(canvas: Canvas, art: str, x: int, y: int, ink: dict[str, int]) -> None:
    """Stamp a left-hand part and its mirror image on the right."""
    width = max(map(len, art.strip("\n").split("\n")))
    canvas.stamp(art, x, y, ink)
    canvas.stamp(art, 16 - x - width, y, ink, mirror=True)


def clip(canvas: Canvas, art: str, x: int, y: int, ink: dict[str, int]) -> None:
    """Stamp a pattern only on what is already drawn."""
    empty = canvas.pixels == 0
    canvas.stamp(art, x, y, ink)
    canvas.pixels[empty] = 0


def turn(canvas: Canvas, rng: Random) -> str:
    """Flip art that looks left half of the time; the word for where it looks now."""
    if coin(rng):
        return "left"
    canvas.flip()
    return "right"


# ---------------------------------------------------------------------------------------------------------- slime

SLIMES = (
    """
....333222....
..3333222222..
.333322222222.
.333222222222.
33322222222221
33222222222221
32222222222211
22222222222211
.222222221111.
..1111111111..
""",
    """
.....3322.....
...33332222...
..3333222222..
.333322222222.
.333222222222.
.332222222221.
.3222222222221
33222222222222
32222222222211
21111111111111
""",
    """
....333222....
...33322222...
..3332222222..
..3332222222..
..3322222221..
.333222222222.
.332222222221.
33222222222221
2222222222221.
.11.11111..11.
""",
)
SLIME_HATS = {
    "none": "...22...\n...32...\n..3322..\n..3222..",
    "crown": "i..ii..h\nhi.hh.ig\nhhqhhqhg\n.ghhhgg.",
    "sprout": ".JJ..jj.\n.jjJjjj.\n...jj...\n...jj...",
    "horns": "o......n\nno....nm\nnno..nnm\n.nn..nm.",
    "feelers": "32....32\n22....21\n.2....2.\n.22..22.",
}
SLIME_PATTERNS = {
    "bubbles": "...R..........\n...........R..\n.RR........R..\n.RQ...........\n...........RR.\n..Q........RQ.",
    "stripes": ".\nQQ..........QQ\nQQQ........QQQ\n..............\nQQ..........QQ\nQQQ........QQQ",
    "none": "",
}
SLIME_BELLY = "66..66...666..\n76666666666666\n76666666666655\n66665555555555"
SLIME_FACES = (
    "ww..ww\nkw..kw\nkk..kk\n......\n.kddk.\n..kk..",
    "......\nwk..wk\nkk..kk\n......\nk....k\n.kkkk.",
    "k....k\nwk..kw\nww..ww\n......\n.kkkk.\n.wk.w.",
    "......\n......\nkkk.kk\n......\n..kk..\n..kk..",
    ".wwww.\nwwkkww\nwwkkww\n.wwww.\n......\n.kkkk.",
    "wk..wk\nkk..kk\n......\nkkkkkk\n.dppk.\n..kk..",
)


def slime(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A jelly blob with a face and something on its head."""
    hat, pattern = rng.choice(list(SLIME_HATS)), rng.choice(list(SLIME_PATTERNS))
    body = pick_clear(rng, VIVID, *material(hat))
    second = pick_clear(rng, VIVID, body)
    mark = pick_clear(rng, VIVID, body, second)
    belly, look = rng.random() < 0.4, rng.choice((-1, 0, 1))
    ink = key(body, second, mark)
    shape = rng.choice(SLIMES)
    canvas.stamp(shape, 1, 5, ink)
    clip(canvas, SLIME_BELLY if belly else "", 1, 11, ink)
    clip(canvas, SLIME_PATTERNS[pattern], 1, 6, ink)
    canvas.stamp(SLIME_HATS[hat], 4, 1 if hat == "none" else 2, ink)
    canvas.outline()
    canvas.stamp(rng.choice(SLIME_FACES), 5 + 2 * look, 7, ink)
    return record(
        body,
        second_color=second if belly else None,
        hat=hat,
        hat_color=body if hat == "feelers" else paint(rng, hat, VIVID),
        pattern=pattern,
        pattern_color=mark,
        facing=("left", "front", "right")[look + 1],
    )


# ------------------------------------------------------------------------------------------------------------ bat

BAT_BODY = """
332222
322222
322221
022210
.3210.
"""
BAT_EARS = {
    "none": ("2....1\n32..21\n332221", "3.....\n32..21\n332222", ".3..2.\n322222"),
    "horns": ("o....n\nno..nm\n332221", "o....n\n.n..n.\n332221"),
}
BAT_WINGS = (
    """
4.....
64....
66....
766.4.
766444
766666
.76666
..7666
...6.6
""",
    """
..4...
.464..
466644
666666
766666
76.666
6...66
6...6.
""",
    """
4...4.
644466
666666
766666
.76666
.6.666
...66.
""",
    """
....44
..4466
.46666
466666
766666
76.666
6...66
6.....
""",
)
BAT_LOADS = {
    "none": ".2..1.\n.3..2.",
    "coin": ".2..1.\n.ihhg.\n.hihg.\n..gg..",
    "bone": ".2..1.\no2nn1o\nnnnnnm\nm....m",
    "bag": ".2..1.\n..tt..\n.vuut.\nvvuutt\n.uutt.",
}
BAT_FACES = (
    "e..e\n....\nkkkk\nw..w",
    "e..e\nk..k\n....\nwkkw",
    "k..k\nek.e\n....\n.ww.",
    "e..e\n....\n.kk.\nkddk",
    "kkkk\nekke\n....\nwkkw",
)


def bat(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A bat with spread wings, sometimes with loot in its claws."""
    hat, item = rng.choice(("none", "none", "horns")), rng.choice(list(BAT_LOADS))
    body = pick_clear(rng, BEASTS, *material(hat))
    wings = pick_clear(rng, f"{BEASTS} {VIVID}", body)
    ink = key(body, wings) | {"e": rng.choice(GLOWS)}
    pair(canvas, rng.choice(BAT_WINGS), 1, 2 + rng.randrange(3), ink)
    ears = rng.choice(BAT_EARS[hat])
    canvas.stamp(ears, 5, 4 - ears.count("\n"), ink)
    canvas.stamp(BAT_BODY, 5, 5, ink)
    canvas.stamp(BAT_LOADS[item], 5, 10, ink)
    canvas.outline()
    canvas.stamp(rng.choice(BAT_FACES), 6, 6, ink)
    return record(
        body,
        second_color=wings,
        hat=hat,
        hat_color="bone",
        item=item,
        item_color=MADE_OF.get(item),
        facing="front",
    )


# ---------------------------------------------------------------------------------------------------------- ghost

GHOST_FRONT = """
....333322....
..3333222222..
..3333222222..
.333322222222.
33332222222222
33332222222221
.333222222222.
..3322222222..
.333222222221.
.776666666655.
.76.666.66.55.
.6...6...5..5.
"""
GHOST_TAIL = """
...333322.....
..33333222....
.3333322222...
.3333322222...
33333222222...
333332222222..
.33332222222..
..333222222221
...33222222211
...77666666655
....7766666.65
......7665....
"""
GHOST_HATS = {  # art and its place on the head
    "none": ("", 0, 0),
    "pointed hat": ("....YY..\n...YZX..\n..YYZX..\n.RQQQQP.\nYYYYYYYX", 4, 1),
    "crown": ("i..ii.h\nhihhihg\nhhqhqhg", 5, 1),
    "bow": ("ZY..ZY\nYYXXYY\nYX..YX", 7, 1),
    "candle": (".s..\n.r..\n.ZY.\n.ZY.\nZYYX", 6, 0),
    "horns": ("o.....m\non...nm\n.n...n.", 5, 1),
}
GHOST_FACES = (
    "kk..kk\nkk..kk\nkk..kk\n......\n..kk..\n..kk..",
    "kk..kk\nwk..wk\nkk..kk\n......\nkkkkkk\n.kddk.",
    "k....k\nkk..kk\nek..ke\n......\nkkkkkk\nwkwkwk",
    "......\nkk..kk\nke..ke\n......\n.kkkk.\n.kppk.\n..pp..",
    ".k..k.\nkk..kk\n......\n.kkkk.\nkkddkk\n.kkkk.",
)
GHOSTS = "white grey sky lime teal pink purple indigo black bone"


def ghost(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A floating sheet with a hem or a curling tail, and something on its head."""
    hat, front = rng.choice(list(GHOST_HATS)), coin(rng)
    body = pick_clear(rng, GHOSTS, *material(hat))
    hem = pick_clear(rng, f"{GHOSTS} {VIVID}", body)
    cloth = paint(rng, hat, VIVID, body)
    ink = key(body, hem, pick_clear(rng, VIVID, cloth), cloth) | {"e": rng.choice(GLOWS)}
    face = rng.choice(GHOST_FACES)
    top = 2 if hat == "none" else 3
    canvas.stamp(GHOST_FRONT if front else GHOST_TAIL, 1, top, ink)
    art, x, y = GHOST_HATS[hat]
    canvas.stamp(art, x if front else x - 1, y, ink)
    canvas.outline()
    if body.name in ("black", "indigo"):  # a dark face would not show on a dark sheet
        face, ink = face.replace("k", "W"), ink | {"W": RAMPS["yellow"].base, "w": BLACK}
    canvas.stamp(face, 5 if front else 3, top + 3, ink)
    return record(
        body,
        second_color=hem,
        hat=hat,
        hat_color=cloth,
        facing="front" if front else turn(canvas, rng),
        pose="floating" if front else "flying",
    )


# --------------------------------------------------------------------------------------------------------- dragon

DRAGON_BODY = """
..............
..............
..33332.......
.3222222......
33222222......
222222222.....
kwkwk2222.....
.1112.222.....
....76222....2
...7662222..22
..376622222.22
..236622222221
...2166.22221.
..33.66.3322..
"""
DRAGON_WINGS = (
    """
......4
....467
..46767
.467676
4676665
4676655
4766.6.
.66..5.
.6.....
""",
    """
4......
464....
4764...
476644.
4766664
.476655
.4766.5
..466..
..46...
""",
    """
...4..4
..46.46
.466466
4676676
4676665
.476655
..6..6.
""",
)
DRAGON_HATS = {
    "horns": "..o\n.no\n.n.",
    "crest": "Z.Z\nYZY\nYYX",
    "crown": "i.i\nhih\nhhg",
}
DRAGON_ITEMS = {
    "none": ("", 0, 0),
    "flame": (".rss\nqrsr\nqrr.\n.q..", 1, 9),
    "egg": (".RR.\nRRQQ\nRRQP\n.QP.", 1, 11),
    "gold": (".ih.\nihhg\nhihgg", 1, 12),
}


def dragon(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A small sitting dragon with a raised wing."""
    hat, item = rng.choice(list(DRAGON_HATS)), rng.choice(list(DRAGON_ITEMS))
    body = pick_clear(rng, SCALES, *material(hat))
    wing = pick_clear(rng, f"{SCALES} cream bone", body)
    egg = paint(rng, item, "bone sky pink lime yellow teal orange", body, wing)
    horns = paint(rng, hat, SCALES, body, wing)
    ink = key(body, wing, egg, horns)
    canvas.stamp(rng.choice(DRAGON_WINGS), 8, 1, ink)
    canvas.stamp(DRAGON_BODY, 1, 1, ink)
    canvas.stamp(DRAGON_HATS[hat], 5, 1, ink)
    art, x, y = DRAGON_ITEMS[item]
    canvas.stamp(art, x, y, ink)
    canvas.outline()
    canvas.dot(4, 4, rng.choice(GLOWS))
    canvas.dot(4, 5, BLACK)
    facing = turn(canvas, rng)
    return record(body, second_color=wing, hat=hat, hat_color=horns, item=item, item_color=egg, facing=facing)


# ------------------------------------------------------------------------------------------------------------- orc

ORC_BODY = """
....332222....
...33222222...
...32222222...
...32222222...
...22222222...
...22222221...
...02222210...
..2200000022..
.332322222321.
332.22222212.1
322.66666655.1
221.76666655.1
....322.221...
...3322.3221..
"""
ORC_EARS = ("2..\n332\n.32", "...\n332\n22.", "3..\n32.\n.32")
ORC_HATS = {
    "none": "",
    "mohawk": "...ZZ...\n..YZYY..\n...YY...",
    "headband": "........Y\nYZYYYYYXX",
    "helmet": ".zzyyyx.\nzzyyyyyx\ny......x",
    "horns": "o..........o\nno........nm\n.nn......nm.",
}
ORC_WEAPONS = {
    "none": "",
    "club": ".uv\nuvv\nuvu\nuvu\ntuu\n.u.\n.u.\n.u.\n.t.",
    "axe": "zyu\nzyy\nzyy\nzyu\n..u\n..u\n..u\n..u\n..t",
    "bone": "o.o\noon\n.n.\n.o.\n.n.\n.n.\n.n.\nnnn\nn.m",
    "mace": ".x.\nzyx\nyyx\nxxx\n.u.\n.u.\n.u.\n.u.\n.t.",
}
ORC_FACES = (
    "kk..kk\nek..ke\n......\nw....w\nwkkkkw",
    "k....k\nkk..kk\nee..ee\n..00..\nw....w\nkwkkwk",
    "ke..ek\nkk..kk\n......\nwkkkkw\nwddddw",
    "......\nek..ke\nkk..kk\n..00..\nkwkkwk",
)
ORCS = "green leaf lime teal grey red purple blue"


def orc(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A hunched, broad-shouldered brute with tusks, long arms and a loincloth."""
    hat, weapon = rng.choice(list(ORC_HATS)), rng.choice(list(ORC_WEAPONS))
    body = pick_clear(rng, ORCS, *material(hat))
    cloth = pick_clear(rng, "brown red black bronze gold white", body)
    worn = paint(rng, hat, "red orange yellow black white blue magenta", body)
    ink = key(body, cloth, hat=worn) | {"e": rng.choice(GLOWS)}
    canvas.stamp(ORC_BODY, 1, 1, ink)
    pair(canvas, rng.choice(ORC_EARS), 1, 3, ink)
    canvas.stamp(ORC_HATS[hat], 2 if hat == "horns" else 4, 1, ink)
    canvas.stamp(ORC_WEAPONS[weapon], 1, 4, ink)
    if weapon != "none":
        canvas.stamp("322\n221", 1, 10, ink)
    canvas.outline()
    canvas.stamp(rng.choice(ORC_FACES), 5, 3, ink)
    if coin(rng):  # the other hand
        canvas.flip()
    return record(
        body,
        second_color=cloth,
        hat=hat,
        hat_color=worn,
        item=weapon,
        item_color=MADE_OF.get(weapon),
        facing="front",
    )


# ---------------------------------------------------------------------------------------------------------- spider

SPIDER_LEGS = (  # corners of the four legs on the left
    (((5, 7), (3, 4), (3, 1)), ((4, 8), (1, 6), (0, 3)), ((4, 9), (1, 10), (0, 13)), ((5, 11), (3, 12), (2, 15))),
    (((4, 6), (2, 2), (1, 4)), ((4, 8), (1, 6), (0, 9)), ((4, 9), (2, 10), (1, 13)), ((5, 11), (4, 12), (4, 15))),
    (((5, 6), (2, 4), (0, 1)), ((4, 8), (2, 7), (0, 7)), ((4, 10), (2, 10), (0, 12)), ((5, 11), (3, 13), (3, 15))),
)
SPIDER_MARKS = {
    "hourglass": "QQQQ\n.QQ.\n.QQ.\nQQQQ",
    "cross": ".QQ.\nQQQQ\n.QQ.\n.QQ.",
    "stripes": "QQQQQQ\n......\nQQQQQQ\n......\n.QQQQ.",
    "skull": "onnn\nknnk\nnnnn\n.nm.",
    "spots": "QQ..\nQQ.Q\n...Q\n.QQ.\n.QQ.",
    "none": "",
}


def spider(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A fat spider seen from above, with eight bent legs."""
    mark = rng.choice(list(SPIDER_MARKS))
    body = pick_clear(rng, BEASTS, *material(mark))
    color = paint(rng, mark, f"{VIVID} white", body)
    ink = key(body, color) | {"e": rng.choice(GLOWS)}
    for corners in rng.choice(SPIDER_LEGS):
        for (x0, y0), (x1, y1) in pairwise(corners):
            canvas.line(x0, y0, x1, y1, body.line)
            canvas.line(15 - x0, y0, 15 - x1, y1, body.line)
        for x in (corners[1][0], 15 - corners[1][0]):
            canvas.dot(x, corners[1][1], body.base)
    back = Canvas()
    back.ellipse(7.5, 5.5, rng.choice((3.6, 4.1, 4.6)), 4.3, body)
    back.stamp(SPIDER_MARKS[mark], 5 if mark == "stripes" else 6, 4, ink)
    back.outline()
    head = Canvas()
    head.ellipse(7.5, 11, 3.1, 2.6, body)
    head.stamp("w..w", 6, 14, ink)
    head.outline()
    for layer in (back, head):
        canvas.pixels[layer.pixels > 0] = layer.pixels[layer.pixels > 0]
    canvas.stamp(rng.choice(("e..e\n.ee.", "e..e\nk..k", ".ee.\ne..e", "kkkk\nekke")), 6, 10, ink)
    return record(body, pattern=mark, pattern_color=color, facing="front")


# ----------------------------------------------------------------------------------------------------------- snake

SNAKE_SIDE = """
....33332.....
..33222222....
.3222222222...
.2222222222...
..11111222....
.......222....
......6222....
.....66222....
.....7622.....
..3330000332..
.333222222222.
33222222222221
20000000000001
.333222222211.
"""
SNAKE_COBRA = """
.....3322.....
....332222....
....322222....
..3332222332..
.333222222222.
33226666662221
32276666665221
32226666662211
.322266662221.
..3322662221..
.300026620002.
33222000022221
20000000000001
.333222222211.
"""
SNAKE_TAILS = ("..\n.2\n.2\n22", "76\n67\n76\n22", "..\n.7\n76\n22")  # tip, rattle, sting
SNAKE_PATTERNS = {
    "none": "",
    "checks": "..QQ..QQ..QQ..\n..QQ..QQ..QQ..\n..............\n...QQ..QQ..QQ.",
    "scales": "..Q.Q.Q.Q.Q...\n.Q.Q.Q.Q.Q.Q..\n..............\n...Q.Q.Q.Q....",
    "stripes": "..............\n.QQQQQQQQQQQQ.\n..............\n...QQQQQQQQ...",
}
SNAKE_HATS = {"none": "", "horns": "o..o\nnn.n", "crown": "i.i\nhhg", "crest": "Z.Z.\nYYYX"}
SNAKE_MOUTHS = ("....kkkkk\nqqqq\nq", ".q..kkkk\nqqqq", "...kwkwk\n..qq\nqq")


def snake(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A coiled serpent with a raised head, or a cobra that spreads its hood."""
    hat, pattern, cobra = rng.choice(list(SNAKE_HATS)), rng.choice(list(SNAKE_PATTERNS)), rng.random() < 0.4
    body = pick_clear(rng, SCALES, *material(hat))
    belly, mark = (pick_clear(rng, f"{SCALES} cream", body) for _ in range(2))
    worn = paint(rng, hat, SCALES, body)
    ink = key(body, belly, mark, worn) | {"e": rng.choice(GLOWS)}
    canvas.stamp(SNAKE_COBRA if cobra else SNAKE_SIDE, 1, 1, ink)
    if not cobra:
        canvas.stamp(rng.choice(SNAKE_TAILS), 13, 7, ink)
    clip(canvas, SNAKE_PATTERNS[pattern], 1, 11, ink)
    canvas.stamp(SNAKE_HATS[hat], 6, 1, ink)
    canvas.outline()
    if cobra:
        canvas.stamp("ke..ek\n......\n.wkkw.\n..qq..", 5, 3, ink)
    else:
        canvas.stamp("kke", 4, 3, ink)
        canvas.stamp(rng.choice(SNAKE_MOUTHS), 0, 4, ink)
    return record(
        body,
        second_color=belly,
        hat=hat,
        hat_color=worn,
        pattern=pattern,
        pattern_color=mark,
        facing="front" if cobra else turn(canvas, rng),
        pose="rearing" if cobra else "coiled",
    )


# ------------------------------------------------------------------------------------------------------------- eye

EYE_LIMBS = {  # art of the left side, x, y; centre and radius of the ball
    "stalked": ("...77..\n...76..\n....2..\n77..22.\n76...2.\n.22..22\n..22.22", 1, 1, 9, 5.2),
    "tentacled": (".2.....\n22.2...\n2..22..\n22..2..\n.2.22..\n22.2...", 2, 9, 6, 5.2),
    "winged": ("4.....\n64....\n66....\n766.4.\n766444\n766666\n.76666\n..7666\n...6.6", 1, 2, 8, 4.6),
    "spiky": ("7......\n.7..7..\n..66.7.\n...6666\n.......\n776....\n.......\n..66...\n.7.....", 1, 1, 7.5, 5.2),
}
EYE_WHITES = (
    "..wwww..\n.wwwwww.\nwwwwwwww\nwwwwwwww\n.wwwwww.",
    "00000000\n.wwwwww.\nwwwwwwww\n.wwwwww.\n..wwww..",
)
EYE_IRISES = (".76.\n6kk5\n6kk5\n.55.", ".66.\n6kw6\n6kk6\n.55.", ".66.\n.kk.\n.kk.\n.66.")
EYE_MOUTHS = ("kkkkkk\n.w..w.", "w.kk.w", "kwkwkw", "......")


def eye(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A floating eyeball with tentacles, eye stalks, spikes or wings; its iris has the colour of these."""
    body = pick(rng, SCALES)
    second = pick_clear(rng, VIVID, body)
    ink = key(body, second)
    form = rng.choice(list(EYE_LIMBS))
    art, x, y, centre, radius = EYE_LIMBS[form]
    pair(canvas, art, x, y, ink)
    canvas.ellipse(7.5, centre, radius, radius, body)
    canvas.outline()
    top = int(centre) - 3
    clip(canvas, rng.choice(EYE_WHITES), 4, top, ink)
    gaze = rng.choice((-1, 0, 1))
    canvas.stamp(rng.choice(EYE_IRISES), 6 + 2 * gaze, top + 1, ink)
    canvas.stamp(rng.choice(EYE_MOUTHS), 5, top + 6, ink)
    return record(body, second_color=second, facing=("left", "front", "right")[gaze + 1], pose=form)


# ------------------------------------------------------------------------------------------------------------ wolf

WOLF_BODY = """
...3..3.......
...33.33......
..3322323.....
.332222222....
3322222222.33.
22222222123322
kwkwk222132222
.1116661222221
....7666222221
....6661112221
...122....1222
...122.....122
..3122....1221
..333.....333.
"""
WOLF_TAILS = (".33\n332\n322\n22.\n22.", "33.\n332\n.32\n.22\n22.", "...\n..3\n.32\n322\n22.")
BURNING_TAIL = ".rs\nrss\nqrs\n.qr\n.q."
WOLF_BACKS = {  # art and its top row
    "none": ("", 0),
    "mane": ("...Q.Q\n..QQQQQ\n.QRRQQQ\n.QRQQQQ\n.QQQQQP\n..QQQP\n...QP", 3),
    "flames": (".....q\n...q.rq\n..rsrsr.\n.rrssrrq\n..qrrr", 1),
    "spikes": ("....o.o\n...on.on\n..222222", 3),
    "collar": ("...RQ\n...QQ\n..QQQ\n..QQ\n..QP", 4),
}

WOLVES = "black grey white brown ginger red blue indigo purple steel night bone"


def wolf(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A snarling wolf or hell hound, seen from the side."""
    back = rng.choice(list(WOLF_BACKS))
    body = pick_clear(rng, WOLVES, *material(back))
    chest = pick_clear(rng, "black grey white brown bone orange red cream", body)
    color = paint(rng, back, VIVID if back == "collar" else "black grey white brown bone orange red blue", body, chest)
    ink = key(body, chest, color)
    canvas.stamp(BURNING_TAIL if back == "flames" else rng.choice(WOLF_TAILS), 11, 1, ink)
    canvas.stamp(WOLF_BODY, 1, 1, ink)
    art, y = WOLF_BACKS[back]
    canvas.stamp(art, 6, y, ink)
    canvas.outline()
    canvas.stamp("ek", 4, 4, ink | {"e": rng.choice(GLOWS)})
    return record(body, second_color=chest, pattern=back, pattern_color=color, facing=turn(canvas, rng))


# ----------------------------------------------------------------------------------------------------------- golem

GOLEM_BODY = """
....333322....
....322221....
.33.322221.33.
33220111103322
32223333223221
22113266212211
.000226621000.
332.122211.332
32210111103221
32213200323221
22113210322111
.11.321032111.
...3221.3221..
"""
GOLEM_EXTRAS = {  # art, y
    "none": ("", 1),
    "moss": ("....jJjj......\n....j..j......\n.JJ.......jJ..\nJjjj.....Jjjjj\n.j.j......j.j.", 1),
    "spikes": (".o..........o.\n.oo........nn.\n.no........nm.", 2),
    "cracks": (
        "..Q...........\n..QQ.......Q..\n...Q......QQ..\n..........Q...\n.Q............\n.QQ.........Q.\n..Q........QQ.\n...........Q..",
        5,
    ),
    "crystals": (".R..........R.\n.QR........RQ.\n.QQ........QQ.\n..Q........Q..", 1),
    "rune": (".R..........R.\n.RR........RR.\n..............\n..............\n.R..........R.\n.RR........RR.", 5),
}


def golem(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A heavy creature of stone blocks with huge fists and a glowing core."""
    extra = rng.choice(list(GOLEM_EXTRAS))
    body = pick_clear(rng, "grey steel bronze white teal sky night purple red bone leaf crust", *material(extra))
    core = pick_clear(rng, VIVID, body)
    color = paint(rng, extra, VIVID, body)
    ink = key(body, core, color)
    canvas.stamp(GOLEM_BODY, 1, 1, ink)
    art, y = GOLEM_EXTRAS[extra]
    canvas.stamp(art, 1, y, ink)
    canvas.outline()
    canvas.stamp(rng.choice(("kkkk\n7kk7", "7kk7\nkkkk", "kkkk\nk77k", "7..7\nk..k", "kkkk\n7.k7")), 6, 2, ink)
    return record(body, second_color=core, pattern=extra, pattern_color=color, facing="front")


# ------------------------------------------------------------------------------------------------------------- imp

IMP_BODY = """
.....333322.....
....33222222....
....32222222....
....22222221....
....02222210....
.....000000.....
....33222221....
...322666612....
...20766650.2...
....0222210.....
.....22.21......
....332.321.....
"""
IMP_HORNS = ("oo.\n.no\n.nn", "o..\nno.\n.nn", ".oo\nno.\nnnn", "o.o\nnon\n.nn")
IMP_WINGS = ("4...\n64..\n7644\n7666\n6.66", ".44.\n4666\n7666\n6.66\n6..6", "4.4.\n6464\n7666\n.766\n..66")
IMP_ITEMS = {
    "none": "",
    "trident": "z.z\nz.z\nzyy\n.y.\n.u.\n.u.\n.u.\n.u.\n.u.\n.t.",
    "fireball": ".q.\nqr.\nrsr\nsws\nrsr",
    "bomb": "..s\n.u.\nkkk\nwkk\nkkk",
    "torch": ".q.\nrsr\nqsr\n.v.\n.u.\n.u.\n.u.\n.t.",
}

IMP_FACES = (
    "e....e\nee..ee\n......\nkwkkwk",
    "k....k\nek..ke\n......\nwkwwkw",
    "ek..ke\nee..ee\n.kkkk.\n.wddw.",
)
IMPS = "red orange magenta purple indigo blue teal green grey black"


def imp(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A little horned devil with wings and a barbed tail."""
    body = pick(rng, IMPS)
    wings = pick_clear(rng, f"{VIVID} black", body)
    ink = key(body, wings) | {"e": rng.choice(GLOWS)}
    item = rng.choice(list(IMP_ITEMS))
    pair(canvas, rng.choice(IMP_WINGS), 1, 5, ink)
    canvas.stamp("..2\n.222\n..2\n.22\n22", 11, 10, ink)
    canvas.stamp(IMP_BODY, 0, 3, ink)
    pair(canvas, rng.choice(IMP_HORNS), 3, 1, ink)
    if item != "none":
        art = IMP_ITEMS[item]
        canvas.stamp(art, 1, 14 - art.count("\n"), ink)
        canvas.stamp("22", 2, 11, ink)
    canvas.outline()
    canvas.stamp(rng.choice(IMP_FACES), 5, 4, ink)
    if coin(rng):  # the other hand
        canvas.flip()
    return record(
        body,
        second_color=wings,
        hat="horns",
        hat_color="bone",
        item=item,
        item_color=MADE_OF.get(item),
        facing="front",
    )


# ------------------------------------------------------------------------------------------------------- toadstool

CAPS = {
    "round": """
....333222....
..3333222222..
.333322222222.
33332222222221
33222222222221
32222222222211
.211111111111.
""",
    "pointed": """
......332.....
.....33222....
....3332222...
...333222222..
..33322222222.
.3332222222221
33222222221111
""",
    "flat": """
....333322....
..3333222222..
33333222222222
33322222222221
22222222222211
22111111111111
.1.1..1..1.1..
""",
}
SPOTS = {
    "spots": ".\n....77....\n....76..66\n.76.....66\n.66..66...\n.....66..",
    "patches": ".\n...776...\n...766..66\n6..666..66\n66......66\n6...66....",
    "rings": ".\n...666\n..6...6\n..6...6..66\n...666..6\n.6......6",
    "none": "",
}

SHROOM_BODIES = (
    "..cbbbba\n..cbbbba..\n.ccbbbbba.\ncccbbbbbaa\nb.bbbbba.a\n..abbbaa\n.cba.cba",
    "..cbbbba\n..cbbbba.a\nc.ccbbbbba\ncccbbbbba.\n..bbbbba..\n..abbbaa\n..cb.cba",
    "..cbbbba\n..cbbbba..\n..ccbbbba.\n.ccbbbbbaa\n.cbbbbbbaa\n.abbbbbba.\n..aaaaaa.",
)
SHROOM_FACES = (
    "k..k\nk..k\n....\n.kk.",
    "k..k\nwk.w\n....\nkkkk",
    "k..k\nk..k\n.kk.\nkddk",
    "kk.k\n.kk.\n....\nkwwk",
    "....\nk..k\n....\n.pp.",
)


def toadstool(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A walking mushroom with a sullen face on its stalk."""
    body, stalk = pick(rng, f"{VIVID} brown"), pick(rng, "cream bone white grey")
    spot = pick_clear(rng, f"{VIVID} white cream", body)
    ink = key(body, spot) | tones("abc", stalk)
    cap, spots = rng.choice(list(CAPS)), rng.choice(list(SPOTS))
    canvas.stamp(rng.choice(SHROOM_BODIES), 3, 8, ink)
    canvas.stamp(CAPS[cap], 1, 1, ink)
    clip(canvas, SPOTS[spots], 3, 1, ink)
    canvas.outline()
    canvas.stamp(rng.choice(SHROOM_FACES), 6, 8, ink)
    return record(body, second_color=stalk, pattern=spots, pattern_color=spot, facing="front")


# ----------------------------------------------------------------------------------------------------------- plant

PLANT_HEADS = (
    """
...33332...
.333222222.
33322222222
wwwww222222
kwkwkww2222
dddddkw2221
kwkwkww2221
wwwww22221.
.222222211.
""",
    """
...33332...
.333222222.
33322222222
33222222222
wwwwwww2222
kwkwkwkw221
wkwkwkww221
wwwwww2221.
.222222211.
""",
    """
..3332.....
3333222222.
wwwww222222
kwkwkww2222
dddkkkw2222
dddddkw2221
kwkwkww2221
wwwww22221.
.222222211.
""",
)
PLANT_BASES = {
    "leafy": ".....cba....\ncc...cba..bb\n.ccb.cba.bba\n..bbbcbabba.\n...bbcbaba..",
    "potted": ".....cba....\n.cb..cba.bb.\n...ihhhhhg..\n....hhhhg...\n....ihhhg...",
    "thorny": "...c.cba....\n....bcba.b..\n.....cbab...\n...c.cba.bb.\n..bbbcbabba.",
    "rooted": ".....cba....\n.....cba....\n...bbcbab...\n.cbb.cb.bba.\ncb..cb.b..ba",
}
PLANT_SPOTS = (
    "....QQ.....\n....QQ.QQ..\n.......QQ..\n...........\n........QQ.\n........QQ.",
    "....Q......\n...QQQ..Q..\n....Q..QQQ.\n........Q..\n...........\n........QQ.",
)
PLANT_TOPS = {
    "none": ("",),
    "bud": ("....ZY\n...YZZY\n....YYY", "........ZZ.\n.......ZYYY\n........YYY\n..........Y"),
    "thorns": ("....n..n\n....nnnn",),
}


def plant(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A carnivorous plant: a toothed bud on a stem."""
    top, spotted = rng.choice(list(PLANT_TOPS)), coin(rng)
    body = pick(rng, "red orange yellow sky blue indigo purple magenta pink")
    leaves, bud = pick(rng, "leaf green lime teal"), paint(rng, top, VIVID, body)
    spots = pick_clear(rng, f"{VIVID} white", body)
    ink = key(body, leaves, spots, bud) | tones("abc", leaves)
    base = rng.choice(list(PLANT_BASES))
    canvas.stamp(PLANT_BASES[base], 2, 10, ink)
    canvas.stamp(rng.choice(PLANT_HEADS), 2, 2, ink)
    clip(canvas, rng.choice(PLANT_SPOTS) if spotted else "", 3, 2, ink)
    canvas.stamp(rng.choice(PLANT_TOPS[top]), 3, 1, ink)
    canvas.outline()
    return record(
        body,
        second_color=leaves,
        hat=top,
        hat_color=bud,
        pattern="spots" if spotted else "none",
        pattern_color=spots,
        facing=turn(canvas, rng),
        pose=base,
    )


# ----------------------------------------------------------------------------------------------------------- skull

SKULL = """
..333322..
.33322222.
3332222222
3322222222
3222222221
3222222221
.22222221.
..2221221.
..222221..
..2.2.21..
"""
SKULL_AURAS = {
    "flames": """
......6.......
..6..66...6...
..6..676..66..
.66.6776.676..
.676777767776.
66777777777766
67777777777776
67777777777776
67777777777776
66777777777766
.6677777777766
..66777777766.
...666777666..
.....666......
""",
    "bones": """
..............
..............
..............
..............
..............
..............
..............
o............o
oon........noo
nnnn......nnnn
...onn..nnn...
....nnnnnn....
nnnon....nnnnn
oon........nnm
""",
}

SKULL_WINGS = (
    "5....\n65...\n766..\n7666.\n76666\n76666\n6.666\n6..66",
    "..55.\n.5666\n56666\n76666\n76666\n6.6.6\n6...6",
)
SKULL_FACES = (
    "kk..kk\nke..ek\nkk..kk\n..kk..\n......\nk.kk.k",
    "k....k\nkk..kk\nek..ke\n..kk..",
    "kkk.kk\nkek.ke\nkkk.kk\n...k..",
)


def skull(canvas: Canvas, rng: Random) -> dict[str, str]:
    """A floating skull with ghostly fire, bat wings or crossed bones."""
    hat, aura = rng.choice(("none", "horns", "crown", "candle")), rng.choice(("flames", "wings", "bones"))
    body = pick_clear(rng, "bone white grey cream steel gold", *(material(hat) if hat == "crown" else ()))
    glow = RAMPS["bone"] if aura == "bones" else pick_clear(rng, VIVID, body, *material(hat))
    worn = paint(rng, hat, VIVID, body, glow)
    ink = key(body, glow, hat=worn) | {"e": rng.choice(GLOWS)}
    if aura == "wings":
        pair(canvas, rng.choice(SKULL_WINGS), 1, 4, ink)
    else:
        canvas.stamp(SKULL_AURAS[aura], 1, 1, ink)
    canvas.stamp(SKULL, 3, 4, ink)
    if hat == "horns":
        pair(canvas, "o..\nno.\n.nn", 2, 2, ink)
    if hat == "crown":
        canvas.stamp("i..ii..h\nhi.hh.ig\nhhhqqhhg", 4, 2, ink)
    if hat == "candle":
        canvas.stamp(GHOST_HATS["candle"][0], 6, 1, ink)
    canvas.outline()
    canvas.stamp(rng.choice(SKULL_FACES), 5, 7, ink)
    return record(
        body,
        second_color=glow if aura == "wings" else None,
        hat=hat,
        hat_color=worn,
        pattern="none" if aura == "wings" else aura,
        pattern_color=glow,
        facing="front",
        pose="winged" if aura == "wings" else "none",
    )


KINDS = {
    "slime": slime,
    "bat": bat,
    "ghost": ghost,
    "dragon": dragon,
    "orc": orc,
    "spider": spider,
    "snake": snake,
    "eye": eye,
    "wolf": wolf,
    "golem": golem,
    "imp": imp,
    "toadstool": toadstool,
    "plant": plant,
    "skull": skull,
}
