"""Whatever form FER2013 has, the same arrays come out; whatever is wrong with it, one line says what and where."""

import zipfile

import cv2
import numpy as np
import pytest

from tests.support import faces
from trainer.data.dataset import FER2013_LABELS, PRIVATE_TEST, PUBLIC_TEST, TRAINING
from trainer.data.loader import load_dataset
from trainer.errors import DataError

TINY = faces.tiny()
CSV = {"fer2013.csv": faces.csv_bytes(TINY)}
KAGGLE = faces.kaggle_files(TINY)

FORMS = {
    "csv": lambda at: faces.write_csv(at / "fer2013.csv", TINY),
    "csv-of-another-name": lambda at: faces.write_csv(at / "mine.CSV", TINY),
    "icml-csv": lambda at: faces.write_icml_csv(at / "icml_face_data.csv", TINY),
    "zip": lambda at: faces.write_zip(at / "archive.zip", CSV),
    "zip-with-folder": lambda at: faces.write_zip(
        at / "a.zip", {"readme.md": b"x", "fer/fer2013.csv": CSV["fer2013.csv"]}
    ),
    "tar.gz": lambda at: faces.write_tar(
        at / "fer2013.tar.gz", {"fer2013/README": b"x"} | {"fer2013/fer2013.csv": CSV["fer2013.csv"]}
    ),
    "tar": lambda at: faces.write_tar(at / "fer2013.tar", CSV),
    "folder-with-csv": lambda at: faces.write_folder(at / "folder", CSV),
    "kaggle-folders": lambda at: faces.write_folder(at / "folder", KAGGLE),
    "kaggle-zip": lambda at: faces.write_zip(at / "archive.zip", KAGGLE),
    "kaggle-zip-with-folder": lambda at: faces.write_zip(
        at / "a.zip", {f"fer/{name}": data for name, data in KAGGLE.items()}
    ),
    "kaggle-tar-of-dot": lambda at: faces.write_tar(at / "a.tar", {f"./{name}": data for name, data in KAGGLE.items()}),
    "kaggle-tar.gz": lambda at: faces.write_tar(at / "archive.tar.gz", KAGGLE),
}


def refusal(path, **options):
    """Return the one line with which `path` is refused."""
    with pytest.raises(DataError) as caught:
        load_dataset(path, **options)
    line = str(caught.value)
    assert "\n" not in line
    return line


# --- every form -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_same_data_gives_the_same_faces_labels_and_splits(form, tmp_path):
    found = load_dataset(FORMS[form](tmp_path))
    assert faces.content(found) == faces.content(TINY)
    assert (found.class_names, found.side, found.skipped) == (FER2013_LABELS, 48, 0)
    assert (found.faces.dtype.name, found.labels.dtype.name) == ("uint8", "int64")


@pytest.mark.parametrize("form", ["csv", "icml-csv", "zip", "tar.gz"])
def test_a_table_keeps_its_row_order(form, tmp_path):
    found = load_dataset(FORMS[form](tmp_path))
    assert np.array_equal(found.faces, TINY.faces)
    assert np.array_equal(found.labels, TINY.labels)
    assert np.array_equal(found.splits, TINY.splits)


@pytest.mark.parametrize("form", FORMS)
def test_the_data_set_knows_where_it_came_from(form, tmp_path):
    path = FORMS[form](tmp_path)
    assert load_dataset(path).source.startswith(str(path))


def test_a_byte_order_mark_blank_lines_and_windows_line_ends_do_no_harm(tmp_path):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(b"\xef\xbb\xbf" + CSV["fer2013.csv"].replace(b"\n", b"\r\n\r\n"))
    assert faces.content(load_dataset(path)) == faces.content(TINY)


def test_what_a_mac_adds_to_a_zip_is_left_out(tmp_path):
    shadows = {f"__MACOSX/{name.replace('PublicTest', '._PublicTest')}": b"junk" for name in KAGGLE}
    path = faces.write_zip(tmp_path / "mac.zip", KAGGLE | shadows)
    assert faces.content(load_dataset(path)) == faces.content(TINY)


def test_hidden_files_and_folders_are_left_out(tmp_path):
    hidden = {"train/happy/.DS_Store": b"x", "train/.ipynb_checkpoints/copy.png": b"x", ".git/refs/head": b"x"}
    folder = faces.write_folder(tmp_path / "data", KAGGLE | hidden)
    (folder / ".git" / "objects").mkdir()
    assert faces.content(load_dataset(folder)) == faces.content(TINY)


# --- images -------------------------------------------------------------------------------------------------------


