"""Compares libraries for AES-128-GCM, called as SRTP calls it (native/bench/ciphers): `bench/ciphers.py
--others`.

Measures the libraries that the engine can use, OpenSSL and intel-ipsec-mb; with `--others` also AWS-LC and
BoringSSL. Their sources come as Rust crates, which cargo fetches and verifies and cmake compiles under
build/ciphers; the engine does not use them, and nothing else needs cargo. Writes
bench/results/<date>-ciphers.json (ciphers.json without `--others`).
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from _load import BUILD, ROOT, build
from _machine import in_real_time, machine

WORK = ROOT / "build" / "ciphers"


@dataclass(frozen=True, slots=True)
class Other:
    """A library from a crate: the path of its sources in the crate, and of libcrypto.a in its build."""

    name: str
    option: str
    crate: str
    version: str
    sources: str
    archive: str
    flags: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return WORK / self.name


OTHERS = (
    Other(
        name="aws-lc",
        option="NEXUS_BENCH_AWS_LC",
        crate="aws-lc-sys",
        version="0.47.0",
        sources="aws-lc",
        archive="crypto/libcrypto.a",
        # The crate contains the files that Go and Perl would generate.
        flags=("-DBUILD_LIBSSL=OFF", "-DBUILD_TOOL=OFF", "-DDISABLE_GO=ON", "-DDISABLE_PERL=ON"),
    ),
    Other(
        name="boringssl",
        option="NEXUS_BENCH_BORINGSSL",
        crate="boring-sys",
        version="5.4.0",
        sources="deps/boringssl",
        archive="libcrypto.a",
    ),
)


def quietly(*command: str | Path, cwd: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def fetch() -> Path:
    """Fetches the crates' sources, which cargo verifies against the registry's checksums."""
    crates = WORK / "crates"
    (crates / "src").mkdir(parents=True, exist_ok=True)
    (crates / "src" / "lib.rs").touch()
    wanted = "".join(f'{other.crate} = "={other.version}"\n' for other in OTHERS)
    manifest = f'[package]\nname = "ciphers"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n{wanted}'
    vendor = WORK / "vendor"
    if not vendor.exists() or (crates / "Cargo.toml").read_text() != manifest:
        (crates / "Cargo.toml").write_text(manifest)
        quietly("cargo", "vendor", vendor, cwd=crates)
    return vendor


def compile_other(other: Other, vendor: Path) -> None:
    """Builds `libcrypto.a` and links `include` in the library's folder."""
    sources = vendor / other.crate / other.sources
    objects = other.folder / "build"
    flags = ["-DCMAKE_BUILD_TYPE=Release", "-DCMAKE_POSITION_INDEPENDENT_CODE=ON", "-DBUILD_TESTING=OFF"]
    launcher = [f"-DCMAKE_{language}_COMPILER_LAUNCHER=ccache" for language in ("C", "CXX")]
    print(f"{other.name}: compiling (a minute or two, the first time)", flush=True)
    quietly("cmake", "-S", sources, "-B", objects, "-G", "Ninja", *flags, *launcher, *other.flags)
    quietly("ninja", "-C", objects, "-j", os.environ.get("JOBS", str(os.cpu_count())), "crypto")
    shutil.copyfile(objects / other.archive, other.folder / "libcrypto.a")
    include = other.folder / "include"
    if not include.is_symlink():
        include.symlink_to(os.path.relpath(sources / "include", other.folder))


def measure(rounds: int) -> list[dict[str, object]]:
    command = in_real_time([str(BUILD / "bench" / "cipher_bench"), f"rounds={rounds}"])
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def table(rows: list[dict[str, object]]) -> str:
    names = list(dict.fromkeys(str(row["gcm"]) for row in rows))
    lines = [["ns, minimum / median", *names], ["---"] * (1 + len(names))]
    cells: dict[str, list[str]] = {}
    for row in rows:
        keys = "one key" if row["keys"] == 1 else f"{row['keys']} keys"
        figures = cells.setdefault(f"{row['operation']} {row['packet_bytes']:,} B, {keys}", [])
        figures.append(f"{row['ns_min']:.0f} / {row['ns_median']:.0f}")
    lines += [[title, *figures] for title, figures in cells.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--others", action="store_true", help="AWS-LC and BoringSSL too (needs cargo)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--out", type=Path, help="default: bench/results/[<date>-]ciphers.json")
    options = parser.parse_args()
    build("cipher_bench")
    if options.others:
        vendor = fetch()
        for other in OTHERS:
            compile_other(other, vendor)
        quietly("cmake", BUILD, *(f"-D{other.option}={other.folder}" for other in OTHERS))
        build("cipher_bench")
    on = machine()
    rows = measure(options.rounds)
    print(table(rows))
    now = datetime.now(UTC)
    # A run without the others, as in `make bench`, must not overwrite one with them.
    name = f"{now:%Y-%m-%d}-ciphers.json" if options.others else "ciphers.json"
    out = options.out or ROOT / "bench" / "results" / name
    out.parent.mkdir(parents=True, exist_ok=True)
    crates = {other.name: f"{other.crate} {other.version}" for other in OTHERS} if options.others else {}
    found = {"at": now.isoformat(timespec="seconds"), "machine": on, "crates": crates, "rows": rows}
    out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
