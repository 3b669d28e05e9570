"""Structure-aware mutators of picture, video and model files.

Each takes a random generator and the bytes of a valid file, and returns bytes that are mostly still
such a file: lengths and checksums are mended, so that the parts behind them are reached.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random
from typing import Final

NUMBERS: Final = (
    *(0, 1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 63, 64, 100, 127, 128, 255, 256, 1000, 4096, 16_383),
    *(16_384, 30_000, 32_767, 32_768, 65_535, 65_536, 1 << 20, (1 << 24) - 1, (1 << 31) - 1),
    *(1 << 31, (1 << 32) - 1),
)
"""Numbers at the edges of types and limits."""

Mutator = Callable[[Random, bytes], bytes]


def flip_bytes(random: Random, data: bytes) -> bytes:
    """Change a few bytes, mostly near the start, where headers are."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 4, 16))):
        if not changed:
            break
        end = len(changed) if random.random() < 0.4 else min(len(changed), 128)
        at = random.randrange(end)
        kind = random.randrange(4)
        if kind == 0:
            changed[at] ^= 1 << random.randrange(8)
        elif kind == 1:
            changed[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF, random.randrange(256)))
        else:
            size = random.choice((2, 4, 8))
            number = random.choice(NUMBERS) & (1 << 8 * size) - 1
            order = random.choice(("little", "big"))
            changed[at : at + size] = number.to_bytes(size, order)
    return bytes(changed)


def move_blocks(random: Random, data: bytes) -> bytes:
    """Remove, repeat, insert or cut a block."""
    if len(data) < 4:
        return data
    start = random.randrange(len(data))
    end = min(len(data), start + random.choice((1, 2, 4, 16, 64, 1024)))
    kind = random.randrange(5)
    if kind == 0:
        return data[:start] + data[end:]
    if kind == 1:
        return data[:end] + data[start:end] * random.choice((1, 3, 50)) + data[end:]
    if kind == 2:
        return data[:start] + random.randbytes(end - start) + data[start:]
    if kind == 3:
        return data[:start]
    other = random.randrange(len(data))
    return data[:start] + data[other : other + end - start] + data[end:]


def _change_list(random: Random, items: list[bytes]) -> None:
    """Remove, repeat, swap or spoil the parts of a file."""
    if not items:
        return
    i, j = random.randrange(len(items)), random.randrange(len(items))
    kind = random.randrange(5)
    if kind == 0:
        del items[i]
    elif kind == 1:
        items.insert(j, items[i])
    elif kind == 2:
        items[i], items[j] = items[j], items[i]
    else:
        items[i] = flip_bytes(random, items[i])


# --- JPEG ----------------------------------------------------------------------------------------


def jpeg(random: Random, data: bytes) -> bytes:
    """Change segments, sizes, tables and scans."""
    segments: list[bytes] = []
    at = 2
    while data[at + 1] != 0xDA:
        (length,) = struct.unpack_from(">H", data, at + 2)
        segments.append(data[at : at + 2 + length])
        at += 2 + length
    scan = data[at:]
    for _ in range(random.choice((1, 1, 2, 3))):
        kind = random.randrange(8)
        if kind == 0:
            number = random.choice(
                (0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xDC, 0xDD, 0xE1, 0xEE, 0xFE, 0x01)
            )
            body = random.randbytes(random.choice((0, 2, 8, 40)))
            new = bytes([0xFF, number]) + struct.pack(">H", len(body) + 2) + body
            segments.insert(random.randrange(len(segments) + 1), new)
        elif kind == 1:
            segments.insert(0, _exif_segment(random))
        elif kind == 2:
            for i, segment in enumerate(segments):
                if 0xC0 <= segment[1] <= 0xC2:
                    size = [random.choice(NUMBERS) & 0xFFFF for _ in range(2)]
                    segments[i] = segment[:5] + struct.pack(">HH", *size) + segment[9:]
        elif kind == 3:
            scan = flip_bytes(random, scan) if random.random() < 0.5 else move_blocks(random, scan)
        elif kind == 4:
            at = random.randrange(len(scan))
            marker = bytes([0xFF, random.choice((0xD0, 0xD9, 0xDA, 0xC4, 0xC0, 0xFF, 0x00))])
            scan = scan[:at] + marker + scan[at:]
        elif kind == 5:
            segments.insert(random.randrange(len(segments) + 1), b"\xff\0" + random.randbytes(8))
        else:
            _change_list(random, segments)
    return data[:2] + b"".join(segments) + scan


