"""Your own pictures: each as a viewer shows it, and nothing in a folder passed over without a word."""

from __future__ import annotations

import io
import os
import shutil
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageFile

from ddpm_teach.data.folder import folder_classes, from_folder, survey
from ddpm_teach.data.images import ImageSet

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def put(path: Path, colour: tuple[int, int, int] = RED, size: tuple[int, int] = (20, 20), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path, **options)
    return path


def read(path: Path, size: int = 16) -> ImageSet:
    return from_folder(path, size, tell=None)


@pytest.fixture
def album(tmp_path):
    """Two folders of pictures of many modes and shapes; the middle of each is its colour."""
    for name, colour, count in (("cats", (250, 10, 10), 2), ("dogs", (10, 10, 250), 1)):
        for i in range(count):
            put(tmp_path / name / f"{i}.png", colour, (40 + 20 * i, 30))
    Image.new("P", (9, 9)).save(tmp_path / "dogs" / "palette.GIF")
    Image.new("RGBA", (50, 5), (10, 10, 250, 255)).save(tmp_path / "dogs" / "wide.webp", lossless=True)
    (tmp_path / "dogs" / "notes.txt").write_text("not a picture")
    return tmp_path


# --- classes --------------------------------------------------------------------------------------------------------


def test_a_folder_of_folders_is_a_data_set_with_classes(album):
    images = read(album)
    assert images.classes == ("cats", "dogs") == folder_classes(album) and images.labels.tolist() == [0, 0, 1, 1, 1]
    assert images.images.shape == (5, 3, 16, 16) and images.images.dtype == torch.uint8
    assert images.images[0, :, 8, 8].tolist() == [250, 10, 10]
    assert images.images[4, :, 8, 8].tolist() == [10, 10, 250]


def test_a_folder_without_folders_is_one_class(album):
    images = read(album / "cats", 8)
    assert images.classes == ("cats",) and len(images) == 2 and images.contexts(slice(None)).tolist() == [[1], [1]]


def test_pictures_deeper_down_belong_to_the_topmost_folder(tmp_path):
    put(tmp_path / "cats" / "2023" / "may" / "0.png", BLUE)
    put(tmp_path / "cats" / "1.png", GREEN)
    put(tmp_path / "dogs" / "0.png")
    images = read(tmp_path)
    assert images.classes == ("cats", "dogs") and images.labels.tolist() == [0, 0, 1]
    assert "3 pictures: cats 2, dogs 1" in str(survey(tmp_path))


def test_a_line_is_told_before_the_pictures_are_read(album, capsys):
    """Without it nobody sees that half of the pictures were left out."""
    from_folder(album, 8)
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and str(album) in line and "5 pictures: cats 2, dogs 3" in line
    assert "1 other file (.txt)" in line
    lines = []
    from_folder(album, 8, tell=lines.append)
    assert lines == [line.rstrip("\n")] == [str(survey(album))]
    from_folder(album, 8, tell=None)
    assert capsys.readouterr().out == ""


def test_the_line_stays_one_line_with_many_classes(tmp_path):
    for i in range(25):
        put(tmp_path / f"class{i:02}" / "a.png", size=(2, 2))
    line = str(survey(tmp_path))
    assert "class19 1 and 5 more classes of 1 to 1 each" in line and "class20" not in line


# --- what lies in a folder and isn't one of its pictures --------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["._0.png", ".hidden.jpg", ".DS_Store", "Thumbs.db", "desktop.ini", "__MACOSX/0.png", ".trash/0.png"]
)
@pytest.mark.parametrize("inside", [".", "cats", "cats/2023"])
def test_hidden_files_and_folders_are_passed_over_and_counted(tmp_path, name, inside):
    put(tmp_path / "cats" / "2023" / "0.png")
    (tmp_path / inside / name).parent.mkdir(exist_ok=True)
    (tmp_path / inside / name).write_bytes(b"\0\5\x16\7")
    assert len(read(tmp_path)) == 1 and "1 hidden file or folder" in str(survey(tmp_path))


@pytest.mark.parametrize("suffix", [".tif", ".TIFF", ".jfif", ".ppm", ".tga", ".ico", ".jp2", ".avif", ".mpo"])
def test_whatever_pillow_can_open_is_a_picture(tmp_path, suffix):
    put(tmp_path / "cats" / f"a{suffix}", size=(32, 32))
    put(tmp_path / "dogs" / "a.png")
    images = read(tmp_path)
    assert images.labels.tolist() == [0, 1] and images.images[0, 0].float().mean() > 240


