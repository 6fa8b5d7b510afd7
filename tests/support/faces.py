"""Small FER2013-like data sets in every supported format, made from the class means of the synthetic camera."""

from __future__ import annotations

import io
import tarfile
import zipfile

import cv2
import numpy as np

from tests.support.paths import ROOT
from trainer.data.dataset import FER2013_LABELS, SPLITS, Dataset
from trainer.data.ferplus import FERPLUS_COLUMNS

MEANS = ROOT / "edge" / "capture" / "faces.npz"
SHIPPED = ROOT / "models" / "emotion.tflite"


def tiny(training=3, public=2, private=1, class_names=FER2013_LABELS, seed=0):
    """Return a data set with these numbers of faces of each class in the splits, shifted up to 2 pixels and noisy."""
    rng = np.random.default_rng(seed)
    with np.load(MEANS) as means:
        rows = [
            (_vary(means[FER2013_LABELS[label]], rng), label, split)
            for split, each in zip(SPLITS, (training, public, private), strict=True)
            for _ in range(each)
            for label in range(len(class_names))
        ]
    faces, labels, splits = zip(*rows, strict=True)
    return Dataset(np.stack(faces), np.array(labels, np.int64), np.array(splits), tuple(class_names), source="tiny.csv")


def _vary(face, rng):
    shift = np.array([[1, 0, rng.uniform(-2, 2)], [0, 1, rng.uniform(-2, 2)]])
    moved = cv2.warpAffine(face, shift, face.shape[::-1], borderMode=cv2.BORDER_REPLICATE)
    return np.clip(moved + rng.normal(0, 6, face.shape), 0, 255).astype(np.uint8)


def content(dataset):
    """Return the (split, label, pixels) of all faces, sorted: equal for data sets that differ only in their order."""
    names = [dataset.class_names[label] for label in dataset.labels]
    pixels = [face.tobytes() for face in dataset.faces]
    return sorted(zip(dataset.splits.tolist(), names, pixels, strict=True))


# --- fer2013.csv and FER+ -------------------------------------------------------------------------------------------


def csv_row(face, label, split):
    return f"{label},{' '.join(map(str, face.ravel()))},{split}"


def csv_lines(dataset):
    """Return the lines of fer2013.csv, the header first."""
    rows = zip(dataset.faces, dataset.labels, dataset.splits, strict=True)
    return ["emotion,pixels,Usage", *(csv_row(*row) for row in rows)]


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def write_csv(path, dataset):
    return write_lines(path, csv_lines(dataset))


def write_icml_csv(path, dataset):
    """Write icml_face_data.csv as on Kaggle: another column order, spaces in the header."""
    lines = [f"{label}, {split}, {pixels}" for label, pixels, split in (row.split(",") for row in csv_lines(dataset))]
    return write_lines(path, ["emotion, Usage, pixels", *lines[1:]])


def ferplus_lines(dataset):
    """Return the lines of fer2013new.csv: face n has 8 votes in column n modulo 10 and 2 in the next one."""
    lines = ["Usage,Image name," + ",".join(FERPLUS_COLUMNS)]
    for number, split in enumerate(dataset.splits):
        votes = [0] * 10
        votes[number % 10], votes[(number + 1) % 10] = 8, 2
        lines.append(f"{split},fer{number:07d}.png," + ",".join(map(str, votes)))
    return lines


# --- images -------------------------------------------------------------------------------------------------------


def encode(image, ending=".png"):
    return cv2.imencode(ending, image)[1].tobytes()


def kaggle_files(dataset, ending=".png"):
    """Return the files of Kaggle's folders: `test` has PublicTest and PrivateTest, distinguished by the file names."""
    rows = zip(dataset.faces, dataset.labels, dataset.splits, strict=True)
    files = {}
    for number, (face, label, split) in enumerate(rows):
        folder = "train" if split == "Training" else "test"
        files[f"{folder}/{dataset.class_names[label]}/{split}_{number:05d}{ending}"] = encode(face, ending)
    return files


def class_files(dataset, ending=".png"):
    """Return the files of one folder per class, without splits."""
    rows = enumerate(zip(dataset.faces, dataset.labels, strict=True))
    return {
        f"{dataset.class_names[label]}/{number:05d}{ending}": encode(face, ending) for number, (face, label) in rows
    }


def write_folder(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def write_zip(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def write_tar(path, files):
    """Write a tar archive, compressed according to the suffix of `path`."""
    kind = path.suffix.lstrip(".")
    with tarfile.open(path, "w" if kind == "tar" else f"w:{kind}") as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def csv_bytes(dataset):
    return "".join(f"{line}\n" for line in csv_lines(dataset)).encode()
