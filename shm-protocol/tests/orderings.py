#!/usr/bin/env python3
"""Weakens every memory ordering of the rings, the boards and the counts by turns, and holds the
comments of loom.rs to what then fails.

    python3 shm-protocol/tests/orderings.py [target directory]

Works on a copy of the crate in a temporary directory; the sources stay as they are. A load, store or
addition becomes Relaxed; a fence, which cannot be, is left out. Each model of loom.rs is then run
alone. It must fail for exactly the orderings that its comment names, and every ordering must be
named by one model at the least.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CRATE = Path(__file__).resolve().parents[1]
ROOT = CRATE.parent
FILES = ["ring", "board", "stamp", "lossy", "words"]
TIMEOUT_S = 600

ORDERING = re.compile(r"Ordering::(Acquire|Release|AcqRel|SeqCst)\b")
OPERATION = re.compile(r"(?:\.|::)(load|store|add_one|fence)\(")
FUNCTION = re.compile(r"^\s*(?:pub )?fn (\w+)")
CLAIM = "Fails when weakened:"


def orderings():
    """Every ordering stronger than Relaxed before the unit tests: (name, file, line)."""
    found = []
    for file in FILES:
        function = None
        for at, line in enumerate((CRATE / "src" / f"{file}.rs").read_text().splitlines()):
            if line.startswith("#[cfg(test)]"):
                break
            code = line.split("//")[0]
            if match := FUNCTION.match(code):
                function = match[1]
            if match := ORDERING.search(code):
                operation = OPERATION.search(code)
                if operation is None or len(ORDERING.findall(code)) != 1:
                    sys.exit(f"{file}.rs:{at + 1}: one operation with one ordering a line, please")
                found.append((f"{file}::{function} {operation[1]} {match[1]}", file, at))
    return found


def weakened(line):
    """The line with its ordering weakened: a fence goes, everything else turns Relaxed."""
    if "fence(" in line:
        return ""
    return ORDERING.sub("Ordering::Relaxed", line)


def claims():
    """What each model's comment says: {model: set of names}."""
    found, comment = {}, ""
    for line in (CRATE / "tests/loom.rs").read_text().splitlines():
        if line.startswith("///"):
            comment += line[3:]
        elif match := FUNCTION.match(line):
            if "#[test]" in comment:
                _, _, names = comment.partition(CLAIM)
                listed = names.split("#[test]")[0].strip().rstrip(".")
                found[match[1]] = {" ".join(name.split()) for name in listed.split(",") if name}
            comment = ""
        elif line == "#[test]":
            comment += line
        elif not line.startswith("#["):
            comment = ""
    return found


def copy_to(place):
    """The crate as a workspace of its own, with the versions of the lock file."""
    # Without the files' times: what an earlier run built in the same directory is older.
    ignored = shutil.ignore_patterns("fuzz", "target")
    shutil.copytree(CRATE, place / CRATE.name, ignore=ignored, copy_function=shutil.copy)
    manifest = (ROOT / "Cargo.toml").read_text()
    members = f'members = ["{CRATE.name}"]'
    (place / "Cargo.toml").write_text(re.sub(r"members = \[.*?\]", members, manifest, flags=re.S))
    shutil.copy(ROOT / "Cargo.lock", place)


def build(place, target):
    """The models' program; an end of everything when it does not compile."""
    command = ["cargo", "test", "-p", CRATE.name, "--release", "--test", "loom", "--no-run"]
    flags = {"RUSTFLAGS": "--cfg loom", "CARGO_TARGET_DIR": str(target)}
    done = subprocess.run(command, cwd=place, env=os.environ | flags, capture_output=True, text=True)
    built = re.search(r"Executable .*\((.+)\)", done.stderr)
    if done.returncode != 0 or built is None:
        sys.exit(done.stderr)
    return (place / built[1]).resolve()


def fails(program, model):
    """Whether a model fails; an end of everything when it neither passes nor fails."""
    command = [program, "--exact", model, "--test-threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    if done.returncode == 0 and "1 passed" in done.stdout:
        return False
    if done.returncode == 101 and "1 failed" in done.stdout:
        return True
    sys.exit(f"{model} ended in another way:\n{done.stdout}{done.stderr}")


def main():
    said, wrong = claims(), []
    with tempfile.TemporaryDirectory(prefix="mechos-orderings-") as directory:
        place = Path(directory)
        target = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else place / "target"
        copy_to(place)
        program = build(place, target)
        for model in said:
            if fails(program, model):
                sys.exit(f"{model} fails with the orderings as they are")
        found = orderings()
        for name, file, at in found:
            source = place / CRATE.name / "src" / f"{file}.rs"
            before = source.read_text()
            lines = before.splitlines()
            lines[at] = weakened(lines[at])
            source.write_text("\n".join(lines) + "\n")
            program = build(place, target)
            failed = {model for model in said if fails(program, model)}
            source.write_text(before)
            named = {model for model, names in said.items() if name in names}
            print(f"{name}: {', '.join(sorted(failed)) or 'NOTHING FAILS'}", flush=True)
            if failed != named or not failed:
                wrong.append(f"{name}: fails {sorted(failed)}, the comments say {sorted(named)}")
        known = {name for name, _, _ in found}
        wrong += [f"{name}: no such ordering" for names in said.values() for name in names - known]
    print("\n".join(wrong) or f"{len(found)} orderings, each needed, each as the comments say")
    sys.exit(bool(wrong))


main()