def _exif_segment(random: Random) -> bytes:
    block = _directory(random, random.choice("<>"))
    return b"\xff\xe1" + struct.pack(">H", (8 + len(block)) & 0xFFFF) + b"Exif\0\0" + block


def _directory(random: Random, order: str) -> bytes:
    """A TIFF directory of random tags."""
    tags = [
        struct.pack(
            order + "HHII",
            random.choice((274, 274, 256, 257, 34665, random.randrange(65536))),
            random.choice((1, 2, 3, 4, 5, 7, 12, 13, 16, 99)),
            random.choice(NUMBERS),
            random.choice(NUMBERS),
        )
        for _ in range(random.randrange(6))
    ]
    count = len(tags) if random.random() < 0.8 else random.choice(NUMBERS) & 0xFFFF
    start = 8 if random.random() < 0.9 else random.choice(NUMBERS)
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return head + struct.pack(order + "H", count) + b"".join(tags) + bytes(4)


# --- PNG -----------------------------------------------------------------------------------------


def png(random: Random, data: bytes) -> bytes:
    """Change chunks with right checksums, also those of animations."""
    chunks: list[tuple[bytes, bytes]] = []
    at = 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    for _ in range(random.choice((1, 1, 2, 3))):
        i = random.randrange(len(chunks))
        name, body = chunks[i]
        kind = random.randrange(7)
        if kind == 0 and name == b"IHDR":
            sizes = struct.pack(">II", random.choice(NUMBERS), random.choice(NUMBERS))
            body = sizes + body[8:] if random.random() < 0.5 else body[:8] + random.randbytes(5)
            chunks[i] = name, body
        elif kind == 1:
            chunks.insert(i, _animation_chunk(random))
        elif kind == 2:
            extra = random.choice((b"tRNS", b"PLTE", b"eXIf", b"iCCP", b"zTXt", b"gAMA", b"sBIT"))
            body = random.randbytes(random.choice((0, 1, 3, 6, 256, 768)))
            if extra == b"eXIf":
                body = _directory(random, ">")
            chunks.insert(i, (extra, body))
        elif kind == 3 and name == b"IDAT":
            try:
                rows = zlib.decompress(body)
            except zlib.error:
                rows = body
            chunks[i] = name, zlib.compress(move_blocks(random, flip_bytes(random, rows)))
        elif kind == 4:
            chunks.insert(random.randrange(len(chunks)), chunks.pop(i))
        elif kind == 5:
            chunks.insert(random.randrange(len(chunks) + 1), chunks[i])
        else:
            chunks[i] = name, flip_bytes(random, body)
    return data[:8] + b"".join(_chunk(*chunk) for chunk in chunks)


def _animation_chunk(random: Random) -> tuple[bytes, bytes]:
    number = lambda: random.choice(NUMBERS)  # noqa: E731
    kind = random.randrange(3)
    if kind == 0:
        return b"acTL", struct.pack(">II", number(), number())
    if kind == 1:
        return b"fcTL", struct.pack(
            ">IIIIIHHBB", number(), number(), number(), number(), number(), 1, 1, 0, 0
        )
    return b"fdAT", struct.pack(">I", number()) + random.randbytes(20)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


# --- WebP, BMP, TIFF -----------------------------------------------------------------------------


