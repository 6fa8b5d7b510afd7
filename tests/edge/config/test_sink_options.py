"""What stands behind a sink's name is read as documented, and what is wrong in it is told in one line."""

from typing import Any

import pytest

from edge.config.sink_options import number, parse
from edge.errors import UsageError

KNOWN: dict[str, Any] = {"port": number(1, 65_535), "share": number(0, 1, float), "name": str, "loud": bool}


@pytest.mark.parametrize(
    ("argument", "first", "options"),
    [
        ("", "", {}),
        ("host", "host", {}),
        ("host:1883", "host:1883", {}),
        ("host,port=80", "host", {"port": 80}),
        ("host,share=0.5,name=a b", "host", {"share": 0.5, "name": "a b"}),
        ("port=80", "", {"port": 80}),
        ("loud", "", {"loud": True}),
        ("host,loud", "host", {"loud": True}),
        (",port=80", "", {"port": 80}),
        ("host,,port=80,", "host", {"port": 80}),
        ("host,name=a=b", "host", {"name": "a=b"}),
    ],
)
def test_the_first_word_the_values_and_the_switches_are_told_apart(argument, first, options):
    assert parse("x", argument, KNOWN) == (first, options)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("host,prot=80", "no option 'prot'; did you mean port?"),
        ("host,zzz", "no option 'zzz'; there are port, share, name, loud"),
        ("zzz=1", "no option 'zzz'; there are"),
        ("host,port=80,port=81", "port is there twice, expected once"),
        ("host,loud,loud", "loud is there twice"),
        ("host,loud=yes", "loud is 'yes', expected 'loud' alone: it is a switch"),
        ("host,port", "port has no value, expected port=VALUE"),
        ("host,port=", "port has no value, expected port=VALUE"),
        ("host,port=eighty", "port is 'eighty', expected a whole number from 1 to 65535"),
        ("host,port=0", "port is '0', expected a whole number from 1 to 65535"),
        ("host,port=65536", "port is '65536', expected a whole number"),
        ("host,port=80.5", "port is '80.5', expected a whole number"),
        ("host,share=1.1", "share is '1.1', expected a number from 0 to 1"),
        ("host,share=nan", "share is 'nan', expected a number from 0 to 1"),
    ],
)
def test_what_is_wrong_is_told_with_the_sink_and_what_is_expected(argument, words):
    with pytest.raises(UsageError) as refused:
        parse("mqtt", argument, KNOWN)
    assert str(refused.value).startswith(f"sink mqtt: {words}")
    assert refused.value.exit_status == 2
