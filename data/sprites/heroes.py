"""Chibi heroes of a role-playing game: FRONT (standing, seen from the front) and SIDE (walking, seen in profile).

Every kind is one function `kind(canvas, rng, side)`; `side` is 0 or 1 and also picks the half of each (front, side)
pair of ASCII art. Letters name a ramp's tones in the order line, shade, base, light (see CHARS), so any part can be
worn in any colour. A figure is built from outlined layers: what is behind it, its body, its head, what it holds.
Which part each pixel belongs to is kept, so that the record names what shows, and nothing that is covered. Profiles are
drawn facing right and mirrored half of the time.
"""

from __future__ import annotations

from functools import partial
from random import Random

import numpy as np
from canvas import BLACK, BRIGHTS, CLOTHS, HAIRS, RAMPS, SKINS, WHITE, Canvas, Ramp, record, tones

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
Part = tuple[str, str, int, int]  # the column it is recorded in, art, and the place of its top left corner
Key = dict[str, int]


def ramps(names: str) -> list[Ramp]:
    """Ramps by name, the names separated by commas."""
    return [RAMPS[name.strip()] for name in names.split(",")]


LEGS = ramps("brown, black, grey, white, indigo, wood, bone, green")
BOOTS = ramps("brown, black, chocolate, wood, grey, red")
EARTHS = ramps("brown, green, leaf, teal, wood, grey, ginger, blue, lime, red, purple, indigo")
NATURAL = ramps("black, grey, white, brown, ginger, blond, red")
HOARY = 2 * ramps("grey, white") + HAIRS  # of the old, mostly
WILD = 2 * NATURAL + HAIRS
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
    """One ramp for each entry of CHARS, from `choices` or the usual group, and for what is worn over them.

    Trim, cape and shield always differ from the cloth; a hat is of the same cloth half of the time.
    """
    groups = {"skin": SKINS, "hair": HAIRS, "cloth": CLOTHS, "trim": BRIGHTS, "legs": LEGS, "boots": BOOTS}
    groups |= {"metal": STEELS, "wood": ramps("bronze, crust")} | {n: [RAMPS[n]] for n in ("gold", "leaf", "bone")}
    groups |= {"cape": CLOTHS, "shield": BRIGHTS + ramps("white, black"), "plume": BRIGHTS + ramps("white")}
    groups |= choices
    ramp = {part: rng.choice(group) for part, group in groups.items()}
    while ramp["cloth"].name in LIKE.get(ramp["skin"].name, ()):
        ramp["cloth"] = rng.choice(groups["cloth"])
    near = {ramp["cloth"].name}.union(*(LIKE.get(ramp[part].name, ()) for part in ("skin", "cloth")))
    while ramp["hair"].name in near:
        ramp["hair"] = rng.choice(groups["hair"])
    for part in ("trim", "cape", "shield"):
        while ramp[part] is ramp["cloth"]:
            ramp[part] = rng.choice(groups[part])
    hat = ramp["cloth"] if rng.random() < 0.5 else rng.choice(CLOTHS)
    while hat is ramp["trim"] or hat is ramp["hair"]:
        hat = rng.choice(CLOTHS)
    return {"sleeve": ramp["cloth"], "armour": ramp["metal"], "hat": hat} | ramp


