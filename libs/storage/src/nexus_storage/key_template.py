"""Templates of keys, such as `{app}/{room}/{date}/{recording}/{identity}-{source}`.

A template comes from an operator or from a request, and the values come from users, so neither may decide
where an object lands. The template is checked when it is parsed. A value keeps letters and digits of any
script and a few signs, is normalised (Unicode NFC) and shortened; whenever that changed anything, `~` and
a hash of the original follow, so that two different values never become the same. Values of a later field
in the same element of the key also lose the characters that separate the fields, because otherwise `a-b` and
`c` would become the same key as `a` and `b-c`.
"""

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from nexus_storage.errors import InvalidKey, InvalidTemplate
from nexus_storage.keys import MAX_ELEMENT_BYTES, MAX_KEY_BYTES, check_key

# Maximum size of a rendered value in UTF-8, without its hash.
MAX_VALUE_BYTES: Final = 60
# Number of hexadecimal digits of the hash: 48 bits, so among a million changed values two agree once in
# 560 times.
HASH_DIGITS: Final = 12
HASH_SIGN: Final = "~"
# Maximum length of the text of a template.
MAX_TEMPLATE_CHARACTERS: Final = 512

# Signs that a value keeps, besides letters and digits.
_SIGNS: Final = "-_.@+="
# Signs that replace other characters; the first that does not separate fields of this element is used.
_REPLACEMENTS: Final = "_-+="
_FIELD: Final = re.compile(r"\{([^{}]*)\}")
_LITERAL: Final = re.compile(r"[A-Za-z0-9@+=._-]*")


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    # Characters that a value loses, because they separate the fields of this element.
    separators: str
    replacement: str
    # A value at the beginning of an element must not begin with a dot.
    begins: bool

    def render(self, value: str) -> str:
        kept = "".join(self._kept(character) for character in unicodedata.normalize("NFC", value))
        if self.begins and kept.startswith("."):
            kept = self.replacement + kept[1:]
        kept = kept.encode()[:MAX_VALUE_BYTES].decode(errors="ignore") or self.replacement
        if kept == value:
            return kept
        original = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
        return kept + HASH_SIGN + original[:HASH_DIGITS]

    def _kept(self, character: str) -> str:
        # Letters, their marks, and numbers (Unicode Standard, section 4.5).
        plain = character in _SIGNS or unicodedata.category(character)[0] in "LMN"
        return character if plain and character not in self.separators else self.replacement


@dataclass(frozen=True, slots=True)
class KeyTemplate:
    """A checked template. `text` is its source, and `fields` are the names that it uses."""

    text: str
    fields: frozenset[str]
    _elements: tuple[tuple[str | _Field, ...], ...]

    @classmethod
    def parse(cls, text: str, known: Iterable[str]) -> "KeyTemplate":
        """Checks a template that may use the fields `known`.

        Raises InvalidTemplate for a name that is not known, for `..`, absolute and empty elements, for two
        fields without a separator between them, and for a template whose keys could be longer than a
        store accepts.
        """
        if len(text) > MAX_TEMPLATE_CHARACTERS:
            raise InvalidTemplate(f"a template has at most {MAX_TEMPLATE_CHARACTERS} characters")
        names = frozenset(known)
        elements = tuple(_parse_element(element, names) for element in text.split("/"))
        longest = sum(_longest(element) + 1 for element in elements) - 1
        if longest > MAX_KEY_BYTES or any(_longest(element) > MAX_ELEMENT_BYTES for element in elements):
            raise InvalidTemplate(
                f"keys of this template could have more than {MAX_KEY_BYTES} bytes, "
                f"or {MAX_ELEMENT_BYTES} between slashes"
            )
        template = cls(
            text,
            frozenset(piece.name for element in elements for piece in element if isinstance(piece, _Field)),
            elements,
        )
        try:
            template.render(dict.fromkeys(template.fields, "x"))
        except InvalidKey as error:
            raise InvalidTemplate(error.message) from None
        return template

    def render(self, values: Mapping[str, str]) -> str:
        """The key for these values, which need a value for each field. Different values of the fields give
        different keys. Raises KeyError for a missing value."""
        return check_key(
            "/".join("".join(_render(piece, values) for piece in element) for element in self._elements)
        )


def _render(piece: str | _Field, values: Mapping[str, str]) -> str:
    return piece if isinstance(piece, str) else piece.render(values[piece.name])


def _parse_element(text: str, known: frozenset[str]) -> tuple[str | _Field, ...]:
    """One element of the key: literals and fields in turn."""
    if text in ("", ".", ".."):
        raise InvalidTemplate("a template must be relative and without empty elements, . and ..")
    pieces = _FIELD.split(text)  # literal, name, literal, name, …, literal
    literals, names = pieces[::2], pieces[1::2]
    for literal in literals:
        if not _LITERAL.fullmatch(literal):
            raise InvalidTemplate("between fields, a template may have letters, digits and - _ . @ + =")
    for name in names:
        if name not in known:
            raise InvalidTemplate("the template has an unknown field", field=name[:64])
    if not all(literals[1:-1]):
        raise InvalidTemplate("two fields of a template need a separator between them")
    separators = "".join(literals[1:-1])
    replacement = next((sign for sign in _REPLACEMENTS if sign not in separators), "")
    if not replacement:
        raise InvalidTemplate("an element of the template has too many kinds of separators")
    result: list[str | _Field] = [literals[0]]
    for index, (name, literal) in enumerate(zip(names, literals[1:], strict=True)):
        own = separators if index else ""
        result += [_Field(name, own, replacement, begins=index == 0 and not literals[0]), literal]
    return tuple(piece for piece in result if piece)


def _longest(element: tuple[str | _Field, ...]) -> int:
    value = MAX_VALUE_BYTES + len(HASH_SIGN) + HASH_DIGITS
    return sum(len(piece) if isinstance(piece, str) else value for piece in element)