@pytest.mark.parametrize("suffix", [".heic", ".HEIF", ".cr2", ".dng", ".svg", ".eps", ".jxl", ".wmf"])
def test_pictures_that_pillow_cannot_open_are_counted(tmp_path, suffix):
    put(tmp_path / "cats" / "0.png")
    (tmp_path / "cats" / f"1{suffix}").write_bytes(b"a picture of another kind")
    assert len(read(tmp_path)) == 1
    assert f"1 picture that Pillow can't open here ({suffix.lower()}): convert" in str(survey(tmp_path))


@pytest.mark.parametrize("names", [["a.heic", "b.heic"], ["notes.txt"], [".hidden.png"], ["deeper/a.mp4"], []])
def test_a_class_without_a_picture_is_named_with_what_lies_in_it(tmp_path, names):
    put(tmp_path / "dogs" / "0.png")
    (tmp_path / "cats").mkdir()
    for name in names:
        (tmp_path / "cats" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "cats" / name).write_bytes(b"0")
    what = {"a.heic": "2 pictures that Pillow", "notes.txt": "1 other file (.txt)", ".hidden.png": "1 hidden"}
    what |= {"deeper/a.mp4": "1 other file (.mp4)", "": "nothing at all"}
    for function in (read, folder_classes):
        with pytest.raises(ValueError) as refusal:
            function(tmp_path)
        assert str(tmp_path / "cats") in str(refusal.value) and what[names[0] if names else ""] in str(refusal.value)
        assert "remove" in str(refusal.value)


@pytest.mark.parametrize("inside", ["raw/0.png", "raw/deeper/0.jpg", "raw/0.heic"])
def test_loose_pictures_beside_folders_of_pictures_are_refused(tmp_path, inside):
    for i in range(4):
        put(tmp_path / f"{i}.png")
    (tmp_path / inside).parent.mkdir(parents=True)
    (tmp_path / inside).write_bytes((tmp_path / "0.png").read_bytes())
    for function in (read, folder_classes):
        with pytest.raises(ValueError, match=r"path: .*4 pictures beside folders.*\(raw\); move the loose ones"):
            function(tmp_path)


def test_folders_without_pictures_beside_loose_ones_are_told(tmp_path):
    put(tmp_path / "0.png")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("")
    assert read(tmp_path).classes == (tmp_path.name,)
    assert "1 folder without pictures (docs)" in str(survey(tmp_path))


@pytest.mark.parametrize("out", ["runs/pics", "out", "cats/out", "a/b/c", ".out/x"])
@pytest.mark.parametrize("pictures", ["0.png", "cats/0.png"])
def test_a_run_inside_the_folder_is_no_class(tmp_path, out, pictures):
    """What is trained on mustn't change because something was trained on it."""
    put(tmp_path / pictures)
    before = read(tmp_path).fingerprint()
    put(tmp_path / out / "samples.png", GREEN)
    (tmp_path / out / "run.json").write_text("{}")
    (tmp_path / out / "last.pt").write_bytes(b"0")
    assert read(tmp_path).fingerprint() == before
    assert "hidden" in str(survey(tmp_path)) if out[0] == "." else f"({out}: run.json)" in str(survey(tmp_path))


def test_a_run_itself_is_no_folder_of_pictures(tmp_path):
    put(tmp_path / "samples.png")
    (tmp_path / "run.json").write_text("{}")
    with pytest.raises(ValueError, match="path: .*a run's own output.*move your pictures"):
        read(tmp_path)


