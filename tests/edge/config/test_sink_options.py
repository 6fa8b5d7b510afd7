"""The options after a sink's name are parsed, and each mistake in them is one line."""

from typing import Any

import pytest

from edge.config.sink_options import number, parse
from edge.errors import UsageError

OPTION_TYPES: dict[str, Any] = {"port": number(1, 65_535), "ratio": number(0, 1, float), "name": str, "loud": bool}


@pytest.mark.parametrize(
    ("argument", "first", "options"),
    [
        ("", "", {}),
        ("host", "host", {}),
        ("host:1883", "host:1883", {}),
        ("host,port=80", "host", {"port": 80}),
        ("host,ratio=0.5,name=a b", "host", {"ratio": 0.5, "name": "a b"}),
        ("port=80", "", {"port": 80}),
        ("loud", "", {"loud": True}),
        ("host,loud", "host", {"loud": True}),
        (",port=80", "", {"port": 80}),
        ("host,,port=80,", "host", {"port": 80}),
        ("host,name=a=b", "host", {"name": "a=b"}),
    ],
)
def test_the_first_part_values_and_flags_are_separated(argument, first, options):
    assert parse("x", argument, OPTION_TYPES) == (first, options)


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("host,prot=80", ("unknown option 'prot'", "port")),
        ("host,zzz", ("unknown option 'zzz'", "port, ratio, name, loud")),
        ("zzz=1", ("unknown option 'zzz'", "port, ratio, name, loud")),
        ("host,port=80,port=81", ("port", "twice")),
        ("host,loud,loud", ("loud", "twice")),
        ("host,loud=yes", ("loud=yes", "without a value")),
        ("host,port", ("port has no value", "port=VALUE")),
        ("host,port=", ("port has no value", "port=VALUE")),
        ("host,port=eighty", ("port is 'eighty'", "integer from 1 to 65535")),
        ("host,port=0", ("port is '0'", "integer from 1 to 65535")),
        ("host,port=65536", ("port is '65536'", "integer")),
        ("host,port=80.5", ("port is '80.5'", "integer")),
        ("host,ratio=1.1", ("ratio is '1.1'", "number from 0 to 1")),
        ("host,ratio=nan", ("ratio is 'nan'", "number from 0 to 1")),
    ],
)
def test_a_mistake_is_described_with_what_is_expected(argument, words):
    with pytest.raises(UsageError) as refused:
        parse("mqtt", argument, OPTION_TYPES)
    message = str(refused.value)
    assert message.startswith("sink mqtt: ")
    assert [word for word in words if word not in message] == []
    assert refused.value.exit_status == 2