def test_jpeg_images_are_read_too(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, faces.kaggle_files(TINY, ".jpg")))
    order = np.lexsort((TINY.labels, TINY.splits))
    found_order = np.lexsort((found.labels, found.splits))
    assert np.array_equal(found.labels[found_order], TINY.labels[order])
    # Loss of compression alone, so each is still its own image.
    assert np.abs(found.faces[found_order].astype(int) - TINY.faces[order]).mean() < 8


def test_file_names_decide_the_split_in_kaggles_test_folder(tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, KAGGLE))
    assert {split: int((found.splits == split).sum()) for split in (TRAINING, PUBLIC_TEST, PRIVATE_TEST)} == {
        TRAINING: 21,
        PUBLIC_TEST: 14,
        PRIVATE_TEST: 7,
    }


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "PublicTest"])
def test_a_test_folder_beside_a_validation_folder_is_the_final_test(validation, tmp_path):
    image = faces.encode(TINY.faces[0])
    files = {f"{folder}/happy/1.png": image for folder in ("Train", validation, "test")}
    found = load_dataset(faces.write_folder(tmp_path, files))
    assert sorted(found.splits) == [PRIVATE_TEST, PUBLIC_TEST, TRAINING]


def test_a_test_folder_alone_is_what_one_selects_on(tmp_path):
    image = faces.encode(TINY.faces[0])
    found = load_dataset(faces.write_folder(tmp_path, {"train/happy/1.png": image, "test/happy/1.png": image}))
    assert sorted(found.splits) == [PUBLIC_TEST, TRAINING]


def test_of_plain_class_folders_a_tenth_of_each_class_is_held_out_the_same_each_time(tmp_path):
    folder = faces.write_folder(tmp_path, faces.class_files(faces.tiny(training=20, public=0, private=0)))
    first, second = load_dataset(folder), load_dataset(folder)
    assert set(first.split(PUBLIC_TEST).counts().values()) == {2}
    assert set(first.split(TRAINING).counts().values()) == {18}
    assert faces.content(first) == faces.content(second)


@pytest.mark.parametrize(("each", "held_out"), [(1, 0), (2, 1), (9, 1), (11, 1), (12, 2)])
def test_every_class_is_in_both_splits_when_it_has_two_images(each, held_out, tmp_path):
    found = load_dataset(faces.write_folder(tmp_path, faces.class_files(faces.tiny(training=each, public=0, private=0))))
    public = np.bincount(found.labels[found.splits == PUBLIC_TEST], minlength=7)
    assert public.tolist() == [held_out] * 7


@pytest.mark.parametrize(
    ("spelling", "label"),
    [("anger", "angry"), ("Happiness", "happy"), ("sadness", "sad"), ("FEARFUL", "fear"), ("surprised", "surprise")],
)
def test_other_spellings_of_the_seven_labels_are_understood(spelling, label, tmp_path):
    image = faces.encode(TINY.faces[0])
    found = load_dataset(faces.write_folder(tmp_path, {f"{spelling}/1.png": image, "neutral/1.png": image}))
    assert found.class_names == (label, "neutral")


def test_class_names_of_ones_own_come_in_the_alphabets_order(tmp_path):
    image = faces.encode(TINY.faces[0])
    files = {f"{name}/1.png": image for name in ("tired", "happy", "bored")}
    assert load_dataset(faces.write_folder(tmp_path, files)).class_names == ("bored", "happy", "tired")


def test_fer2013s_labels_come_in_its_own_order_also_where_some_are_missing(tmp_path):
    image = faces.encode(TINY.faces[0])
    files = {f"{name}/1.png": image for name in ("neutral", "happy", "angry")}
    assert load_dataset(faces.write_folder(tmp_path, files)).class_names == ("angry", "happy", "neutral")


def test_a_color_image_becomes_gray(tmp_path):
    color = cv2.merge([TINY.faces[0]] * 3)
    found = load_dataset(faces.write_folder(tmp_path, {"happy/1.png": faces.encode(color)}))
    assert np.array_equal(found.faces[0], TINY.faces[0])


@pytest.mark.parametrize("turned", [False, True], ids=["wide", "high"])
def test_the_middle_square_of_a_image_that_is_not_square_is_taken(turned, tmp_path):
    wide = np.hstack([np.zeros((48, 20), np.uint8), TINY.faces[0], np.full((48, 20), 255, np.uint8)])
    image = wide.T if turned else wide
    found = load_dataset(faces.write_folder(tmp_path, {"happy/1.png": faces.encode(image)}))
    assert np.array_equal(found.faces[0], TINY.faces[0].T if turned else TINY.faces[0])