def test_links_are_followed_and_circles_end(tmp_path):
    put(tmp_path / "elsewhere" / "0.png")
    (tmp_path / "pics").mkdir()
    (tmp_path / "pics" / "cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "back").symlink_to(tmp_path / "pics")
    (tmp_path / "elsewhere" / "self").symlink_to(tmp_path / "elsewhere")
    assert len(read(tmp_path / "pics")) == 1
    (tmp_path / "elsewhere" / "1.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(ValueError, match=r"1\.png: can't be read .*a link to nothing.*restore what it points to"):
        read(tmp_path / "pics")


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_called_like_a_picture_and_is_no_file_is_passed_over_and_told(tmp_path, kind):
    """Reading a pipe that nobody writes to never ends."""
    put(tmp_path / "cats" / "0.png")
    special = tmp_path / "cats" / "1.png"
    if kind == "pipe":
        os.mkfifo(special)
    else:
        special.symlink_to("/dev/zero")
    assert len(read(tmp_path)) == 1 and "1 pipe or device (1.png)" in str(survey(tmp_path))


@pytest.fixture
def unprivileged():
    """A folder of a user to whom the system can refuse something; the test's user, if that isn't root."""
    folder, root = Path(tempfile.mkdtemp()), os.geteuid() == 0
    if root:
        os.chown(folder, 65534, -1)
        os.seteuid(65534)
    yield folder
    if root:
        os.seteuid(0)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100], ids=oct)
@pytest.mark.parametrize("name", ["cats", "cats/2023", "cats/2023/0.png", "."])
def test_what_may_not_be_read_is_named_with_a_way_out(unprivileged, name, mode):
    put(unprivileged / "cats" / "2023" / "0.png")
    put(unprivileged / "dogs" / "0.png")
    locked = unprivileged / name
    locked.chmod(mode)
    if name.endswith("png") and mode == 0o400:
        assert len(read(unprivileged)) == 2
        return
    try:
        with pytest.raises(ValueError) as refusal:
            read(unprivileged)
    finally:
        locked.chmod(0o700)
    message = str(refusal.value)
    assert f"{locked}{':' if name.endswith('png') else ' '}" in message and "Permission denied" in message
    assert "allow" in message and "Errno" not in message and "run.json" not in message


@pytest.mark.parametrize("text", ["", "a\0b", "x" * 300, "~nobody-of-that-name/x"])
@pytest.mark.parametrize("function", [read, folder_classes, survey])
def test_what_can_be_no_folder_is_told_as_one_that_is_not_there(text, function):
    """An empty text isn't the current folder: a variable was empty."""
    with pytest.raises(FileNotFoundError, match="^path: .*is no folder; give one"):
        function(text)


@pytest.mark.parametrize("function", [read, folder_classes, survey])
def test_folders_that_are_none_or_hold_no_picture_are_told(tmp_path, function):
    with pytest.raises(FileNotFoundError, match="path: .*is no folder"):
        function(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="path: no pictures in"):
        function(tmp_path / "empty")
    (tmp_path / "empty" / "a.heic").write_bytes(b"0")
    with pytest.raises(FileNotFoundError, match=r"path: no pictures in .*1 picture that Pillow can't open"):
        function(tmp_path / "empty")


@pytest.mark.parametrize(("size", "error"), [(0, ValueError), (-8, ValueError), (16.0, TypeError)])
def test_a_size_is_a_whole_number_from_1(album, size, error):
    with pytest.raises(error, match="size: "):
        read(album, size)


def test_pictures_are_read_onto_the_cpu_whatever_the_default_device_is(album):
    with torch.device("meta"):
        images = read(album)
    assert images.images.device.type == images.labels.device.type == "cpu"


# --- each picture as a viewer shows it --------------------------------------------------------------------------------


def test_a_centred_square_is_cut_out(tmp_path):
    picture = Image.new("RGB", (30, 10), WHITE)
    picture.paste((0, 0, 0), (10, 0, 20, 10))
    picture.save(tmp_path / "wide.png")
    assert (read(tmp_path, 10).images == 0).all()


BACK = {  # orientation → what turns the stored picture into the one that is seen (EXIF 2.3, tag 0x0112)
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: a.transpose(1, 0, 2)[:, ::-1],
    7: lambda a: a.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda a: a.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("orientation", BACK)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_photographs_are_turned_as_their_camera_says(tmp_path, orientation, suffix):
    """A picture of four colours and 60 × 40 pixels: turning it after the cut would show other pixels."""
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:20, :30], stored[:20, 30:], stored[20:, :30], stored[20:, 30:] = RED, GREEN, BLUE, WHITE
    stored[:, :10] = 0  # cut away where the picture is cut to a square
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / f"a{suffix}", exif=exif, quality=100)
    images = read(tmp_path, 40).images[0].permute(1, 2, 0).int().numpy()
    assert np.abs(images - BACK[orientation](stored[:, 10:50]).astype(int))[5:15, 5:15].max() < 12
    assert np.abs(images - BACK[orientation](stored[:, 10:50]).astype(int))[25:35, 25:35].max() < 12


