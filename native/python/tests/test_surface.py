"""The module matches its stub, and only a tap's batches could carry packets."""

import ast
from enum import Enum
from pathlib import Path

import nexus_media as media
import pytest
from nexus_media import _engine

STUB = ast.parse((Path(media.__file__).parent / "_engine.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
ENUMS = {name for name, node in CLASSES.items() if any(ast.unparse(b) == "Enum" for b in node.bases)}
# Types that may cross between Python and the engine: numbers, strings, flags and the classes of the stub.
PLAIN = {"int", "float", "str", "bool", "None", "Sequence", "list", "dict", "tuple", "Event", "..."}


def members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    found: dict[str, ast.stmt] = {}
    for item in node.body:
        if isinstance(item, ast.FunctionDef):
            found[item.name] = item
        elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
            found[item.target.id] = item
    return found


def names_in(annotation: ast.expr | None) -> set[str]:
    return {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)} if annotation else set()


def annotations() -> list[tuple[str, set[str]]]:
    """Every annotation of the stub and its location."""
    found = []
    for name, node in CLASSES.items():
        for member, item in members(node).items():
            where = f"{name}.{member}"
            if isinstance(item, ast.AnnAssign):
                found.append((where, names_in(item.annotation)))
            elif isinstance(item, ast.FunctionDef):
                given = [*item.args.args, *item.args.kwonlyargs]
                found += [(where, names_in(a.annotation)) for a in given]
                found.append((where, names_in(item.returns)))
    return found


def test_only_a_taps_batch_could_carry_a_packet() -> None:
    allowed = PLAIN | set(CLASSES)
    assert len(annotations()) > 100  # the walk finds the stub
    carrying = [(where, names - allowed) for where, names in annotations() if names - allowed]
    # The end of a tap and the server's data messages are made in Python; they are not packets.
    assert carrying == [
        ("TapBatch.records", {"bytes"}),
        ("Engine.finish_tap", {"bytes"}),
        ("Engine.send_data", {"bytes"}),
    ]


def test_the_module_defines_exactly_what_the_stub_does() -> None:
    public = {name for name in vars(_engine) if not name.startswith("_")}
    assert public == set(CLASSES)
    assert set(media.__all__) == public | {"Event"}


@pytest.mark.parametrize("name", sorted(set(CLASSES) - ENUMS))
def test_each_class_has_the_members_of_its_stub(name: str) -> None:
    real = {m for m in vars(getattr(_engine, name)) if not m.startswith("_")}
    stub = members(CLASSES[name])
    listed = {m for m in stub if not m.startswith("_")}
    if "__getattr__" in stub:
        # Counters: services/sfu/tests/test_counters.py compares their names with the messages.
        assert listed <= real
    else:
        assert listed == real


@pytest.mark.parametrize("name", sorted(ENUMS))
def test_each_enum_has_the_values_of_its_stub(name: str) -> None:
    stub = {
        item.targets[0].id: ast.literal_eval(item.value)
        for item in CLASSES[name].body
        if isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name)
    }
    real = getattr(_engine, name)
    assert issubclass(real, Enum)
    assert {member.name: member.value for member in real} == stub


@pytest.mark.parametrize(
    ("name", "method"),
    [
        (name, member)
        for name, node in CLASSES.items()
        for member, item in members(node).items()
        if isinstance(item, ast.FunctionDef) and not item.decorator_list and member != "__getattr__"
    ],
)
def test_each_call_has_the_parameters_of_its_stub(name: str, method: str) -> None:
    item = members(CLASSES[name])[method]
    assert isinstance(item, ast.FunctionDef)
    expected = [a.arg for a in [*item.args.args, *item.args.kwonlyargs] if a.arg != "self"]
    if (name, method) == ("Engine", "__init__"):
        method = "__new__"  # nanobind constructs immovable types there; the first overload is for pickling
    signature = getattr(getattr(_engine, name), method).__nb_signature__[-1][0]
    parsed = ast.parse(signature.replace("\\", "_") + ": ...").body[0]
    assert isinstance(parsed, ast.FunctionDef)
    real = [a.arg for a in [*parsed.args.args, *parsed.args.kwonlyargs]][1:]
    assert real == expected, signature