@pytest.mark.parametrize(("sides", "kept"), [((100, 100), 100), ((100, 20, 100), 100), ((300, 400), 224)])
def test_images_are_kept_at_the_median_of_their_sides_up_to_224(sides, kept, tmp_path):
    files = {
        f"happy/{side}{n}.png": faces.encode(cv2.resize(TINY.faces[0], (side, side))) for n, side in enumerate(sides)
    }
    found = load_dataset(faces.write_folder(tmp_path, files))
    assert found.faces.shape == (len(sides), kept, kept)


# --- bad rows -------------------------------------------------------------------------------------------------------

PIXELS = " ".join(map(str, TINY.faces[2].ravel()))
BAD_ROWS = {
    "too-few-pixels": (f"2,{PIXELS.rpartition(' ')[0]},Training", "2303 pixels, expected 2304 (48 x 48)"),
    "too-many-pixels": (f"2,{PIXELS} 7,Training", "2305 pixels, expected 2304 (48 x 48)"),
    "no-pixels": ("2,,Training", "0 pixels, expected 2304 (48 x 48)"),
    "above-255": (f"2,{PIXELS.rpartition(' ')[0]} 256,Training", "pixel 256 is outside 0 to 255"),
    "below-0": (f"2,{PIXELS.rpartition(' ')[0]} -1,Training", "pixel -1 is outside 0 to 255"),
    "beyond-64-bits": (f"2,{PIXELS.rpartition(' ')[0]} {'9' * 20},Training", f"pixel '{'9' * 20}' is not a whole"),
    "text": (f"2,{PIXELS.rpartition(' ')[0]} 12a,Training", "pixel '12a' is not a whole number 0 to 255"),
    "fraction": (f"2,{PIXELS.rpartition(' ')[0]} 1.5,Training", "pixel '1.5' is not a whole number 0 to 255"),
    "label-7": (f"7,{PIXELS},Training", "unknown label '7', expected 0 to 6"),
    "label-in-words": (f"fear,{PIXELS},Training", "unknown label 'fear', expected 0 to 6"),
    "usage": (f"2,{PIXELS},Test", "unknown usage 'Test', expected one of Training, PublicTest, PrivateTest"),
    "cut-short": (f"2,{PIXELS}", "2 columns, expected 3; is the file cut short?"),
}


def with_bad_row(path, bad):
    lines = faces.csv_lines(TINY)
    lines[3] = BAD_ROWS[bad][0]
    return faces.write_lines(path, lines)


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_a_bad_row_is_refused_with_file_line_and_reason(bad, tmp_path):
    path = with_bad_row(tmp_path / "fer2013.csv", bad)
    assert refusal(path).startswith(f"{path} line 4: {BAD_ROWS[bad][1]}")


@pytest.mark.parametrize("bad", BAD_ROWS)
def test_skip_bad_leaves_a_bad_row_out_and_counts_it(bad, tmp_path):
    found = load_dataset(with_bad_row(tmp_path / "fer2013.csv", bad), skip_bad=True)
    assert found.skipped == 1
    assert np.array_equal(found.faces, np.delete(TINY.faces, 2, axis=0))


def test_a_bad_row_in_an_archive_names_archive_member_and_line(tmp_path):
    table = with_bad_row(tmp_path / "fer2013.csv", "label-7").read_bytes()
    path = faces.write_zip(tmp_path / "a.zip", {"fer2013.csv": table})
    assert refusal(path).startswith(f"{path}/fer2013.csv line 4: unknown label '7'")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_table_cut_within_a_row_names_that_row(share, tmp_path):
    cut = CSV["fer2013.csv"][: int(len(CSV["fer2013.csv"]) * share)]
    path = tmp_path / "fer2013.csv"
    path.write_bytes(cut)
    line = len(cut.splitlines())
    assert refusal(path).startswith(f"{path} line {line}: ")


@pytest.mark.parametrize(
    ("header", "missing"),
    [
        ("emotion,Usage", "pixels"),
        ("emotion,pixels", "usage"),
        ("label,image,split", "emotion, pixels, usage"),
        ("", ""),
    ],
)
def test_a_missing_column_is_named(header, missing, tmp_path):
    path = faces.write_lines(tmp_path / "fer2013.csv", [header] if header else [])
    assert refusal(path).startswith(f"{path} line 1: no column {missing or 'emotion, pixels, usage'}; the header has")


def test_a_quote_that_does_not_end_is_refused_with_its_line(tmp_path):
    lines = faces.csv_lines(faces.tiny(training=5, public=0, private=0))
    lines[2] = lines[2].replace(",", ',"', 1)
    path = faces.write_lines(tmp_path / "fer2013.csv", lines)
    assert "not CSV (field larger than field limit" in refusal(path)