class Figure:
    """A canvas and, for each pixel, which column's part it shows ("" for outlines and what has no column)."""

    def __init__(self, canvas: Canvas, ramp: dict[str, Ramp]) -> None:
        self.canvas, self.ramp = canvas, ramp
        self.shows = np.full(canvas.pixels.shape, "", dtype="<U8")

    def layer(self, *parts: Part) -> None:
        """Paint the parts as one shape with its own outline over what is already there."""
        new, shows = Canvas(), np.full_like(self.shows, "")
        for name, art, x, y in parts:
            piece = Canvas()
            piece.stamp(art, x, y, self.key(name))
            new.pixels = np.where(piece.pixels > 0, piece.pixels, new.pixels)
            shows = np.where(piece.pixels > 0, name, shows)
        new.outline()
        self.shows = np.where(new.pixels > 0, shows, self.shows)
        self.canvas.pixels = np.where(new.pixels > 0, new.pixels, self.canvas.pixels)

    def key(self, name: str) -> dict[str, int]:
        """The key of art: a hat has its own cloth; a cape, scarf or shield its own trim; a plume its own hair."""
        ramp = dict(self.ramp)
        own = {"hat": {"cloth": "hat"}, "cape": {"trim": "cape"}, "shield": {"trim": "shield"}}
        own["pattern"] = {"hair": "plume"}
        for part, instead in own.get(name, {}).items():
            ramp[part] = self.ramp[instead]
        key = {"E": BLACK, "O": WHITE}
        for part, chars in CHARS.items():
            key |= tones(chars, ramp[part])
        return key

    def color(self, name: str) -> Ramp | None:
        """The ramp that most of a part has, as far as it shows; None where fewer than two of its pixels do."""
        pixels = self.canvas.pixels[self.shows == name]
        counts = {ramp: int(np.isin(pixels, ramp[:4]).sum()) for ramp in RAMPS.values()}
        most = max(counts, key=counts.get)
        return most if len(pixels) >= 2 and counts[most] else None

    def shown(self, ramp: Ramp) -> Ramp | None:
        """The ramp itself if at least two pixels have it."""
        return ramp if int(np.isin(self.canvas.pixels, ramp[:4]).sum()) >= 2 else None

    def centre(self) -> None:
        """Move what is drawn to the middle of the canvas, left to right."""
        columns = np.flatnonzero(self.canvas.pixels.any(0))
        self.canvas.shift((16 - 1 - columns[0] - columns[-1]) // 2, 0)


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
    "none": ("", ""),
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
    "none": ("", ""),
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
    "bandolier": (
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
    "surcoat": (
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
    "armour": (
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
    "bare chest": (
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
    "striped robe": (
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
    "gown": (
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
..gg......ff..
.ggg......fff.
.hgg......ffe.
hgg........ffe
hgf........ffe
gf..........fe
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
    "none": ("", 0, 0),
}

# --------------------------------------------------- headwear: front art at x = 2, side art at x = 0, both from y = 1
HELMET = {
    "open helmet": (
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
    "great helmet": (
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
    "winged helmet": (
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
    "pointed hat": (
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
    "crooked hat": (
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
    "broad hat": (
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
    "feathered cap": (
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
    "straw hat": (
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
    "headscarf": (
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
    "ninja hood": (
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
    "mask": (
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
LOW_BRIMS = ("pointed hat", "crooked hat", "broad hat", "feathered cap", "straw hat", "tricorn")  # head a row lower
# Rows of hair that would stick out above the hat.
COVERED = dict.fromkeys((*LOW_BRIMS, "open helmet"), 4) | dict.fromkeys(("beret", "headscarf", "bandana"), 3)
HATS = HELMET | HAT | {"horns": PLUME["horns"]}
# The part of an outfit that its second colour is of.
SECOND = {"bandolier": "wood", "surcoat": "armour"}
POSES = ("striding", "standing", "running")  # of WALKING; a gown has the first two


def some(rng: Random, names: str) -> str:
    """One of the names (separated by commas); a repeated name comes up more often."""
    return rng.choice(names.split(", "))


def held(rng: Random, names: str) -> str:
    """What a hero holds: mostly one of the names that suit the kind, else anything."""
    return some(rng, names) if rng.random() < 0.6 else rng.choice([*HELD, "lute"])


def worn(rng: Random, names: str, chance: float) -> str:
    """One of the names with this chance, else none."""
    return some(rng, names) if rng.random() < chance else "none"


def figure(
    canvas: Canvas,
    rng: Random,
    side: int,
    ramp: dict[str, Ramp],
    outfit: str,
    hair: str = "none",
    hat: str = "none",
    beard: str = "none",
    item: str = "none",
    cape: str = "none",
    shield: str = "none",
    plume: str = "none",
) -> dict[str, str]:
    """Draw a hero and return its record: names in TORSO or GOWN, HAIR, HATS, BEARD, HELD or "lute", SHIELD, PLUME."""
    drawn = Figure(canvas, ramp)
    pose = rng.randrange(2 if outfit in GOWN else 3)
    shield = "none" if item == "lute" else shield  # both hands are on the lute

    if cape == "cape":
        drawn.layer(("cape", CAPE[1][pose % 2], 1, 9) if side else ("cape", CAPE[0], 1, 9))
    elif cape == "quiver":
        drawn.layer(("cape", QUIVER[side], 1, 7))
    if outfit in GOWN:
        drawn.layer(("outfit", GOWN[outfit][1][pose] if side else GOWN[outfit][0], 3, 9))
    else:
        drawn.layer(("outfit", TORSO[outfit][side], 3, 9), ("", WALKING[pose] if side else STANDING, 3, 13))
    if side:
        drawn.layer(("outfit", SWINGING[pose] if item in ("none", "lute") else HOLDING, 5, 10))
    if shield != "none":
        art, x, y = SHIELD[shield]
        drawn.layer(("shield", art, 4 if side else x, y))
    if cape == "scarf":
        drawn.layer(("cape", SCARF[side], 0 if side else 3, 8))
    if item == "lute":
        drawn.layer(("item", LUTE[side], 6 if side else 5, 8))

    low = hat in LOW_BRIMS
    cut = COVERED.get(hat, 0)
    hair_art = "\n".join(["."] * cut + HAIR[hair][side].strip("\n").split("\n")[cut:])
    x = 0 if side else 2
    locks, headwear = ("hair", hair_art, x, 1 + low), ("hat", HATS[hat][side], x, 1)
    drawn.layer(
        ("skin", FACE[side], 3 if side else 4, 4 + low),
        *((headwear, locks) if hat == "open helmet" else (locks, headwear)),  # hair falls out of a helmet, over it
        ("pattern", PLUME[plume][side], x, 1),
        ("beard", BEARD[beard][side], x, 5 + low),
    )
    if item not in ("none", "lute"):
        drawn.layer(("item", *HELD[item]))
        canvas.dot(12, 12, drawn.key("skin")["2"])

    row: dict[str, str | Ramp | None] = {"outfit": outfit, "skin": ramp["skin"], "hair_color": ramp["hair"]}
    for column, name in dict(
        hair=hair, beard=beard, hat=hat, cape=cape, item=item, shield=shield, pattern=plume
    ).items():
        color = drawn.color(column)
        row[column] = name if color else "none"
        if column not in ("hair", "beard"):
            row[f"{column}_color"] = color
    if hat == "hood":  # its art holds a fringe
        row["hair"] = "fringe"
    row["second_color"] = drawn.shown(ramp[SECOND.get(outfit, "trim")])
    color = drawn.shown(ramp["armour" if outfit == "armour" else "cloth"])
    drawn.centre()
    facing, pose = "front", POSES[pose] if side else "standing"
    if side:
        facing = rng.choice(["left", "right"])
        if facing == "left":
            canvas.flip()
    return record(color, **row, facing=facing, pose=pose)


def knight(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Helmet with a plume, plate armour, weapon and often a shield."""
    ramp = look(rng, armour=ARMOURS, trim=ramps("gold, red, blue, white, green, purple"))
    ramp["legs"] = ramp["boots"] = ramp["sleeve"] = ramp["armour"]
    helmet, plume = rng.choice([("winged", "none"), *((h, p) for h in ("open", "open", "great") for p in PLUME)])
    if helmet == "winged":
        ramp["hair"] = ramp["plume"]  # its wings are painted as hair
    row = figure(
        canvas,
        rng,
        side,
        ramp,
        some(rng, "surcoat, surcoat, armour"),
        hair=some(rng, "long, bob, ponytail, none") if helmet == "open" else "none",
        hat=f"{helmet} helmet",
        plume=plume,
        item=held(rng, "sword, sword, spear, mace, axe"),
        cape=worn(rng, "cape, cape, scarf", 0.3),
        shield=worn(rng, "round, kite, tower, cross", 0.6),
    )
    return row | ({"pattern": "wings", "pattern_color": ramp["plume"].name} if helmet == "winged" else {})


def wizard(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Pointed hat, robe and a staff; most are bearded."""
    return figure(
        canvas,
        rng,
        side,
        look(rng, hair=HOARY),
        some(rng, "robe, striped robe"),
        hair=some(rng, "long, short, bob, curly"),
        hat=some(rng, "pointed hat, crooked hat, broad hat"),
        beard=worn(rng, "long, long, full", 0.75),
        item=held(rng, "orb staff, orb staff, crook, moon staff, wand, book"),
        cape=worn(rng, "cape, scarf", 0.15),
    )


def archer(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Hood or feathered cap, bow and quiver."""
    hooded = rng.random() < 0.5
    return figure(
        canvas,
        rng,
        side,
        look(rng, cloth=EARTHS),
        some(rng, "bandolier, tunic"),
        hair="none" if hooded else some(rng, "short, fringe, bob, long"),
        hat="hood" if hooded else "feathered cap",
        item=held(rng, "bow, bow, bow, crossbow, arrow"),
        cape=some(rng, "quiver, quiver, cape"),
    )


def ninja(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Masked up to the eyes, with a scarf and a blade."""
    ramp = look(rng, cloth=DARKS)
    ramp["legs"] = ramp["hat"] = ramp["cloth"]
    hooded = rng.random() < 0.5
    return figure(
        canvas,
        rng,
        side,
        ramp,
        "gi",
        hair="none" if hooded else some(rng, "spiky, ponytail, short, curly"),
        hat="ninja hood" if hooded else "mask",
        item=held(rng, "dagger, katana, katana, short sword, shuriken"),
        cape=worn(rng, "scarf", 0.5),
    )


def barbarian(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Bare arms, furs and a heavy weapon."""
    ramp = look(rng, cloth=ramps("brown, wood, red, grey, green, bone, bronze, black, blue, teal"), hair=WILD)
    ramp["sleeve"] = ramp["skin"]
    ramp["legs"] = rng.choice([ramp["skin"], ramp["cloth"], rng.choice(LEGS)])
    return figure(
        canvas,
        rng,
        side,
        ramp,
        some(rng, "bare chest, furs"),
        hair=some(rng, "long, spiky, curly, ponytail"),
        hat=some(rng, "headband, headband, horns, none"),
        beard=worn(rng, "full, long, moustache", 0.55),
        item=held(rng, "axe, axe, hammer, club, sword"),
        cape=worn(rng, "cape", 0.15),
        shield=worn(rng, "round, kite", 0.25),
    )


def princess(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Crown or tiara and a wide dress."""
    trims = ramps("pink, white, yellow, sky, gold, purple, red, lime")
    ramp = look(rng, cloth=BRIGHTS + ramps("white"), trim=trims)
    ramp["sleeve"] = rng.choice([ramp["cloth"], ramp["trim"]])
    return figure(
        canvas,
        rng,
        side,
        ramp,
        some(rng, "dress, gown"),
        hair=some(rng, "long, bob, ponytail, buns, curly"),
        hat=some(rng, "crown, tiara"),
        item=held(rng, "sceptre, flower, mirror, fan, none"),
        cape=worn(rng, "cape", 0.15),
    )


def king(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Crown, beard, cape and sceptre."""
    return figure(
        canvas,
        rng,
        side,
        look(rng, hair=HOARY, trim=ramps("red, purple, blue, green, white, indigo")),
        some(rng, "robe, striped robe"),
        hair=some(rng, "long, short, bob, curly"),
        hat="crown",
        beard=some(rng, "full, long, moustache"),
        item=held(rng, "sceptre, sceptre, sword, none"),
        cape=worn(rng, "cape", 0.8),
        shield=worn(rng, "round, kite, tower, cross", 0.1),
    )


def pirate(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Tricorn or bandana, open coat over a white shirt."""
    return figure(
        canvas,
        rng,
        side,
        look(rng, cloth=DARKS, hair=WILD, trim=ramps("red, blue, black, teal, purple, orange")),
        "coat",
        hair=some(rng, "long, short, curly, ponytail"),
        hat=some(rng, "tricorn, tricorn, bandana"),
        beard=worn(rng, "full, long, moustache", 0.5),
        item=held(rng, "cutlass, cutlass, hook, pistol, spyglass"),
        cape=worn(rng, "scarf", 0.15),
    )


def bard(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Feathered cap and an instrument."""
    return figure(
        canvas,
        rng,
        side,
        look(rng),
        some(rng, "vest, tunic"),
        hair=some(rng, "long, short, bob, fringe, curly"),
        hat=some(rng, "beret, feathered cap"),
        item=held(rng, "lute, lute, lyre"),
        cape=worn(rng, "cape, cape, scarf", 0.4),
    )


def villager(canvas: Canvas, rng: Random, side: int) -> dict[str, str]:
    """Everyday clothes, a straw hat, a headscarf or just hair, and a tool."""
    ramp = look(rng)
    ramp["sleeve"] = rng.choice([ramp["cloth"], ramp["trim"]])
    hat = worn(rng, "straw hat, straw hat, headscarf", 0.6)
    return figure(
        canvas,
        rng,
        side,
        ramp,
        some(rng, "apron, tunic, vest"),
        hair=rng.choice([hair for hair in HAIR if hair != "none" and (hat == "none" or hair not in ("spiky", "buns"))]),
        hat=hat,
        beard=worn(rng, "full, moustache", 0.15),
        item=held(rng, "pitchfork, pitchfork, hoe, broom, basket, basket, lantern, none"),
        cape=worn(rng, "scarf", 0.15),
        shield=worn(rng, "round", 0.05),
    )


KINDS = [knight, wizard, archer, ninja, barbarian, princess, king, pirate, bard, villager]
FRONT = {kind.__name__: partial(kind, side=0) for kind in KINDS}
SIDE = {kind.__name__: partial(kind, side=1) for kind in KINDS}
