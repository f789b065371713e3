from __future__ import annotations

import io
import logging

import pytest

from pipeline.config.config import CameraConfig
from pipeline.core.redaction import RedactingFilter, Redactor
from pipeline.core.stream_address import StreamAddress, is_stream

PASSWORDS = ["plain-secret", "p@ss", "a/b#c:d", "ü ber?x", "%41bc", "pass:word"]


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize("quoted", [True, False])
def test_a_password_is_cut_out_of_an_address_however_it_was_written(password: str, quoted: bool) -> None:
    if not quoted and "%" in password:
        pytest.skip("a percent sign must be written as %25")
    encoded = StreamAddress("rtsp://h", "u", password).with_credentials()
    written = encoded.partition("://")[2].rpartition("@")[0] if quoted else f"u:{password}"
    address = StreamAddress.parse(f"rtsp://{written}@10.0.0.1:554/stream1?a=b")
    assert address.url == "rtsp://10.0.0.1:554/stream1?a=b"
    assert (address.username, address.password) == ("u", password)
    assert password not in repr(address)
    assert StreamAddress.parse(address.with_credentials()) == address


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://host/path",
        "rtsp://host:554/a@b",
        "http://host/x?mail=a@b",
        "/dev/video0",
        "rtsp://[::1]:554/x",
        "rtsp://[::1]/s?a@b",
        "rtsp://[::1]:554/s?a@b",
        "rtsp://[fe80::1%25eth0]/x@y",
        "rtsp://[::ffff:10.0.0.1]?a@b",
    ],
)
def test_an_address_without_credentials_stays_as_it_is(text: str) -> None:
    assert StreamAddress.parse(text) == StreamAddress(text)
    assert is_stream(text)


@pytest.mark.parametrize("rest", ["/s", "/s?a@b", ":554/s?a@b", "?x=1"])
def test_an_ipv6_host_may_follow_a_login(rest: str) -> None:
    address = StreamAddress.parse(f"rtsp://u:p@ss@[2001:db8::1]{rest}")
    assert address.url == f"rtsp://[2001:db8::1]{rest}"
    assert (address.username, address.password) == ("u", "p@ss")


@pytest.mark.parametrize("text", ["RTSP://Host/Path", "Rtsp://u:Pass@Host/Path", "HTTPS://Host/a.M3U8"])
def test_a_scheme_in_capitals_becomes_one_that_ffmpeg_knows(text: str) -> None:
    address = StreamAddress.parse(text)
    scheme, _, rest = text.partition("://")
    assert address.url == f"{scheme.lower()}://{rest.rpartition('@')[2]}"
    assert address.password in (None, "Pass")
    assert CameraConfig(name="a", source=text).source == address.url


@pytest.mark.parametrize("password", PASSWORDS)
def test_a_secret_is_hidden_in_every_form(password: str) -> None:
    redact = Redactor([password])
    url = StreamAddress("rtsp://h/x", "user-name", password).with_credentials()
    for text in (password, url, f"HTTPError: 401: '{url}'", f"<InputContainer {url!r}>"):
        shown = redact(text)
        assert password not in shown
        assert "user-name" not in shown
    assert redact("nothing to hide at rtsp://h/x") == "nothing to hide at rtsp://h/x"


def test_users_of_unknown_urls_are_hidden_too() -> None:
    assert (
        Redactor()("opening rtsp://admin:1234@cam/1 and http://x@y/z")
        == "opening rtsp://***@cam/1 and http://***@y/z"
    )


@pytest.mark.parametrize("key", ["user", "username", "password", "PWD", "pass", "token"])
@pytest.mark.parametrize("before", ["?", "?a=b&", "", "a=b&"])
def test_logins_among_the_parameters_of_a_url_are_hidden(key: str, before: str) -> None:
    shown = Redactor()(f"opening 'rtsp://h:554/{before}{key}=1234&channel=1' failed")
    assert shown == f"opening 'rtsp://h:554/{before}{key}=***&channel=1' failed"


def test_texts_in_structures_are_cleaned_and_nothing_else_is() -> None:
    content = {"a": ["ü-secret", 1, None], "b": {"c": ("rtsp://u@h", 2.5, True)}}
    assert Redactor(["ü-secret"]).values(content) == {
        "a": ["***", 1, None],
        "b": {"c": ["rtsp://***@h", 2.5, True]},
    }


def test_log_records_are_cleaned_whole() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logging.Formatter("%(message)s"))
    handler.addFilter(RedactingFilter(Redactor(["hunter22"])))
    log = logging.getLogger("tests.redaction")
    log.addHandler(handler)
    log.propagate = False
    try:
        log.warning("connecting to %s with %r", "rtsp://a:hunter22@h/x", {"password": "hunter22"})
        try:
            raise ValueError("rtsp://a:hunter22@h/x failed")
        except ValueError:
            log.exception("it failed")
    finally:
        log.removeHandler(handler)
        log.propagate = True
    assert "hunter22" not in stream.getvalue()
    assert "Traceback" in stream.getvalue()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://h/a.m3u8?sig=abc&Expires=12&x_token=9", "http://h/a.m3u8?sig=***&Expires=12&x_token=***"),
        (
            "http://h/a?authcode=1&key=2&secret=3&session=4&auth=5",
            "http://h/a?authcode=***&key=***&secret=***&session=***&auth=***",
        ),
        (
            "http://h/a?X-Amz-Signature=dd&keyframe=1&design=2",
            "http://h/a?X-Amz-Signature=***&keyframe=1&design=2",
        ),
        ("srt://h:9000?streamid=publish:x&passphrase=kk", "srt://h:9000?streamid=***&passphrase=***"),
        ("rtsps://h:7441/kcNQ5ZbBWCkLN7yT?enableSrtp", "rtsps://h:7441/***?enableSrtp"),
        ("https://h/v1/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x.m3u8", "https://h/v1/***/x.m3u8"),
        ("rtmp://h/live/abcd-1234-efgh-5678", "rtmp://h/live/***"),
        ("rtmp://h/live/secret42", "rtmp://h/live/***"),
        # Ordinary addresses stay readable.
        ("rtmp://h/live/entrance", "rtmp://h/live/entrance"),
        ("rtsp://h/Streaming/Channels/101", "rtsp://h/Streaming/Channels/101"),
        ("rtsp://h/h264Preview_01_main", "rtsp://h/h264Preview_01_main"),
        ("rtsp://h/cam/realmonitor?channel=1&subtype=0", "rtsp://h/cam/realmonitor?channel=1&subtype=0"),
    ],
)
def test_secrets_of_an_address_are_hidden_and_the_rest_is_not(url: str, shown: str) -> None:
    assert Redactor()(f"open {url} failed") == f"open {shown} failed"