def webp(random: Random, data: bytes) -> bytes:
    """Change the chunks of the container, and its canvas."""
    chunks: list[bytes] = []
    at = 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        end = at + 8 + length + length % 2
        chunks.append(data[at:end])
        at = end
    for _ in range(random.choice((1, 1, 2, 3))):
        kind = random.randrange(5)
        if kind == 0:
            sizes = b"".join(
                (random.choice(NUMBERS) & 0xFFFFFF).to_bytes(3, "little") for _ in "wh"
            )
            new = b"VP8X\x0a\0\0\0" + bytes([random.choice((0, 2, 8, 16, 255)), 0, 0, 0]) + sizes
            chunks.insert(random.choice((0, 0, len(chunks))), new)
        elif kind == 1:
            name = random.choice((b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"XMP ", b"JUNK"))
            body = random.randbytes(random.choice((0, 6, 16, 40)))
            if name == b"ANMF" and chunks:
                body = random.randbytes(16) + random.choice(chunks)
            chunks.insert(
                random.randrange(len(chunks) + 1), name + struct.pack("<I", len(body)) + body
            )
        else:
            _change_list(random, chunks)
    body = b"WEBP" + b"".join(chunks)
    size = len(body) if random.random() < 0.9 else random.choice(NUMBERS)
    return b"RIFF" + struct.pack("<I", size) + body