def test_a_table_without_rows_is_refused(tmp_path):
    path = faces.write_lines(tmp_path / "fer2013.csv", ["emotion,pixels,Usage"])
    assert refusal(path) == f"{path}: no usable rows (0 bad ones skipped)"


def test_a_table_with_bad_rows_alone_is_refused_also_with_skip_bad(tmp_path):
    lines = ["emotion,pixels,Usage", "9,1 2 3,Training", "0,1 2 3,Training"]
    path = faces.write_lines(tmp_path / "fer2013.csv", lines)
    assert refusal(path, skip_bad=True) == f"{path}: no usable rows (2 bad ones skipped)"


def test_a_missing_split_is_named_with_those_that_there_are(tmp_path):
    path = faces.write_csv(tmp_path / "fer2013.csv", faces.tiny(training=2, public=0, private=1))
    with pytest.raises(DataError) as caught:
        load_dataset(path).split(PUBLIC_TEST)
    assert str(caught.value) == f"{path}: no rows of split PublicTest; found: Training (14), PrivateTest (7)"


# --- bad archives and folders ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 0.1, 0.5, 0.9, 0.99])
@pytest.mark.parametrize("form", ["zip", "tar.gz", "tar", "kaggle-zip", "kaggle-tar.gz"])
def test_an_archive_cut_short_is_refused_at_every_length(form, share, tmp_path):
    path = FORMS[form](tmp_path)
    data = path.read_bytes()
    # A tar ends with up to 10 KB of zeros, of which the loss is no loss.
    path.write_bytes(data[: int(len(data.rstrip(b"\0")) * share)])
    assert refusal(path).startswith(f"{path}: the archive is damaged, cut short or encrypted (")


def test_a_tar_that_ends_between_two_images_is_refused(tmp_path):
    path = faces.write_tar(tmp_path / "a.tar", KAGGLE)
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"test/angry/")])
    assert "no end mark" in refusal(path)


