"""Uploaded photos: accepted formats, limits, results."""

import io
from contextlib import closing

import cv2
import numpy as np
import pytest
from PIL import Image

from edge.types import Box
from tests.support.image_files import jpeg_in_scans, tiff_header
from tests.support.images import PORTRAIT_FACE

pytest.importorskip("tornado", reason="pip install 'emotion-edge[web]'")

from edge.sinks.web import photo_queue
from tests.support.web_client import encode_jpeg, running_sink


@pytest.fixture(scope="module")
def client(classifier):
    """A client of a sink that analyzes photos as `edge run` does."""
    from edge.app import make_image_worker, make_run_info
    from edge.config.settings import RunSettings
    from edge.system.stop_signals import StopSignals

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(photo_queue, "MAX_PENDING_PHOTOS", 100)
        patch.setattr(photo_queue, "MAX_PHOTOS", 1000)
        with (
            closing(make_image_worker(RunSettings())) as worker,
            running_sink("0", make_run_info(RunSettings(), (), classifier, worker, StopSignals(), live=True)) as client,
        ):
            yield client


def test_photo_is_analyzed_in_each_format(client, portrait):
    for ending in (".jpg", ".png", ".webp"):
        content = cv2.imencode(ending, portrait)[1].tobytes()
        response = client.post_photo(content, "application/octet-stream").json
        (face,) = response["faces"]
        assert (response["width"], response["height"], face["label"]) == (512, 512, "happy")
        assert Box(*face["box"]).iou(PORTRAIT_FACE) > 0.5


def test_photo_is_rotated_by_its_exif_orientation(client, portrait):
    rotated = Image.fromarray(np.rot90(portrait[:400, :, ::-1], 1))
    exif, content = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    rotated.save(content, "JPEG", exif=exif)
    response = client.post_photo(content.getvalue()).json
    (face,) = response["faces"]
    assert (response["width"], response["height"]) == (512, 400)
    assert Box(*face["box"]).iou(PORTRAIT_FACE) > 0.5


def test_large_jpeg_is_downscaled(client, portrait):
    large = cv2.resize(portrait, (8000, 6000))
    response = client.post_photo(encode_jpeg(large)).json
    assert max(response["width"], response["height"]) <= 1280
    assert response["faces"][0]["label"] == "happy"


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 422, "not a JPEG, PNG or WebP image"),
        (b"GIF89a" + bytes(100), 422, "not a JPEG, PNG or WebP image"),
        (tiff_header(100, 100), 422, "not a JPEG, PNG or WebP image"),
        (b"\xff\xd8\xff", 422, "incomplete"),
        (b"\xff\xd8" + bytes(100), 422, "damaged"),
        (jpeg_in_scans(8900, 3), 422, "8900 x 8900 pixels; the limit for this kind is 14.5 million"),
        (jpeg_in_scans(3000, 60), 422, "in 60 scans; a photo has about 10"),
        (bytes(photo_queue.MAX_PHOTO_BYTES + 1), 413, "10 MB"),
    ],
)
def test_upload_that_is_no_photo_is_refused_with_a_reason(client, content, status, words):
    response = client.post_photo(content)
    assert response.status == status
    assert words in response.json["error"]


def test_photo_cut_at_any_byte_is_refused_or_analyzed(client, portrait):
    for ending in (".jpg", ".png", ".webp"):
        content = cv2.imencode(ending, portrait)[1].tobytes()
        for length in (*range(1, 40), len(content) // 2):
            assert client.post_photo(content[:length]).status in (200, 422), (ending, length)


def test_photo_of_unknown_length_is_limited(client):
    chunks = iter([bytes(1 << 20)] * 11)
    assert client.request("POST", "/api/analyze", chunks, {"Content-Type": "image/jpeg"}).status == 413


def test_only_a_post_with_an_image_type_is_accepted(client):
    assert client.post_photo(b"x", "text/plain").status == 415
    assert client.get("/api/analyze").status == 405


def test_option_no_photo_refuses_photos(portrait):
    with running_sink("0,no-photo") as client:
        assert client.post_photo(encode_jpeg(portrait)).status == 404


def test_photos_of_one_address_are_limited(monkeypatch, portrait):
    monkeypatch.setattr(photo_queue, "MAX_PHOTOS", 2)
    with running_sink() as client:
        responses = [client.post_photo(encode_jpeg(portrait)) for _ in range(3)]
    assert [response.status for response in responses] == [200, 200, 429]
    assert 0 < int(responses[2].headers["Retry-After"]) <= 61


def test_photo_is_refused_while_the_queue_is_full(monkeypatch, portrait):
    monkeypatch.setattr(photo_queue, "MAX_PENDING_PHOTOS", 0)
    with running_sink() as client:
        response = client.post_photo(encode_jpeg(portrait))
    assert (response.status, response.headers["Retry-After"]) == (429, "2")
