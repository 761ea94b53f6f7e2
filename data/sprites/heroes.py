"""Chibi heroes of a role-playing game: FRONT (standing, seen from the front) and SIDE (walking, seen in profile).

Every kind is one function `kind(canvas, rng, side)`; `side` is 0 or 1 and also picks the half of each (front, side)
pair of ASCII art. Letters name a ramp's tones in the order line, shade, base, light (see CHARS), so any part can be
worn in any colour. A figure is built from outlined layers: what is behind it, its body, its head, what it holds.
Profiles are drawn facing right and mirrored half of the time.
"""

from __future__ import annotations

from functools import partial
from random import Random

import numpy as np
from canvas import BLACK, BRIGHTS, CLOTHS, HAIRS, RAMPS, SKINS, WHITE, Canvas, Ramp, tones

CHARS = {
    "skin": "0123",
    "hair": "4567",
    "cloth": "abcd",
    "trim": "efgh",
    "legs": "ijkl",
    "boots": "mnop",
    "sleeve": "PQRS",
    "metal": "wxyz",
    "armour": "WXYZ",
    "wood": "stuv",
    "gold": "ABCD",
    "leaf": "IJKL",
    "bone": "TUVF",
}
Part = tuple[str, int, int]  # art and the place of its top left corner
Pair = tuple[str, str]  # front and side art of one thing
Key = dict[str, int]


def ramps(names: str) -> list[Ramp]:
    """Ramps by name, the names separated by commas."""
    return [RAMPS[name.strip()] for name in names.split(",")]


LEGS = ramps("brown, black, grey, white, indigo, wood, bone, green")
BOOTS = ramps("brown, black, chocolate, wood, grey, red")
EARTHS = ramps("brown, green, leaf, teal, wood, grey, ginger, blue, lime, red, purple, indigo")
NATURAL = ramps("black, grey, white, brown, ginger, blond, red")
DARKS = ramps("black, night, indigo, purple, red, blue, green, teal, grey, brown")
ARMOURS = ramps("steel, steel, gold, bronze, grey, black")
STEELS = ramps("steel, steel, grey")

# Skin or cloth → colours of hair (and, beside skin, of cloth) that would melt into it.
LIKE = {
    "peach": {"ginger"},
    "tan": {"brown", "wood", "ginger", "blond"},
    "brown skin": {"brown", "wood", "ginger"},
    "dark skin": {"brown", "wood"},
    "yellow": {"blond"},
    "orange": {"ginger", "red"},
    "night": {"black"},
    "wood": {"brown"},
}


def look(rng: Random, **choices: list[Ramp]) -> dict[str, Ramp]:
    """One ramp for each entry of CHARS, from `choices` or the usual group; trim always differs from cloth."""
    groups = {"skin": SKINS, "hair": HAIRS, "cloth": CLOTHS, "trim": BRIGHTS, "legs": LEGS, "boots": BOOTS}
    groups |= {"metal": STEELS, "wood": ramps("bronze, crust")} | {n: [RAMPS[n]] for n in ("gold", "leaf", "bone")}
    groups |= choices
    ramp = {part: rng.choice(group) for part, group in groups.items()}
    while ramp["cloth"].name in LIKE.get(ramp["skin"].name, ()):
        ramp["cloth"] = rng.choice(groups["cloth"])
    near = {ramp["cloth"].name}.union(*(LIKE.get(ramp[part].name, ()) for part in ("skin", "cloth")))
    while ramp["hair"].name in near:
        ramp["hair"] = rng.choice(groups["hair"])
    while ramp["trim"] is ramp["cloth"]:
        ramp["trim"] = rng.choice(groups["trim"])
    return {"sleeve": ramp["cloth"], "armour": ramp["metal"]} | ramp


def layer(canvas: Canvas, key: Key, *parts: Part) -> None:
    """Paint the parts as one shape with its own outline over what is already there."""
    new = Canvas()
    for art, x, y in parts:
        new.stamp(art, x, y, key)
    new.outline()
    canvas.pixels = np.where(new.pixels > 0, new.pixels, canvas.pixels)


