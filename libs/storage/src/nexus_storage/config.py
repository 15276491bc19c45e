"""The settings of services that use stores."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from nexus_runtime import ConfigError, ServiceConfig, setting
from pydantic import SecretStr, TypeAdapter, ValidationError

from nexus_storage.settings import StoreSettings, problems_in_files

MAX_STORES: Final = 64
MAX_NAME_CHARACTERS: Final = 64

_SETTINGS: Final[TypeAdapter[StoreSettings]] = TypeAdapter(StoreSettings)


class StorageConfig(ServiceConfig):
    """Base of the configuration of a service that uses stores, beside `RpcConfig`."""

    stores: SecretStr = setting(
        SecretStr(""),
        reason="stores by name, as JSON: see docs/architecture/storage.md",
        validation_alias="NEXUS_STORES",
    )
    stores_file: Path | None = setting(
        None,
        reason="JSON file of the same form, for more than one store",
        validation_alias="NEXUS_STORES_FILE",
    )

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        stores, problems = self._read_stores()
        yield from problems
        for name, settings in stores.items():
            for problem in problems_in_files(settings):
                yield f"store {name}: {problem}"

    def load_stores(self) -> dict[str, StoreSettings]:
        """The settings of all stores from both sources, by name. Raises ConfigError with every fault."""
        stores, problems = self._read_stores()
        if problems:
            raise ConfigError(problems)
        return stores

    def _read_stores(self) -> tuple[dict[str, StoreSettings], list[str]]:
        """The valid stores, and the faults of the others."""
        problems: list[str] = []
        stores: dict[str, StoreSettings] = {}
        for variable, text in self._sources(problems):
            found, faults = parse_stores(text)
            problems += [f"{variable}: {fault}" for fault in faults]
            problems += [
                f"{variable}: the store {name} exists already" for name in found.keys() & stores.keys()
            ]
            stores |= found
        return stores, problems

    def _sources(self, problems: list[str]) -> Iterator[tuple[str, str]]:
        if self.stores.get_secret_value():
            yield "NEXUS_STORES", self.stores.get_secret_value()
        if self.stores_file is not None:
            try:
                yield "NEXUS_STORES_FILE", self.stores_file.read_text()
            except (OSError, ValueError):
                problems.append(f"NEXUS_STORES_FILE: cannot be read: {self.stores_file}")


def parse_stores(text: str) -> tuple[dict[str, StoreSettings], list[str]]:
    """The settings of stores by name, and the faults, each with its store and field. No fault quotes a value,
    because any of them may be a secret."""
    try:
        document: Any = json.loads(text)
    except ValueError:
        return {}, ["is not JSON"]
    if not isinstance(document, dict) or len(document) > MAX_STORES:
        return {}, [f"is not an object with at most {MAX_STORES} stores by name"]
    stores: dict[str, StoreSettings] = {}
    faults: list[str] = []
    for name, entry in document.items():
        if (
            not name
            or len(name) > MAX_NAME_CHARACTERS
            or not name.replace("-", "").replace("_", "").isalnum()
        ):
            faults.append(f"the name of a store has 1 to {MAX_NAME_CHARACTERS} letters, digits, - and _")
            continue
        try:
            stores[name] = _SETTINGS.validate_python(_with_tuples(entry))
        except ValidationError as error:
            faults += [f"store {name}: {fault}" for fault in _faults(error)]
    return stores, faults


def _with_tuples(entry: Any) -> Any:
    """The entry itself; credentials as words become sources: `"env"` is `{"kind": "env"}`."""
    if isinstance(entry, Mapping) and isinstance(entry.get("credentials"), list):
        sources = [{"kind": source} if isinstance(source, str) else source for source in entry["credentials"]]
        return {**entry, "credentials": sources}
    return entry


def _faults(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        # Pydantic names the chosen variant of a union as a step of the path; a reader does not know it.
        steps = [str(step) for step in problem["loc"] if step not in _VARIANTS]
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "union_tag_invalid":  # its message quotes the value
            message = f"kind must be one of {problem['ctx']['expected_tags']}"
        yield f"{'.'.join(steps)}: {message}" if steps else message


_VARIANTS: Final = frozenset({"s3", "folder", "env", "file", "iam", "keys", "sse-s3", "sse-kms", "sse-c"})