def bmp(random: Random, data: bytes) -> bytes:
    """Change a field of the two headers."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2))):
        at = random.choice((10, 14, 18, 22, 26, 28, 30, 34, 46, 54, 66))
        size = random.choice((2, 4))
        number = random.choice(NUMBERS) & (1 << 8 * size) - 1
        changed[at : at + size] = number.to_bytes(size, "little")
    return bytes(changed)


_TAGS: Final = (258, 259, 262, 274, 277, 278, 284, 317, 322, 323, 324, 338, 339)


def tiff(random: Random, data: bytes) -> bytes:
    """Change, repeat and add tags of the first directory."""
    order = "<" if data[:2] == b"II" else ">"
    (at,) = struct.unpack_from(order + "I", data, 4)
    (count,) = struct.unpack_from(order + "H", data, at)
    tags = [list(struct.unpack_from(order + "HHII", data, at + 2 + 12 * i)) for i in range(count)]
    for _ in range(random.choice((1, 1, 2, 3))):
        i = random.randrange(len(tags))
        kind = random.randrange(6)
        if kind < 2:
            tags[i][3] = random.choice(NUMBERS)
        elif kind == 2:
            tags[i][2] = random.choice(NUMBERS)
        elif kind == 3:
            tags[i][1] = random.choice((1, 2, 3, 4, 5, 11, 12, 13, 16, 99))
        elif kind == 4:
            copy = list(tags[i])
            copy[3] = random.choice(NUMBERS)
            tags.insert(i + random.randrange(2), copy)
        else:
            number = random.choice(
                (258, 259, 262, 274, 277, 278, 284, 317, 322, 323, 324, 338, 339)
            )
            tags.append([number, random.choice((3, 4)), random.choice((1, 1, 4)), _small(random)])
    if random.random() < 0.8:
        tags.sort(key=lambda tag: tag[0])
    directory = struct.pack(order + "H", len(tags))
    directory += b"".join(struct.pack(order + "HHII", *tag) for tag in tags)
    following = 0 if random.random() < 0.9 else len(data)
    return (
        data[:4]
        + struct.pack(order + "I", len(data))
        + data[8:]
        + directory
        + struct.pack(order + "I", following)
    )


def _small(random: Random) -> int:
    return random.choice((0, 1, 2, 3, 5, 6, 7, 8, 16, 32, 64, 32773, 34925, 50001, 1 << 16))


# --- GIF and MP4 ---------------------------------------------------------------------------------


def gif(random: Random, data: bytes) -> bytes:
    """Change the sizes of the screen and of frames, and whole blocks."""
    changed = bytearray(flip_bytes(random, data) if random.random() < 0.5 else data)
    for _ in range(random.choice((1, 2))):
        kind = random.randrange(3)
        number = struct.pack("<H", random.choice(NUMBERS) & 0xFFFF)
        if kind == 0:
            at = random.choice((6, 8))
            changed[at : at + 2] = number
        elif kind == 1:
            at = changed.find(b",", 13)
            if at > 0:
                at += random.choice((1, 3, 5, 7))
                changed[at : at + 2] = number
        else:
            changed = bytearray(move_blocks(random, bytes(changed)))
    return bytes(changed)


_CONTAINERS: Final = frozenset((
    b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"udta", b"dinf", b"mvex", b"moof",
    b"traf",
))  # fmt: skip


def mp4(random: Random, data: bytes) -> bytes:
    """Change atoms anywhere in the tree, with right sizes around them."""
    atoms = _atoms(data)
    for _ in range(random.choice((1, 1, 2, 3))):
        level = atoms
        while True:
            inner = [item for item in level if isinstance(item[1], list) and item[1]]
            if not inner or random.random() < 0.15:
                break
            level = random.choice(inner)[1]
        if not level:
            continue
        i = random.randrange(len(level))
        name, body = level[i]
        kind = random.randrange(6)
        if kind == 0:
            del level[i]
        elif kind == 1:
            level.insert(random.randrange(len(level) + 1), level[i])
        elif kind == 2:
            level.insert(random.randrange(len(level)), level.pop(i))
        elif isinstance(body, bytes):
            level[i] = (name, flip_bytes(random, body))
    return _written(atoms)


_Atom = tuple[bytes, "bytes | list[_Atom]"]


def _atoms(data: bytes) -> list:
    atoms: list = []
    at = 0
    while at + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, at)
        if size < 8:
            size = len(data) - at
        body = data[at + 8 : at + size]
        atoms.append((name, _atoms(body) if name in _CONTAINERS else body))
        at += size
    return atoms


def _written(atoms: list) -> bytes:
    written = []
    for name, body in atoms:
        inner = _written(body) if isinstance(body, list) else body
        written.append(struct.pack(">I", len(inner) + 8) + name + inner)
    return b"".join(written)


# --- ONNX ----------------------------------------------------------------------------------------


def onnx_model(random: Random, data: bytes) -> bytes:
    """Change metadata, shapes, weights and nodes of a model."""
    import onnx

    if random.random() < 0.25:
        return flip_bytes(random, data) if random.random() < 0.6 else move_blocks(random, data)
    model = onnx.load_from_string(data)
    for _ in range(random.choice((1, 1, 2))):
        kind = random.randrange(7)
        if kind < 3:
            _change_metadata(random, model)
        elif kind == 3:
            value = random.choice([*model.graph.input, *model.graph.output])
            shape = value.type.tensor_type.shape
            if shape.dim:
                dimension = random.choice(shape.dim)
                dimension.dim_value = random.choice((-1, 0, 1, 3, 7, 8, 48, 49, *NUMBERS))
        elif kind == 4 and model.graph.initializer:
            tensor = random.choice(model.graph.initializer)
            if tensor.raw_data:
                tensor.raw_data = flip_bytes(random, tensor.raw_data)
            elif tensor.dims:
                tensor.dims[random.randrange(len(tensor.dims))] = random.choice(NUMBERS)
        elif kind == 5 and model.graph.node:
            node = random.choice(model.graph.node)
            node.op_type = random.choice(("Relu", "Softmax", "Conv", "Loop", "Identity", "Nothing"))
        elif model.opset_import:
            model.opset_import[0].version = random.choice((0, 1, 7, 13, 99, 1 << 40))
    return model.SerializeToString()


def _change_metadata(random: Random, model: object) -> None:
    properties = model.metadata_props  # type: ignore[attr-defined]
    values = (
        *("", "[", "[" * 200_000, '{"a":' * 50_000, "9" * 5000, "-" + "9" * 5000, "1e999", "NaN"),
        *("[1,2,3]", '["a","b"]', "null", "true", "0", "-1", "1e308", "\0", "\x1b[31m", "\ud800"),
        *('["angry"]', '{"fer2013": 1}', "48", "48x48", "0,0,0", "1/0", "=1+1"),
    )
    value = random.choice(values).encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    if properties and random.random() < 0.8:
        random.choice(properties).value = value
    elif properties and random.random() < 0.5:
        del properties[random.randrange(len(properties))]
    else:
        entry = properties.add()
        entry.key = random.choice(("fastfer.labels", "fastfer.scale", "fastfer.unknown", "names"))
        entry.value = value
