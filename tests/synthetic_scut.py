#!/usr/bin/env python3
# Writes a data set in SCUT-FBP5500's layout whose pictures are drawn: faces of ovals, from which gender, race and score can be
# told. With its published split files (folders 1 to 5 with train_N.txt, test_N.txt) names and scores are theirs, else invented.
#     synthetic_scut.py DIR [--splits FOLDER] [--count N] [--fbp]
# --fbp: SCUT-FBP's layout, ratings.csv and Images, instead. The same arguments give the same files.
import argparse, os, random, struct, zlib

SIDE = 48
FOLDS = 5


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(path, rows):
    raw = b"".join(b"\0" + bytes(row) for row in rows)
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(raw, 1)) + chunk(b"IEND", b""))


def oval(rows, x, y, a, b, colour):
    for row in range(max(0, int(y - b)), min(SIDE, int(y + b) + 1)):
        half = a * max(0.0, 1 - ((row - y) / b) ** 2) ** 0.5
        left, right = max(0, int(x - half)), min(SIDE, int(x + half) + 1)
        rows[row][3 * left : 3 * right] = bytes(colour) * (right - left)


# Hair is long for f, skin darker for Asian faces, eyes and mouth grow with the score, which runs from 1 to 5.
def draw(path, male, caucasian, score):
    chance = random.Random(os.path.basename(path))
    shade = chance.randrange(90, 200)
    rows = [bytearray(bytes((shade, shade, shade + 20)) * SIDE) for _ in range(SIDE)]
    hair = (90, 60, 30) if caucasian else (20, 15, 15)
    skin = (240, 205, 185) if caucasian else (215, 170, 125)
    x, y, t = 24 + chance.uniform(-2, 2), 25 + chance.uniform(-2, 2), (score - 1) / 4
    oval(rows, x, y - 6, 15, 14, hair)
    if not male:
        oval(rows, x, y + 6, 17, 19, hair)
    oval(rows, x, y, 12, 15, skin)
    for side in (-5, 5):
        oval(rows, x + side, y - 3, 1.5 + 2 * t, 1 + 1.5 * t, (30, 30, 40))
    oval(rows, x, y + 8, 2 + 4 * t, 1 + t, (190, 50 + int(40 * t), 70))
    write_png(path, rows)


def published(folder):
    folds = []
    for fold in range(1, FOLDS + 1):
        sides = []
        for side in ("train", "test"):
            with open(os.path.join(folder, str(fold), f"{side}_{fold}.txt")) as lines:
                sides.append([(line.split()[0], float(line.split()[1])) for line in lines if line.strip()])
        folds.append(sides)
    return folds


def invented(count):
    chance = random.Random(5500)
    names = [(f"{'mf'[i % 2]}t{'yw'[i // 2 % 2]}{i // 4 + 1}.jpg", round(chance.uniform(1, 5), 6)) for i in range(count)]
    return [[[n for i, n in enumerate(names) if i % FOLDS != k], [n for i, n in enumerate(names) if i % FOLDS == k]] for k in range(FOLDS)]


def write_list(path, rows):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as out:
        out.writelines(f"{name} {score:.6f}\n" for name, score in rows)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("--splits")
    options.add_argument("--count", type=int)
    options.add_argument("--fbp", action="store_true")
    given = options.parse_args()
    images = os.path.join(given.folder, "Images")
    os.makedirs(images, exist_ok=True)
    if given.fbp:
        chance = random.Random(500)
        with open(os.path.join(given.folder, "ratings.csv"), "w") as out:
            out.write("image,score\n")
            for i in range(given.count or 500):
                score = round(chance.uniform(1, 5), 4)
                out.write(f"SCUT-FBP-{i + 1}.jpg,{score}\n")
                draw(os.path.join(images, f"SCUT-FBP-{i + 1}.jpg"), False, False, score)
        return
    folds = published(given.splits) if given.splits else invented(given.count or 5500)
    everyone = folds[0][0] + folds[0][1]
    if given.splits and given.count:  # so many of each side
        every = max(1, len(everyone) // given.count)
        kept = {name for name, _ in sorted(everyone)[::every]}
        folds = [[[row for row in side if row[0] in kept] for side in fold] for fold in folds]
        everyone = folds[0][0] + folds[0][1]
    lists = os.path.join(given.folder, "train_test_files")
    write_list(os.path.join(lists, "All_labels.txt"), everyone)
    mixed = sorted(everyone, key=lambda row: zlib.crc32(row[0].encode()))
    cut = len(mixed) * 6 // 10
    half = os.path.join(lists, "split_of_60%training and 40%testing")
    write_list(os.path.join(half, "train.txt"), mixed[:cut])
    write_list(os.path.join(half, "test.txt"), mixed[cut:])
    for k, sides in enumerate(folds, 1):
        fold = os.path.join(lists, "5_folders_cross_validations_files", f"cross_validation_{k}")
        write_list(os.path.join(fold, f"train_{k}.txt"), sides[0])
        write_list(os.path.join(fold, f"test_{k}.txt"), sides[1])
    for name, score in everyone:
        draw(os.path.join(images, name), name[0] == "m", name[2] == "w", score)


main()