def transparent(mode: str, hidden: tuple[int, int, int]) -> Image.Image:
    """A black square on transparent; the colour below what is transparent is another one."""
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[..., :3], pixels[8:24, 8:24, :3], pixels[8:24, 8:24, 3] = hidden, 0, 255
    picture = Image.fromarray(pixels)
    if mode in ("LA", "RGBA"):
        return picture.convert(mode)
    index = Image.fromarray((pixels[..., 3] < 128).astype(np.uint8))
    if mode == "P":
        index = Image.frombytes("P", (32, 32), index.tobytes())
        index.putpalette([0, 0, 0, *hidden])
    elif mode == "L":
        index = Image.fromarray(np.where(pixels[..., 3] > 128, 0, 77).astype(np.uint8))
    elif mode == "RGB":
        index = picture.convert("RGB")
    elif mode == "I;16":
        index = Image.fromarray(np.where(pixels[..., 3] > 128, 0, 777).astype(np.uint16))
    elif mode == "1":
        index = index.point(lambda value: 255 * value).convert("1")
    index.info["transparency"] = {"P": 1, "L": 77, "RGB": hidden, "I;16": 777, "1": 255}[mode]
    return index


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(mode, ".png") for mode in ("RGBA", "LA", "P", "L", "RGB", "I;16", "1")]
    + [("P", ".gif"), ("RGBA", ".webp"), ("RGBA", ".tif"), ("RGBA", ".ico"), ("LA", ".tif")],
)
def test_transparency_is_laid_over_white(tmp_path, mode, suffix):
    picture = transparent(mode, GREEN)
    options = {"transparency": picture.info["transparency"]} if "transparency" in picture.info else {}
    options |= {"lossless": True, "exact": True} if suffix == ".webp" else {}
    picture.save(tmp_path / f"icon{suffix}", **options)
    image = read(tmp_path, 32).images[0]
    assert (image[:, :6] == 255).all(), "transparent: white"
    assert (image[:, 10:22, 10:22] == 0).all(), "and the icon is black on it"


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(
    ("bits", "colour", "key", "others"),
    [
        (1, 0, [0], [1]),
        (2, 0, [1], [0, 2, 3]),
        (4, 0, [8], [0, 7, 9, 15]),
        (8, 0, [136], [8, 135, 137]),
        (16, 0, [1000], [3, 999, 1001, 3000]),
        (8, 2, [10, 20, 30], [9, 11, 40]),
        (16, 2, [1000, 1000, 1000], [3, 768, 999, 1001, 2000]),  # two of them have the key's first byte
    ],
)
def test_the_transparent_colour_of_a_png_is_the_one_that_the_file_says(
    tmp_path, bits, colour, key, others, orientation
):
    """Each other colour has an opaque row; the key has the last ones. Pillow compares numbers of 8 bits with it."""
    rows = [[value] * len(key) for value in others] + [key] * (8 - len(others))
    lines = b"".join(b"\0" + packed([one for _ in range(8) for one in row], bits) for row in rows)
    exif = Image.Exif()
    exif[0x0112] = orientation
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", 8, 8, bits, colour, 0, 0, 0)), (b"eXIf", exif.tobytes()[6:])]
    chunks += [(b"tRNS", struct.pack(f">{len(key)}H", *key)), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    (tmp_path / "a.png").write_bytes(png(*chunks))
    seen = read(tmp_path, 8).images[0].permute(1, 2, 0).int().numpy()
    expected = np.full((8, 8, 3), 255)
    for i, value in enumerate(others):
        expected[i] = value * 255 / (2**bits - 1)
    assert np.abs(seen - BACK[orientation](expected)).max() <= 1


def packed(values: list[int], bits: int) -> bytes:
    return int("".join(f"{value:0{bits}b}" for value in values), 2).to_bytes(len(values) * bits // 8, "big")


def test_half_transparent_is_half_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 128)).save(tmp_path / "a.png")
    assert (read(tmp_path, 8).images.int() - 127).abs().max() <= 1


@pytest.mark.parametrize("level", [0, 255, 256, 20_000, 32_768, 65_535])
@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm", ".jp2"])
def test_16_bits_are_scaled_to_8(tmp_path, level, suffix):
    Image.fromarray(np.full((32, 32), level, np.uint16)).save(tmp_path / f"a{suffix}")
    assert (read(tmp_path).images.int() - round(level / 257)).abs().max() <= 1