def test_a_changed_pixel_in_a_zip_is_found_by_its_checksum(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:  # stored, so that the row stays readable
        archive.writestr("fer2013.csv", CSV["fer2013.csv"])
    path.write_bytes(path.read_bytes().replace(b" 100 ", b" 101 ", 1))
    assert refusal(path).startswith(f"{path}: the archive is damaged, cut short or encrypted (Bad CRC-32")


def test_a_zip_with_a_password_is_refused(tmp_path):
    path = faces.write_zip(tmp_path / "a.zip", {"fer2013.csv": b"x"})
    data = path.read_bytes()
    # Bit 0 of the flags, at 6 of the member's header and 8 of the directory's entry, says "encrypted".
    at = data.index(b"PK\x01\x02") + 8
    path.write_bytes(data[:6] + b"\x01" + data[7:at] + b"\x01" + data[at + 1 :])
    assert "encrypted" in refusal(path)


def test_an_archive_with_neither_table_nor_images_is_refused(tmp_path):
    path = faces.write_zip(tmp_path / "a.zip", {"readme.txt": b"x"})
    assert refusal(path).startswith(f"{path}: neither fer2013.csv nor class folders with images")


def test_a_path_that_is_not_there_is_refused(tmp_path):
    assert refusal(tmp_path / "no.csv").startswith(f"{tmp_path / 'no.csv'}: not found; name fer2013.csv")


def test_a_file_of_another_kind_is_refused(tmp_path):
    path = faces.write_lines(tmp_path / "fer2013.parquet", ["x"])
    assert refusal(path).startswith(f"{path}: unknown kind of file; expected .csv, .zip, .tar.gz or a folder")


def test_an_empty_folder_is_refused(tmp_path):
    assert refusal(tmp_path).startswith(f"{tmp_path}: neither fer2013.csv nor class folders")


@pytest.mark.parametrize("inside", [None, ".gitkeep"])
def test_an_empty_class_folder_is_named(inside, tmp_path):
    empty = faces.write_folder(tmp_path, KAGGLE) / "test" / "contempt"
    empty.mkdir()
    if inside:
        (empty / inside).touch()
    assert refusal(tmp_path) == f"{empty}: the class folder is empty; add images or remove the folder"


@pytest.mark.parametrize("bad", [b"", b"not an image", faces.encode(TINY.faces[0])[:200]], ids=["empty", "text", "cut"])
@pytest.mark.parametrize("archive", [False, True], ids=["folder", "zip"])
def test_a_image_that_does_not_decode_is_named_and_skip_bad_counts_it(bad, archive, tmp_path):
    files = KAGGLE | {"train/happy/bad.png": bad}
    path = faces.write_zip(tmp_path / "a.zip", files) if archive else faces.write_folder(tmp_path / "data", files)
    assert refusal(path).startswith(f"{path}/train/happy/bad.png: does not decode as an image")
    found = load_dataset(path, skip_bad=True)
    assert found.skipped == 1
    assert faces.content(found) == faces.content(TINY)


@pytest.mark.parametrize("place", ["1.png", "test/1.png", "train/1.png"])
def test_a_image_outside_any_class_folder_is_named(place, tmp_path):
    faces.write_folder(tmp_path, KAGGLE | {place: faces.encode(TINY.faces[0])})
    assert refusal(tmp_path).startswith(f"{tmp_path / place}: lies in no class folder")


def test_a_folder_in_place_of_the_table_is_refused_with_the_reason(tmp_path):
    path = tmp_path / "archive.zip"
    path.mkdir()
    (path / "fer2013.csv").mkdir()
    assert refusal(path).startswith(f"{path / 'fer2013.csv'}: the class folder is empty")


# --- FER+ -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    return faces.write_csv(tmp_path / "fer2013.csv", TINY)


@pytest.fixture
def votes(tmp_path):
    """Write fer2013new.csv with line `number` replaced, or left out where `line` is None."""

    def write(number=None, line=None):
        lines = faces.ferplus_lines(TINY)
        if number is not None:
            lines[number - 1 : number] = [] if line is None else [line]
        return faces.write_lines(tmp_path / "fer2013new.csv", lines)

    return write


def votes_of(dataset):
    assert dataset.ferplus_votes is not None
    return dataset.ferplus_votes.tolist()


def expected_votes(rows):
    expected = np.zeros((len(rows), 10), np.uint8)
    for place, row in enumerate(rows):
        expected[place, row % 10], expected[place, (row + 1) % 10] = 8, 2
    return expected.tolist()


def test_ferplus_gives_each_row_its_ten_votes(table, votes):
    assert votes_of(load_dataset(table, ferplus=votes())) == expected_votes(range(len(TINY)))


def test_votes_stay_with_their_row_when_a_row_before_is_skipped(tmp_path, votes):
    table = with_bad_row(tmp_path / "fer2013.csv", "text")
    found = load_dataset(table, ferplus=votes(), skip_bad=True)
    assert votes_of(found) == expected_votes([n for n in range(len(TINY)) if n != 2])


def test_votes_go_along_with_a_split(table, votes):
    found = load_dataset(table, ferplus=votes()).split(PRIVATE_TEST)
    assert votes_of(found) == expected_votes(range(35, 42))


def test_ferplus_also_goes_with_a_table_in_an_archive(tmp_path, votes):
    assert load_dataset(FORMS["zip"](tmp_path), ferplus=votes()).votes is not None


BAD_VOTES = {
    "a-row-missing": (5, None, ": 41 rows, but the data set has 42; FER+ goes by row order"),
    "another-split": (
        5,
        "PublicTest,a.png,10,0,0,0,0,0,0,0,0,0",
        " line 5: usage 'PublicTest', but the data set's row is Training",
    ),
    "eleven-votes": (5, "Training,a.png,11,0,0,0,0,0,0,0,0,0", " line 5: votes ['11', '0'"),
    "negative": (5, "Training,a.png,-1,0,0,0,0,0,0,0,0,0", " line 5: votes ['-1', '0'"),
    "cut-short": (43, "Training,a.png,10,0", " line 43: 4 columns, expected 12"),
}


@pytest.mark.parametrize("bad", BAD_VOTES)
def test_bad_votes_are_refused_with_file_row_and_reason(bad, table, votes):
    number, line, reason = BAD_VOTES[bad]
    path = votes(number, line)
    assert refusal(table, ferplus=path).startswith(f"{path}{reason}")


def test_a_file_that_is_not_ferplus_is_refused_with_the_columns_that_it_lacks(table):
    assert "line 1: no column neutral, happiness, surprise" in refusal(table, ferplus=table)


def test_ferplus_that_is_not_there_is_refused(table, tmp_path):
    path = tmp_path / "no.csv"
    assert refusal(table, ferplus=path) == f"{path}: cannot be read (No such file or directory)"


def test_ferplus_is_refused_for_images_which_have_no_row_order(tmp_path, votes):
    folder = faces.write_folder(tmp_path / "data", KAGGLE)
    assert "FER+ votes go by the row order of fer2013.csv" in refusal(folder, ferplus=votes())
