"""Tiny made-up data sets in the exact layouts of published ones: name -> content of their files."""

import io

import cv2
import numpy as np

from edge.types import Box
from tests.support import faces
from tests.support.images import draw_faces

FACE = faces.tiny(training=1, public=0, private=0).faces
CROP = faces.encode(cv2.resize(FACE[3], (100, 100)), ".jpg")
# What CK+ and JAFFE show: a face in a larger image.
SCENE = draw_faces(("happy", Box(220, 120, 240, 240)))


def rafdb(labels=(1, 2, 3, 4, 5, 6, 7), digits=5, folder="basic/"):
    """Return RAF-DB with one face for training and one for testing of each of the `labels`."""
    lines: list[str] = []
    files: dict[str, bytes] = {}
    for split in ("train", "test"):
        for number, label in enumerate(labels, start=1):
            name = f"{split}_{number:0{digits}d}"
            lines.append(f"{name}.jpg {label}")
            files[f"{folder}Image/aligned/{name}_aligned.jpg"] = CROP
            files[f"{folder}Image/original/{name}.jpg"] = CROP
    return files | {f"{folder}EmoLabel/list_patition_label.txt": "\n".join(lines).encode()}


def npy(value):
    content = io.BytesIO()
    np.save(content, value)
    return content.getvalue()


def affectnet_files(expressions=range(8)):
    """Return AffectNet with annotation files: one face of each of the `expressions` in both sets."""
    files: dict[str, bytes] = {}
    for folder in ("train_set", "val_set"):
        for number, expression in enumerate(expressions):
            files |= {
                f"{folder}/images/{number}.jpg": CROP,
                f"{folder}/annotations/{number}_exp.npy": npy(np.array(str(expression))),
                f"{folder}/annotations/{number}_val.npy": npy(np.array("-0.25")),
                f"{folder}/annotations/{number}_aro.npy": npy(np.array("0.5")),
                f"{folder}/annotations/{number}_lnd.npy": npy(np.zeros(136)),
            }
    return files


AFFECTNET_HEADER = (
    "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
)


def affectnet_lists(expressions=range(8)):
    """Return AffectNet with its lists: the face is the box at 220, 120 of a photograph."""
    files = {"Manually_Annotated_Images/1/a.jpg": faces.encode(SCENE, ".jpg")}
    for name in ("training", "validation"):
        rows = [f"1/a.jpg,220,120,240,230,220.5;120.25,{expression},0.1,-0.2" for expression in expressions]
        files[f"Manually_Annotated_file_lists/{name}.csv"] = "\r\n".join([AFFECTNET_HEADER, *rows, ""]).encode()
    return files


def ckplus(people=("S005", "S010"), frames=4):
    """Return CK+: each person shows anger, happiness, and one sequence without an emotion."""
    image = faces.encode(cv2.resize(SCENE, (200, 150), interpolation=cv2.INTER_AREA))
    files: dict[str, bytes] = {}
    for person in people:
        for sequence, code in (("001", 1), ("002", None), ("003", 5)):
            stem = f"{person}/{sequence}/{person}_{sequence}"
            files |= {f"cohn-kanade-images/{stem}_{n:08d}.png": image for n in range(1, frames + 1)}
            if code is not None:
                files[f"Emotion/{stem}_{frames:08d}_emotion.txt"] = f"   {code}.0000000e+00\n".encode()
    return files


def jaffe(people=("KA", "KL"), codes=("AN", "DI", "FE", "HA", "NE", "SA", "SU")):
    """Return JAFFE: one image of each person and expression."""
    image = faces.encode(cv2.resize(SCENE[60:420, 160:520], (128, 128), interpolation=cv2.INTER_AREA), ".tiff")
    names = [f"{person}.{code}{n % 3 + 1}" for person in people for n, code in enumerate(codes)]
    return {f"jaffe/{name}.{number}.tiff": image for number, name in enumerate(names, start=1)} | {
        "jaffe/README": b"JAFFE"
    }


def expw(labels=range(7)):
    """Return ExpW: two photographs with two faces of each of the `labels`, in boxes of 240 x 230 pixels."""
    photo = faces.encode(SCENE, ".jpg")
    names = [f"angry_actor_{label}{number}.jpg" for label in labels for number in range(2)]
    lines = [
        f"{name} {face} 120 220 460 350 48.4451 {name[-6]}"  # top left right bottom
        for name in names
        for face in range(2)
    ]
    return {f"image/origin/{name}": photo for name in names} | {
        "label/label.lst": "\n".join([*lines, ""]).encode(),
        "readme.txt": b"labels: 0 angry",
    }


SETS = {
    "rafdb": rafdb,
    "rafdb-compound": lambda: rafdb(range(1, 12), 4, "compound/"),
    "affectnet": affectnet_files,
    "affectnet-lists": affectnet_lists,
    "ckplus": ckplus,
    "jaffe": jaffe,
    "expw": expw,
}
