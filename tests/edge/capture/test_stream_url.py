"""The address of a network camera is parsed at one door, which lets no password in and none out."""

import ssl

import pytest

from edge.capture import stream_url
from edge.capture.stream_url import Login, parse
from edge.errors import SettingsError, UsageError

SECRET = "hunter2"


def test_an_address_has_its_parts_and_the_default_port():
    url = parse("RTSP://admin@Camera.local/live?channel=1")
    assert (url.scheme, url.host, url.port, url.target, url.user) == (
        *("rtsp", "camera.local", 554, "/live?channel=1", "admin"),
    )
    assert parse("https://[fe80::1]:8443").address == "[fe80::1]:8443"
    assert parse("https://camera").target == "/"


def test_messages_have_neither_user_nor_query():
    assert str(parse("http://admin@camera/video?channel=1#insecure".replace("#insecure", ""))) == (
        "http://camera:80/video"
    )


@pytest.mark.parametrize(
    "address",
    [
        f"rtsp://admin:{SECRET}@camera/live",
        f"https://:{SECRET}@camera/",
        f"http://camera/video?user=admin&pwd={SECRET}",
        f"http://camera/video?Password={SECRET}",
        *(
            f"http://camera/video?loginuse=a&{key}={SECRET}"
            for key in ("loginpas", "psw", "auth", "api_key", "userpwd")
        ),
        f"rtsp://camera/user=admin_password={SECRET}_channel=1_stream=0.sdp",
        f"rtsp://camera/user=admin&p%61ssword={SECRET}",
        f"rtsp://camera/live/admin:{SECRET}@x",
        f" rtsp://admin:{SECRET}@camera/live",
        f"rtmp://admin:{SECRET}@camera/live",
        f"rtsp://admin:{SECRET}@camera:port/live",
        f"rtsp://admin:{SECRET}@[camera/live",
        f"rtsp://admin:{SECRET} @camera/live",
        f"rtsp://camera/live#password={SECRET}",
        f"rtsp://camera/live#{SECRET}",
    ],
)
def test_a_password_is_refused_and_not_repeated(address):
    with pytest.raises(UsageError) as caught:
        parse(address)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("rtsp://", "no valid host"),
        ("rtsp://camera:0/", "no valid host or port"),
        ("rtsp://camera:99999/", "no URL"),
        ("rtsp://cam;era/", "no valid host"),
        ("http://camera/\n", "printable"),
        ("http://camera/" + "a" * 2000, "too long"),
        ("http://camera/#insecure", "no certificate"),
        ("https://camera/#insecure,ca=/a", "one of them"),
        ("https://camera/#insecur", "options are insecure, ca"),
        ("https://camera/#ca=/a,insecur", "did you mean insecure"),
    ],
)
def test_a_wrong_address_is_refused_with_the_reason(address, message):
    with pytest.raises(UsageError, match=message):
        parse(address)


def test_a_login_comes_from_files_environment_or_systemd(tmp_path):
    (tmp_path / "password").write_text("of a file\n")
    (tmp_path / "camera-password").write_text("of systemd")
    environment = {"EMOTION_EDGE_CAMERA_USER": "of the environment", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    named = parse(f"rtsp://camera/#password-file={tmp_path}/password")
    assert named.load_login(environment) == Login("of the environment", "of a file")
    assert parse("rtsp://admin@camera/").load_login(environment) == Login("admin", "of systemd")
    assert parse("rtsp://camera/").load_login({}) == Login(None, None)


def test_a_password_without_a_user_is_refused():
    with pytest.raises(SettingsError, match="without a user"):
        parse("rtsp://camera/").load_login({"EMOTION_EDGE_CAMERA_PASSWORD": SECRET})


def test_a_placeholder_in_the_path_stands_for_the_password():
    url = parse("rtsp://camera/user={user}_password={password}_channel=1.sdp")
    assert url.target_for(Login("eva", "a b")) == "/user=eva_password=a%20b_channel=1.sdp"


def test_placeholders_in_the_query_stand_for_user_and_password():
    url = parse("http://camera/video?usr={user}&pwd={password}")
    assert url.target_for(Login("admin", "a&b")) == "/video?usr=admin&pwd=a%26b"
    with pytest.raises(SettingsError, match="EMOTION_EDGE_CAMERA_PASSWORD"):
        url.target_for(Login("admin"))


def test_certificates_are_verified_unless_insecure_is_said(tmp_path):
    verifying, insecure = (parse(f"https://camera/{end}").make_tls_context() for end in ("", "#insecure"))
    assert verifying is not None
    assert insecure is not None
    assert (verifying.verify_mode, verifying.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert (insecure.verify_mode, insecure.check_hostname) == (ssl.CERT_NONE, False)
    assert parse("http://camera/").make_tls_context() is None
    (tmp_path / "ca.pem").write_text("no certificate")
    with pytest.raises(SettingsError, match="expected certificates in PEM"):
        parse(f"https://camera/#ca={tmp_path}/ca.pem").make_tls_context()


def test_only_texts_with_a_scheme_are_addresses():
    assert [stream_url.is_address(each) for each in ("rtsp://a", "x://a", "file://a", "a/b://c", "usb:0")] == [
        *(True, True, False, False, False),
    ]