def centre(canvas: Canvas) -> None:
    """Move the drawn part to the middle of the canvas, left to right."""
    columns = np.flatnonzero(canvas.pixels.any(0))
    canvas.shift((16 - 1 - columns[0] - columns[-1]) // 2, 0)


# -------------------------------------------------------------- heads: the face has 4 rows from y = 4, hair goes above
FACE = (
    """
23333322
23E33E21
22E22E21
.122221.
""",
    """
22223333.
212233E3.
211222E32
.1122221.
""",
)

HAIR = {
    "short": (
        """
....6776....
...677666...
..67766665..
..66656655..
..6......5..
""",
        """
.....6776...
....6777666.
...67776666.
...6666655..
...6665.....
...566......
....55......
""",
    ),
    "spiky": (
        """
...7..7.6...
..67767666..
.6777666665.
..66656655..
.65......55.
""",
        """
...7.77.6...
....6777666.
..667776666.
...66666.5..
..566665....
...5566.....
....5.......
""",
    ),
    "long": (
        """
....6776....
...677666...
..67766665..
..66655665..
..65....55..
.665....555.
.665....555.
..65....55..
............
""",
        """
.....6776...
....6777666.
...67776666.
...7766655..
...67665....
..667665....
..66665.....
..5665......
...55.......
""",
    ),
    "bob": (
        """
....6776....
...677766...
..67766665..
.6666666665.
.66......55.
.65......55.
..5......5..
""",
        """
.....6776...
....6777666.
...67776666.
..677666666.
..667665....
..666665....
..55655.....
""",
    ),
    "ponytail": (
        """
....6776.66.
...67766665.
..677666655.
..666555655.
..6......55.
..........5.
""",
        """
..66.6776...
.6676777666.
.56.6776666.
.66.666655..
.65.665.....
.55.55......
.5..........
""",
    ),
    "buns": (
        """
.66.6776.66.
.6767766665.
..67766665..
..66656655..
..6......5..
""",
        """
..66.6776...
.66767776...
.5667776666.
...6666655..
...6665.....
...566......
""",
    ),
    "curly": (
        """
...67.76.6..
..767667665.
.6767676655.
.6665656565.
..6......5..
.6........5.
""",
        """
....67.76...
...76767666.
..676767665.
..66766656..
..6767665...
..56665.....
...5.5......
""",
    ),
    "fringe": (
        """
....6776....
...677666...
..67776665..
..67766655..
..666....5..
..65.....5..
""",
        """
.....6776...
....6777666.
...67777666.
...66776666.
...66656.5..
...5665.....
....55......
""",
    ),
}

BEARD = {  # from y = 5
    "full": (
        """
..6......5..
..66....55..
...667655...
....6655....
""",
        """
............
.....6......
.....566667.
......56666.
""",
    ),
    "long": (
        """
..6......5..
..66....55..
...677665...
...677665...
....6765....
.....65.....
""",
        """
............
.....6......
.....56667..
......566676
.......56676
........567.
.........6..
""",
    ),
    "moustache": (
        """
............
............
...67.765...
""",
        """
............
............
........667.
""",
    ),
}


# ------------------------------------------------------------------------------------------ bodies, 6 rows from y = 9
STANDING = """
..kk..kj..
..oo..on..
"""
WALKING = (
    """
.jj..kk...
nn....oop.
""",
    """
..jkk.....
..nooo....
""",
    """
nnj.kk....
n...ooo...
""",
)

TORSO = {  # (front, side) at x = 3, four rows; legs follow
    "tunic": (
        """
.SSdccbRQ.
.SaddcbaQ.
.RadccbaQ.
.2agffea1.
""",
        """
..dccb....
.ddcccb...
.dcccbb...
.gffffe...
""",
    ),
    "vest": (
        """
.SSdggbRQ.
.SadgfbaQ.
.RadgfbaQ.
.2anmmna1.
""",
        """
..dccg....
.ddcccg...
.dcccbf...
.nnnnnm...
""",
    ),
    "strap": (
        """
.SSdccbRQ.
.SatdcbaQ.
.RacttbaQ.
.2ajjiia1.
""",
        """
..tccb....
.dttccb...
.dccttb...
.jjjjji...
""",
    ),
    "armour": (
        """
.ZZdccbYX.
.ZWddcbWX.
.YWdgfbWX.
.XWgffeWX.
""",
        """
..Yccb....
.Zdccbb...
.Ydccbb...
.gffffe...
""",
    ),
    "plate": (
        """
.ZZYZZYYX.
.ZWZZYXWX.
.YWYYXXWX.
.XWgffeWX.
""",
        """
..ZZYX....
.ZZYYXX...
.ZYYYXX...
.gffffe...
""",
    ),
    "bare": (
        """
.33223221.
.30322101.
.20222101.
.gfccccfe.
""",
        """
..3322....
.33222....
.322221...
.cccccb...
""",
    ),
    "furs": (
        """
.33cd3221.
.30dcc201.
.20ccbb01.
.gfnnnnfe.
""",
        """
..dc32....
.dccc2....
.cccbb1...
.nnnnnm...
""",
    ),
    "apron": (
        """
.SSgddfRQ.
.SahggfaQ.
.RahggfaQ.
.2ahgffa1.
""",
        """
..dcgg....
.ddchgg...
.dcchgg...
.bbbhgf...
""",
    ),
    "coat": (
        """
.ddOOOObb.
.dcaffacb.
.dcaOOacb.
.2cammaa1.
""",
        """
..dccO....
.ddcccf...
.dcccbO...
.cccbbm...
""",
    ),
    "gi": (
        """
.SSdeccRQ.
.SaddebaQ.
.RadcebaQ.
.2agffea1.
""",
        """
..dcce....
.ddccbe...
.dcccbb...
.gffffe...
""",
    ),
}

GOWN = {  # (front, tuple of walking sides) at x = 3, six rows to the ground
    "robe": (
        """
.SSdggbRQ.
.SaddcbaQ.
.RacccbaQ.
.2agffea1.
..dccccb..
.dccccbbb.
""",
        (
            """
..dccb....
.ddcccb...
.dcccbb...
.gffffe...
.dccccbb..
dcccbbbbo.
""",
            """
..dccb....
.ddcccb...
.dcccbb...
.gffffe...
.dcccbb...
.dcccbboo.
""",
        ),
    ),
    "panel": (
        """
.SSdhgbRQ.
.SadhgbaQ.
.RachgbaQ.
.2achgba1.
..dchgbb..
.ddchgbbb.
""",
        (
            """
..dccg....
.ddcchg...
.dcccbg...
.dcccbg...
.dccccbg..
dcccbbbgo.
""",
            """
..dccg....
.ddcchg...
.dcccbg...
.dcccbg...
.dcccbg...
.dcccbgoo.
""",
        ),
    ),
    "dress": (
        """
..SdggbQ..
.R1dccb1Q.
.20affa01.
..ddccbb..
.dddccbbb.
.hgghggfg.
""",
        (
            """
..dcgg....
.ddccb....
..gffe....
.dcccbb...
ddcccbbb..
hghgghgf..
""",
            """
..dcgg....
.ddccb....
..gffe....
.ddccbb...
dddccbbb..
.ghgghgfo.
""",
        ),
    ),
    "layers": (
        """
..SdccbQ..
.R1dccb1Q.
.20gffe01.
..dcggbb..
.dcghhgbb.
ddcghhgbbb
""",
        (
            """
..dccb....
.ddccb....
..gffe....
.dccbgg...
dccbbhgg..
dccbbhggg.
""",
            """
..dccb....
.ddccb....
..gffe....
.dcbggb...
dccbhggb..
.ccbhgggo.
""",
        ),
    ),
}

SWINGING = (  # the near arm of a profile, at x = 5, y = 10: one for each walking pose
    """
.SR.
SR..
22..
""",
    """
.SR..
.SRR.
...22
""",
    """
.SR.
.RR.
.22.
""",
)
HOLDING = """
.SR.....
.SRRQ...
....R22.
"""

CAPE = (
    """
.gg....ff.
ggg....fff
gg......ff
gf......fe
gf......fe
.f......e.
""",
    (
        """
...gg
..ggf
.hggf
hggff
ggff.
gff..
""",
        """
...gg
..hgf
..hgf
.hggf
.hgff
.ggff
""",
    ),
)

# ------------------------------------------------------------------- things held: art and place, the grip at (13, 12)
HELD = {
    "sword": ("z.\nzy\nzy\nzy\nzy\nzx\nzx\nyx\nCB\nst", 13, 3),
    "short sword": ("z.\nzy\nzy\nzy\nyx\nCB\nst", 13, 6),
    "spear": (".z.\nzzy\nyzx\n.x.\n.v.\n.u.\n.u.\n.t.\n.v.\n.u.\n.u.\n.u.\n.t.", 12, 2),
    "mace": (".z.\nzzy\nzyx\n.x.\n.v.\n.u.\n.u.\n.t.\n.u.\n.t.", 12, 4),
    "axe": ("z..y\nzyvy\nzyuy\nzyux\ny.ux\n..v.\n..u.\n..u.\n..t.\n..u.\n..u.\n..u.\n..t.", 11, 2),
    "hammer": ("zzyy\nzyyx\nyyxx\n..v.\n..u.\n..u.\n..t.\n..u.\n..u.\n..u.\n..t.", 11, 3),
    "club": ("vu.\nvuu\nvut\nuut\nvt.\nut.\nt..\nu..\nt..", 12, 5),
    "dagger": ("z.\nzy\nzx\nCB\nst", 13, 8),
    "katana": (".z\n.z\nzy\nzy\nzy\nzx\nyx\nCB\nst\nt.", 13, 4),
    "shuriken": ("z.y\n.w.\ny.x", 12, 10),
    "orb staff": (".hg\nhOg\nggf\n.v.\n.u.\n.u.\n.t.\n.v.\n.u.\n.u.\n.u.\n.u.\n.t.", 12, 2),
    "crook": (".vv\n..u\n.uu\n.v.\n.u.\n.u.\n.t.\n.v.\n.u.\n.u.\n.u.\n.u.\n.t.", 12, 2),
    "moon staff": ("DC.\n..B\n.CB\nDB.\n.v.\n.u.\n.t.\n.v.\n.u.\n.u.\n.u.\n.u.\n.t.", 12, 2),
    "wand": ("hg\ngf\nv.\nu.\nt.", 13, 8),
    "book": ("hggV\ngDgU\ngCfU\ngffU\nVUU.", 11, 9),
    "bow": ("v.\nOu\nOu\nOv\nOu\nOu\nOu\nOt\nt.", 13, 5),
    "crossbow": ("vzyu\nu..t\n.vu.\n.ut.\n.ut.", 11, 9),
    "arrow": (".z\nzyx\n.v\n.u\n.u\n.t\nhuf\ngtf", 12, 6),
    "sceptre": ("hg\ngf\nCB\nC.\nC.\nB.\nC.\nB.", 13, 6),
    "flower": ("hgh\ngDg\nhgf\n.K.\n.J.", 12, 8),
    "mirror": (".DC.\nDzzB\nCzyB\n.CB.\n..B.\n..A.", 11, 7),
    "fan": ("ghg\nhgf\n.g.", 12, 10),
    "cutlass": (".zy\n.zy\n.zy\nzzy\nzy.\nzx.\nCCB\nst.", 12, 6),
    "pistol": ("uzzy\nux..\nt...", 11, 11),
    "hook": (".zy\n..y\nzyx\ny..", 12, 9),
    "spyglass": ("zCCBB\n.BBAA", 10, 11),
    "pitchfork": ("z.z\nz.y\nzyx\n.x.\n.v.\n.u.\n.u.\n.t.\n.v.\n.u.\n.u.\n.u.\n.t.", 12, 2),
    "hoe": ("zyv\nz.u\n..u\n..u\n..t\n..v\n..u\n..u\n..u\n..t\n..u\n..t", 11, 3),
    "broom": ("DCB\nDCB\nCBB\n.h.\n.v.\n.u.\n.u.\n.t.\n.u.\n.u.\n.u.\n.t.", 12, 2),
    "basket": (".vu.\nv..t\nhghf\nvuvt\nvuut", 11, 10),
    "lantern": (".x.\nzyx\nCDB\nCDB\nyxx", 12, 10),
    "lyre": ("D..B\nDzwB\nDzwB\nCzwB\n.CB.\n.CB.", 11, 7),
    "none": ("", 0, 0),
}

LUTE = (
    """
......tt
.....tu.
.vv.tu..
vuutu...
vusut...
uuutt...
.ttt....
""",
    """
.....tt.
....tu..
.vvtu...
vuuut...
uustt...
.ttt....
""",
)
SHIELD = {
    "round": (".gg.\nghgf\ngCBf\nggff\n.ff.", 1, 9),
    "kite": ("hggf\nhCCf\nhCBf\nggff\n.gf.\n.gf.", 1, 8),
    "tower": ("YhgX\nYhfX\nYCBX\nYhfX\nYhfX\nYYXX", 1, 8),
    "cross": ("hOgf\nOOOO\nhOgf\ngOff\n.Of.", 1, 9),
}

# --------------------------------------------------- headwear: front art at x = 2, side art at x = 0, both from y = 1
HELMET = {
    "open": (
        """
............
....ZZYY....
...ZZYYYX...
..YZYYYYXX..
..YY....XX..
..YY....XX..
...YY..XX...
""",
        """
............
....ZZYYX...
...ZZYYYYX..
..YZYYYYXXX.
..YYYYX.....
..XYYXX.....
...XXXX.....
""",
    ),
    "great": (
        """
............
....ZZYY....
...ZZYYYX...
..YZYYYYXX..
..YWE22EWX..
..YYWYYWXX..
...YWYYWX...
""",
        """
............
....ZZYYX...
...ZZYYYYX..
..YZYYYYXXX.
..YYYYYW2E2.
..YYYYYYYXX.
...XXXXXXW..
""",
    ),
    "winged": (
        """
............
....ZZYY....
7..ZZYYYX..6
77CCCCBBBB65
.6Y..ZY..X5.
..Y..YX..X..
...Y....X...
""",
        """
............
....ZZYYX...
.7.ZZYYYYX..
.77CCCCCBBB.
.665YX...ZX.
..XYYX....X.
...XXX......
""",
    ),
}
PLUME = {
    "crest": (
        """
....776.....
....6665....
.....65.....
""",
        """
...67776....
..6666665...
.665........
.65.........
.5..........
""",
    ),
    "feather": (
        """
......776...
.....67665..
.......665..
........55..
""",
        """
..6777......
.667666.....
.65.........
.5..........
""",
    ),
    "horns": (
        """
.VF......FV.
.VV......VU.
..VV....VU..
""",
        """
.VF.....FV..
.VV.....VU..
..VV...VU...
""",
    ),
    "none": ("", ""),
}
HAT = {
    "wizard": (
        """
.....dc.....
....ddcb....
....dccb....
...hggggf...
.ddccccccbb.
""",
        """
...cd.......
...bdcc.....
....dccb....
...hggggff..
.ddcccccccb.
""",
    ),
    "bent": (
        """
.....ddcb...
....dccbbb..
....dccb..b.
...hggggf...
.ddccccccbb.
""",
        """
..cdd.......
.bbddcc.....
....dccb....
...hggggff..
.ddcccccccb.
""",
    ),
    "broad": (
        """
.....dc.....
....ddcb....
...hhgggf...
dddccccccbbb
.bb......bb.
""",
        """
.....dc.....
....ddcb....
...hhgggff..
.ddcccccccbb
.bb......bb.
""",
    ),
    "hood": (
        """
.....dc.....
....ddccb...
...ddcccbb..
..dc6665bb..
..dc....bb..
..dc....bb..
...dc..bb...
""",
        """
....dccc....
..dddcccb...
.cdddcccccb.
.bddccb6665.
.bddccb.....
..cccbb.....
...bbbb.....
""",
    ),
    "robin": (
        """
......c..hg.
....ddccgf..
...dddccbb..
..dddccccbb.
.bbbbbbbbbb.
""",
        """
.hg..c......
..gfdccb....
..gdddcccb..
..dddcccccbb
.bbbbbbbbb..
""",
    ),
    "straw": (
        """
....DDCB....
...DDCCCB...
...ggggff...
.DDCCCCCCBB.
DCCBBBBBBBBB
""",
        """
....DDCB....
....DDCCB...
...gggggf...
..DDCCCCCBB.
.DCBBBBBBBBB
""",
    ),
    "kerchief": (
        """
...hggggf...
..hhgggggf..
..hggggggf..
..gg6655ff..
.gg......ff.
..g......f..
""",
        """
....hgggg...
...hhggggf..
..hggggggff.
.hggggf6665.
.gggff......
.gff........
.f..........
""",
    ),
    "beret": (
        """
....cc..hg..
..ddccccgf..
.ddcccccbbb.
..bbbbbbbb..
""",
        """
.hg.........
..gfddcc....
.ddddccccb..
.bddcccccbb.
..bbbbbbbbb.
""",
    ),
    "tricorn": (
        """
....dccb....
..dddOOccb..
ddddOccOcccb
.dCCcOOcBBb.
...CCCCBB...
""",
        """
.....dccb...
...dddcOOb..
.dddccOccOcb
..bCCCccBBb.
....CCCCBB..
""",
    ),
    "bandana": (
        """
...hggggf...
..hhggggff..
..hgghggff..
..ggggffffg.
..........fg
""",
        """
....hgggg...
...hhggggf..
..hgghgghff.
.fggggggfff.
.gf.........
.f..........
""",
    ),
    "crown": (
        """
...C.DC.B...
...DCggCB...
...DDCCBB...
""",
        """
....C.D.C...
....DCgCB...
....DDCCB...
""",
    ),
    "tiara": (
        """
.....hg.....
....CgfC....
..DCC..CCB..
""",
        """
........D...
.......CgC..
....DCCC.BB.
""",
    ),
    "headband": (
        """
............
............
............
..hgggggff..
..........f.
""",
        """
............
............
............
..fhgggggggf
.gf.........
.f..........
""",
    ),
    "mask": (
        """
....dccb....
...ddcccb...
..ddccccbb..
..hggggggf..
..cOE..EOb..
..cddcccbb..
...dcccbb...
""",
        """
....ddcc....
...ddcccb...
..ddccccbb..
..hgggggggf.
..ccccb.OE..
..ccddcccbbb
...ccccccb..
""",
    ),
    "half mask": (
        """
............
............
............
..hggggggf..
...OE..EO...
..cddcccbb..
...dcccbb...
""",
        """
............
............
............
..hgggggggf.
........OE..
....ddcccbbb
...ccccccb..
""",
    ),
    "none": ("", ""),
}
BRIMMED = ("wizard", "bent", "broad", "robin", "straw", "tricorn")  # the head sits one row lower under these
SCARF = (
    """
..hggggf..
.gf.......
gff.......
gf........
""",
    """
.....ggggf
...gggff..
.ggggff...
..gf......
""",
)
QUIVER = ("h.gO\nghhg\n.vut\n.vut", "h.g.\nOhgO\nvut.\nvut.\n.vut\n..ut")


def pick(rng: Random, table: dict, names: str):
    """The entry of `table` under one of the names (separated by commas); a repeated name comes up more often."""
    return table[rng.choice(names.split(", "))]


def capped(rng: Random, hairs: str, hats: str) -> list[Pair]:
    """Hair with a hat on it: what would stick out above the brim is left away."""
    hair, hat = pick(rng, HAIR, hairs), rng.choice(hats.split(", "))
    rows = 3 if hat in ("beret", "kerchief", "bandana") else 4
    cut = tuple("\n".join(["."] * rows + art.strip("\n").split("\n")[rows:]) for art in hair)
    return [cut, HAT[hat]]


def figure(
    canvas: Canvas,
    rng: Random,
    side: int,
    ramp: dict[str, Ramp],
    body: str,
    head: list[Pair],
    item: str = "none",
    cape: bool = False,
    back: tuple[Part, ...] = (),
    front: tuple[Part, ...] = (),
) -> dict[str, str]:
    """Draw a hero and return its attributes.

    `body` is a name in TORSO or GOWN, `item` one in HELD. `head` is what is worn on the face, painted in turn;
    `back` and `front` are layers behind and before the body.
    """
    key = {"E": BLACK, "O": WHITE}
    for part, chars in CHARS.items():
        key |= tones(chars, ramp[part])
    pose = rng.randrange(2 if body in GOWN else 3)
    if cape:
        layer(canvas, key, (CAPE[1][pose % 2], 1, 9) if side else (CAPE[0], 3, 9))
    for part in back:
        layer(canvas, key, part)
    if body in GOWN:
        layer(canvas, key, (GOWN[body][1][pose] if side else GOWN[body][0], 3, 9))
    else:
        layer(canvas, key, (TORSO[body][side], 3, 9), (WALKING[pose] if side else STANDING, 3, 13))
    if side:
        layer(canvas, key, (SWINGING[pose] if item == "none" else HOLDING, 5, 10))
    for part in front:
        layer(canvas, key, part)
    low = any(HAT[name] in head for name in BRIMMED)
    pieces = []
    for pair in head:
        y = (5 if pair in BEARD.values() else 1) + (low and pair not in HAT.values())
        pieces.append((pair[side], 0 if side else 2, y))
    layer(canvas, key, (FACE[side], 3 if side else 4, 4 + low), *pieces)
    if item != "none":
        layer(canvas, key, HELD[item])
        canvas.dot(12, 12, key["2"])
    centre(canvas)
    facing = "front"
    if side:
        facing = rng.choice(["left", "right"])
        if facing == "left":
            canvas.flip()
    return {"color": ramp["cloth"].name, "accent": ramp["hair"].name, "item": item, "facing": facing}


def knight(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Helmet with a plume, plate armour, weapon and often a shield."""
    ramp = look(rng, armour=ARMOURS, hair=BRIGHTS, trim=ramps("gold, red, blue, white, green, purple"))
    ramp["legs"] = ramp["boots"] = ramp["sleeve"] = ramp["armour"]
    helmet, plume = rng.choice([("winged", "none"), *((h, p) for h in ("open", "great") for p in PLUME)])
    body = rng.choice(["armour", "armour", "plate"])
    weapon = rng.choice(["sword", "sword", "spear", "mace", "axe"])
    shield = ()
    if rng.random() < 0.6:
        art, x, y = pick(rng, SHIELD, "round, kite, tower, cross")
        shield = ((art, 4 if side else x, y),)
    head = [HELMET[helmet], PLUME[plume]]
    drawn = figure(canvas, rng, side, ramp, body, head, weapon, cape=rng.random() < 0.3, front=shield)
    if body == "plate":
        drawn["color"] = ramp["armour"].name
    if helmet != "winged" and plume in ("horns", "none"):
        drawn["accent"] = ramp["armour"].name
    return drawn | {"item": f"{weapon} and shield" if shield else weapon}


def wizard(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Pointed hat, robe and a staff; most are bearded."""
    ramp = look(rng, hair=[*NATURAL, RAMPS["sky"]])
    head = capped(rng, "long, short, bob, curly", "wizard, bent, broad")
    if rng.random() < 0.75:
        head.append(pick(rng, BEARD, "long, long, full"))
    item = rng.choice(["orb staff", "orb staff", "crook", "moon staff", "wand", "book"])
    return figure(canvas, rng, side, ramp, rng.choice(["robe", "panel"]), head, item)


def archer(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Hood or feathered cap, bow and quiver."""
    ramp = look(rng, cloth=EARTHS)
    head = [HAT["hood"]] if rng.random() < 0.5 else capped(rng, "short, fringe, bob, long", "robin")
    body, item = rng.choice(["strap", "tunic"]), rng.choice(["bow", "bow", "bow", "crossbow", "arrow"])
    return figure(canvas, rng, side, ramp, body, head, item, cape=rng.random() < 0.3, back=((QUIVER[side], 1, 7),))


def ninja(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Masked up to the eyes, with a scarf and a blade."""
    ramp = look(rng, cloth=DARKS)
    ramp["legs"] = ramp["cloth"]
    hooded = rng.random() < 0.5
    head = [HAT["mask"]] if hooded else [pick(rng, HAIR, "spiky, ponytail, short, curly"), HAT["half mask"]]
    scarf = ((SCARF[side], 0 if side else 3, 8),) if rng.random() < 0.5 else ()
    item = rng.choice(["dagger", "katana", "katana", "short sword", "shuriken"])
    drawn = figure(canvas, rng, side, ramp, "gi", head, item, front=scarf)
    return drawn | {"accent": ramp["trim"].name} if hooded else drawn


def barbarian(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Bare arms, furs and a heavy weapon."""
    furs = ramps("brown, wood, red, grey, green, bone, bronze, black, blue, teal")
    ramp = look(rng, cloth=furs, hair=NATURAL)
    ramp["sleeve"] = ramp["skin"]
    ramp["legs"] = rng.choice([ramp["skin"], ramp["cloth"], rng.choice(LEGS)])
    head = [pick(rng, HAIR, "long, spiky, curly, ponytail")]
    head.append(rng.choice([HAT["headband"], HAT["headband"], PLUME["horns"], HAT["none"]]))
    if rng.random() < 0.55:
        head.append(pick(rng, BEARD, "full, long, moustache"))
    item = rng.choice(["axe", "axe", "hammer", "club", "sword"])
    return figure(canvas, rng, side, ramp, rng.choice(["bare", "furs"]), head, item)


def princess(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Crown or tiara and a wide dress."""
    ramp = look(rng, cloth=BRIGHTS + ramps("white"), trim=ramps("pink, white, yellow, sky, gold, purple, red, lime"))
    ramp["sleeve"] = rng.choice([ramp["cloth"], ramp["trim"]])
    head = [pick(rng, HAIR, "long, bob, ponytail, buns, curly"), pick(rng, HAT, "crown, tiara")]
    item = rng.choice(["sceptre", "flower", "mirror", "fan", "none"])
    return figure(canvas, rng, side, ramp, rng.choice(["dress", "layers"]), head, item)


def king(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Crown, beard, cape and sceptre."""
    ramp = look(rng, hair=NATURAL, trim=ramps("red, purple, blue, green, white, indigo"))
    head = [pick(rng, HAIR, "long, short, bob, curly"), pick(rng, BEARD, "full, long, moustache"), HAT["crown"]]
    item = rng.choice(["sceptre", "sceptre", "sword", "none"])
    return figure(canvas, rng, side, ramp, rng.choice(["robe", "panel"]), head, item, cape=True)


def pirate(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Tricorn or bandana, open coat over a white shirt."""
    ramp = look(rng, cloth=DARKS, hair=NATURAL, trim=ramps("red, blue, black, teal, purple, orange"))
    head = capped(rng, "long, short, curly, ponytail", "tricorn, tricorn, bandana")
    if rng.random() < 0.5:
        head.append(pick(rng, BEARD, "full, long, moustache"))
    item = rng.choice(["cutlass", "cutlass", "hook", "pistol", "spyglass"])
    return figure(canvas, rng, side, ramp, "coat", head, item)


def bard(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Feathered cap and an instrument."""
    ramp = look(rng)
    head = capped(rng, "long, short, bob, fringe, curly", "beret, robin")
    body, cape = rng.choice(["vest", "tunic"]), rng.random() < 0.4
    if rng.random() < 0.3:
        return figure(canvas, rng, side, ramp, body, head, "lyre", cape)
    lute = ((LUTE[side], 6 if side else 5, 8),)
    return figure(canvas, rng, side, ramp, body, head, cape=cape, front=lute) | {"item": "lute"}


def villager(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Everyday clothes, a straw hat, a kerchief or just hair, and a tool."""
    ramp = look(rng)
    ramp["sleeve"] = rng.choice([ramp["cloth"], rng.choice(ramps("white, bone, cream"))])
    if rng.random() < 0.6:
        head = capped(rng, "short, long, bob, ponytail, curly, fringe", "straw, straw, kerchief")
    else:
        head = [HAIR[rng.choice(list(HAIR))]]
    if ramp["hair"] in NATURAL and rng.random() < 0.25:
        head.append(pick(rng, BEARD, "full, moustache"))
    item = rng.choice(["pitchfork", "pitchfork", "hoe", "broom", "basket", "basket", "lantern", "none"])
    return figure(canvas, rng, side, ramp, rng.choice(["apron", "tunic", "vest"]), head, item)


KINDS = [knight, wizard, archer, ninja, barbarian, princess, king, pirate, bard, villager]
FRONT = {kind.__name__: partial(kind, side=0) for kind in KINDS}
SIDE = {kind.__name__: partial(kind, side=1) for kind in KINDS}