@pytest.mark.parametrize(("low", "high", "fine"), [(0, 1, True), (0, 255, False), (-1, 1, False), (0, np.nan, False)])
def test_floats_are_scaled_where_white_is_1_and_refused_by_name_elsewhere(tmp_path, low, high, fine):
    values = np.full((32, 32), low, np.float32)
    values[16:] = high
    Image.fromarray(values).save(tmp_path / "a.tif")
    if fine:
        image = read(tmp_path, 32).images[0]
        assert (image[:, :8] == 0).all() and (image[:, -8:] == 255).all()
    else:
        with pytest.raises(ValueError, match=r"a\.tif: .*floats.*save it with 8 bits"):
            read(tmp_path)


def test_32_bits_are_refused_by_name(tmp_path):
    Image.fromarray(np.full((32, 32), 32_768, np.int32)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a\.tif: .*save it with 8 or 16 bits"):
        read(tmp_path)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr"])
def test_every_mode_without_transparency_keeps_its_colour(tmp_path, mode):
    Image.new("RGB", (32, 32), WHITE).convert(mode).save(tmp_path / "a.tif")
    assert read(tmp_path).images.min() >= 254


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".tif"])
def test_of_an_animation_the_first_frame_is_taken(tmp_path, suffix):
    first, *rest = (Image.new("RGB", (16, 16), colour) for colour in (RED, GREEN, BLUE))
    first.save(tmp_path / f"a{suffix}", save_all=True, append_images=rest)
    images = read(tmp_path)
    assert len(images) == 1 and (images.images[0, :, 8, 8].int() - torch.tensor(RED)).abs().max() < 8


# --- pictures that can't be read --------------------------------------------------------------------------------------


def png(*chunks: tuple[bytes, bytes]) -> bytes:
    parts = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def whole() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)).save(stream, "png")
    return stream.getvalue()


HEADER = (b"IHDR", struct.pack(">IIBBBBB", 8, 8, 8, 0, 0, 0, 0))
BROKEN = {
    "empty": b"",
    "a web page": b"<!DOCTYPE html><title>404</title>",
    "cut": whole()[:3000],
    "much text": png(HEADER, (b"zTXt", b"k\0\0" + zlib.compress(bytes(2 << 20)))),
    "no pixels": png(HEADER, (b"IEND", b"")),
    "a short header": png((b"IHDR", b"\0\0")),
    "a false size": png((b"IHDR", struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)), (b"IEND", b"")),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_picture_that_cannot_be_read_is_named(album, kind):
    (album / "cats" / "broken.png").write_bytes(BROKEN[kind])
    with pytest.raises(ValueError) as refusal:
        read(album)
    message = str(refusal.value)
    assert "broken.png: can't be read as a picture (" in message and "remove it" in message and "\n" not in message


@pytest.mark.parametrize(
    "error",
    [
        *(OSError, ValueError, SyntaxError, struct.error, MemoryError, EOFError, IndexError, OverflowError, zlib.error),
        *(Image.DecompressionBombError, NotImplementedError, ZeroDivisionError, KeyError, TypeError, RuntimeError),
    ],
)
def test_whatever_a_decoder_raises_the_file_is_named(album, monkeypatch, error):
    def stumble(self):
        raise error("out of\nstep")

    monkeypatch.setattr(ImageFile.ImageFile, "load", stumble)
    with pytest.raises(ValueError) as refusal:
        read(album)
    message = str(refusal.value)
    assert "0.png: can't be read as a picture (" in message and "remove it" in message and "\n" not in message


def test_a_huge_picture_is_named_and_a_large_one_is_read(tmp_path, monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300)
    put(tmp_path / "large.png", size=(20, 20))
    assert len(read(tmp_path)) == 1 and not recwarn.list
    put(tmp_path / "panorama.png", size=(40, 20))
    with pytest.raises(ValueError, match=r"panorama\.png: .*more than 600 pixels.*shrink it"):
        read(tmp_path)


def test_an_interruption_is_no_broken_picture(album, monkeypatch):
    def interrupt(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(ImageFile.ImageFile, "load", interrupt)
    with pytest.raises(KeyboardInterrupt):
        read(album)
