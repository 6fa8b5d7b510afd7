"""The file of --augment: what `write` makes `read` takes, and a wrong file is one line with the key and the reason."""

from dataclasses import asdict, fields, replace

import pytest

from edge.errors import SettingsError
from trainer.data import augmentation_file
from trainer.data.augmentation import NO_AUGMENTATION, Augmentation

VALUES = {"rotate": 7.5, "shear": 10.0, "shift": 0.25, "brightness": 12.0, "noise": 1.0}


@pytest.fixture
def read(tmp_path):
    """Return a function that reads a file with the given content."""
    path = tmp_path / "augment.toml"

    def read(content):
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return augmentation_file.read(path)

    return read


@pytest.mark.parametrize("augmentation", [Augmentation(), NO_AUGMENTATION, Augmentation(flip=False, **VALUES)])
def test_written_file_is_read_back(augmentation, read):
    text = augmentation_file.write(augmentation)
    assert read(text) == augmentation
    assert [line.partition(" = ")[0] for line in text.splitlines()] == [field.name for field in fields(Augmentation)]


def test_missing_keys_have_their_defaults(read):
    assert read("") == Augmentation()
    assert read("shear = 10") == replace(Augmentation(), shear=10.0)


def test_integers_are_saved_as_the_numbers_that_they_equal(read):
    assert isinstance(asdict(read("rotate = 12"))["rotate"], float)  # settings.json must be the same for --resume


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("sheer = 10", r"unknown key 'sheer'; the keys are flip, rotate, shear, .*erase$"),
        ("[shear]\nmax = 1", "shear is of type dict, expected a number, 0 to 60 degrees$"),
        ('shear = "10"', "shear is of type str"),
        ("shear = true", "shear is of type bool"),
        ("flip = 1", "flip is of type int, expected true or false$"),
        ("shear = 61", "shear is 61.0, expected 0 to 60 degrees$"),
        ("rotate = -1", "rotate is -1.0, expected 0 to 180 degrees$"),
        ("blur = nan", "blur is nan, expected 0 to 1$"),
        ("noise = inf", "noise is inf, expected 0 to 1$"),
        (f"noise = 0x{'f' * 5000}", "noise is too large, expected 0 to 1$"),
        (f"noise = {'9' * 5000}", "not valid TOML"),
        ("noise", "not valid TOML"),
        ("noise = 0\nnoise = 1", "not valid TOML"),
        (f"noise = {'[' * 20_000}", "not valid TOML"),
        (b"noise = 0 # \xff", "not valid TOML"),
        ("#" * 70_000, "more than 65,536 bytes"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_wrong_file_is_one_line_with_the_reason(content, reason, read, tmp_path):
    with pytest.raises(SettingsError, match=reason) as caught:
        read(content)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'augment.toml'}: ")
    assert "\n" not in message


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"no\.toml: cannot be read \(No such file"):
        augmentation_file.read(tmp_path / "no.toml")
