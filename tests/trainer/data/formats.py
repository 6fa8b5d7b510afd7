"""One small data set in each format that the readers know."""

from tests.support import faces

TINY = faces.tiny()
CSV = {"fer2013.csv": faces.csv_bytes(TINY)}
KAGGLE = faces.kaggle_files(TINY)

# Format -> function that writes TINY in it to a folder and returns its path.
FORMATS = {
    "csv": lambda folder: faces.write_csv(folder / "fer2013.csv", TINY),
    "csv-with-other-name": lambda folder: faces.write_csv(folder / "mine.CSV", TINY),
    "icml-csv": lambda folder: faces.write_icml_csv(folder / "icml_face_data.csv", TINY),
    "zip": lambda folder: faces.write_zip(folder / "archive.zip", CSV),
    "zip-with-folder": lambda folder: faces.write_zip(
        folder / "a.zip", {"readme.md": b"x", "fer/fer2013.csv": CSV["fer2013.csv"]}
    ),
    "tar.gz": lambda folder: faces.write_tar(
        folder / "fer2013.tar.gz", {"fer2013/README": b"x", "fer2013/fer2013.csv": CSV["fer2013.csv"]}
    ),
    "tar": lambda folder: faces.write_tar(folder / "fer2013.tar", CSV),
    "folder-with-csv": lambda folder: faces.write_folder(folder / "folder", CSV),
    "folder-with-icml-csv": lambda folder: faces.write_folder(
        folder / "folder", {"icml_face_data.csv": CSV["fer2013.csv"]}
    ),
    "nested-folder-with-csv": lambda folder: faces.write_folder(
        folder / "folder", {"challenge/fer2013/fer2013.csv": CSV["fer2013.csv"], "challenge/fer2013/README": b"x"}
    ),
    "tar-in-zip": lambda folder: faces.write_zip(
        folder / "challenge.zip",
        {"fer2013.tar.gz": faces.write_tar(folder / "inner.tar.gz", CSV).read_bytes(), "example_submission.csv": b"x"},
    ),
    "tar-in-folder": lambda folder: (
        faces.write_tar(faces.write_folder(folder / "challenge", {"readme.md": b"x"}) / "fer2013.tar.gz", CSV).parent
    ),
    "kaggle-folders": lambda folder: faces.write_folder(folder / "folder", KAGGLE),
    "kaggle-zip": lambda folder: faces.write_zip(folder / "archive.zip", KAGGLE),
    "kaggle-zip-with-folder": lambda folder: faces.write_zip(
        folder / "a.zip", {f"fer/{name}": content for name, content in KAGGLE.items()}
    ),
    "kaggle-tar-with-dot": lambda folder: faces.write_tar(
        folder / "a.tar", {f"./{name}": content for name, content in KAGGLE.items()}
    ),
    "kaggle-tar.gz": lambda folder: faces.write_tar(folder / "archive.tar.gz", KAGGLE),
}
