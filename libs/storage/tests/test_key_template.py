"""Templates of keys: no value and no template can reach outside the store, and no two values collide."""

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nexus_storage import InvalidTemplate, KeyTemplate, check_key
from nexus_storage.key_template import MAX_VALUE_BYTES

FIELDS = ("app", "room", "date", "recording", "identity", "source")
DEFAULT = "{app}/{room}/{date}/{recording}/{identity}-{source}"
PLAIN = {
    "app": "acme",
    "room": "weekly",
    "date": "2026-12-01",
    "recording": "RC_1",
    "identity": "alice@example.org",
    "source": "camera",
}

nasty = st.sampled_from(
    ["", ".", "..", "../..", "/etc/passwd", "a/../b", "~", "-", "a-b", "\x00", "\ud800", " "]
)
texts = (
    nasty
    | st.text(max_size=20)
    | st.text(alphabet="ab-_.~/", max_size=6)
    | st.text(min_size=60, max_size=200)
)
templates = st.sampled_from(
    [
        DEFAULT,
        "{identity}-{source}",
        "{room}.{identity}-{source}.mp4",
        "x-{room}_{identity}",
        "{room}/{identity}",
    ]
)


def parse(text: str) -> KeyTemplate:
    return KeyTemplate.parse(text, FIELDS)


def test_plain_values_stay_as_they_are() -> None:
    assert parse(DEFAULT).render(PLAIN) == "acme/weekly/2026-12-01/RC_1/alice@example.org-camera"
    assert parse(DEFAULT).fields == frozenset(FIELDS)


@pytest.mark.parametrize("value", ["会議室", "Jürgen", "комната-7", "3f2a-11ee_b.c+d=e@f"])
def test_letters_of_any_script_stay(value: str) -> None:
    assert parse("{room}/x").render({"room": value}) == f"{value}/x"


@pytest.mark.parametrize(
    ("value", "beginning"),
    [
        ("..", "_.~"),
        ("../../etc/passwd", "_._.._etc_passwd~"),
        (".hidden", "_hidden~"),
        ("", "_~"),
        ("a/b", "a_b~"),
        ("a b", "a_b~"),
        ("x" * 4096, "x" * MAX_VALUE_BYTES + "~"),
        ("会" * 4096, "会" * 20 + "~"),
        ("e\u0301", "\u00e9~"),
    ],
)
def test_a_changed_value_shows_it(value: str, beginning: str) -> None:
    key = parse("{room}").render({"room": value})
    assert key.startswith(beginning)
    assert len(key) == len(beginning) + 12


def test_the_separator_of_a_later_field_is_replaced() -> None:
    template = parse("{identity}-{source}")
    assert template.render({"identity": "a-b", "source": "c"}) == "a-b-c"
    assert template.render({"identity": "a", "source": "b-c"}).startswith("a-b_c~")


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "/a", "a/", "a//b", "..", "../{room}", "{room}/..", ".", "a/./b", ".nexus/{room}"),
        *("a\\b", "a b", "a:b", "ü", "~", "\x00", "x" * 513),
        *("{room", "room}", "{{room}}", "{room}{identity}", "{room!r}", "{room:>99}"),
        *("{room}" + "-{identity}" * 4, "/".join(["{room}"] * 12), "{room}_{room}-{room}+{room}={room}"),
    ],
)
def test_bad_templates_are_refused(text: str) -> None:
    with pytest.raises(InvalidTemplate) as caught:
        parse(text)
    assert caught.value.error_code == "INVALID_ARGUMENT"


@pytest.mark.parametrize("name", ["", "user", "Room", "room.__class__", "0"])
def test_an_unknown_field_is_named(name: str) -> None:
    with pytest.raises(InvalidTemplate) as caught:
        parse("{room}/{" + name + "}")
    assert caught.value.details == ({"field": name} if name else {})


@given(templates, st.fixed_dictionaries(dict.fromkeys(FIELDS, texts)))
def test_every_key_is_one_that_every_store_accepts(text: str, values: dict[str, str]) -> None:
    key = parse(text).render(values)
    assert check_key(key) == key
    assert unicodedata.normalize("NFC", key) == key
    assert len(key.split("/")) == len(text.split("/"))


@given(
    templates,
    st.fixed_dictionaries(dict.fromkeys(FIELDS, texts)),
    st.fixed_dictionaries(dict.fromkeys(FIELDS, texts)),
)
def test_different_values_give_different_keys(text: str, one: dict[str, str], other: dict[str, str]) -> None:
    template = parse(text)
    assume(any(one[name] != other[name] for name in template.fields))
    assert template.render(one) != template.render(other)


@given(templates, st.lists(st.text(alphabet="a-_.~", max_size=3), min_size=6, max_size=12))
def test_values_near_each_other_do_not_collide(text: str, pool: list[str]) -> None:
    template = parse(text)
    rotations = [dict(zip(FIELDS, pool[index:] + pool[:index], strict=False)) for index in range(len(pool))]
    distinct = {tuple(values[name] for name in sorted(template.fields)) for values in rotations}
    assert len({template.render(values) for values in rotations}) == len(distinct)


@given(st.text(max_size=40) | st.text(alphabet="{}room/.-", max_size=20))
def test_any_text_is_a_template_or_refused(text: str) -> None:
    try:
        template = parse(text)
    except InvalidTemplate:
        return
    check_key(template.render(PLAIN))
