#!/usr/bin/env python3
"""Checks what the compiler does not: floors, the purity of consensus/, and that every test is registered.

Usage: tests/lint/lint.py [--self-test]      prints one line per finding, exit status 1 when there is one
"""
import pathlib
import re
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]

# docs/architecture.md: a file includes its own room and lower floors; never a sibling, never upward.
FLOORS = {
    "base": 0,
    "consensus": 1, "catalog": 1,
    "wire": 2, "crypto": 2, "usig": 2, "storage": 2, "net": 2, "database": 2, "metrics": 2, "http": 2,
    "host": 3, "client": 3,
    "roles": 4,
    "node": 5,
}

# Engines are deterministic functions of their inputs.
FORBIDDEN_IN_CONSENSUS = [
    (r"#\s*include\s*<(boost/asio|openssl|google/protobuf|mysql|rocksdb|tss2|spdlog|toml\+\+)",
     "does I/O or depends on a library that engines must not know"),
    (r"#\s*include\s*[<\"][^>\"]*\.pb\.h", "protobuf does not belong into engines"),
    (r"#\s*include\s*<(thread|mutex|shared_mutex|atomic|condition_variable|future|random|fstream|iostream|ctime)>",
     "engines are single-threaded, have no I/O, no clock and no randomness of their own"),
    (r"\bstd::(thread|jthread|mutex|async|random_device|mt19937)", "engines are deterministic and single-threaded"),
    (r"\b(system_clock|steady_clock|high_resolution_clock)\b", "engines never read a clock"),
    (r"\b(?:s?rand|time|clock|gettimeofday|clock_gettime)\s*\(", "engines never read a clock or dice"),
    (r"\b(?:float|double)\b", "floating point is not the same everywhere"),
]

INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)
UNORDERED = re.compile(r"\bunordered_(?:map|set|multimap|multiset)\s*<")
ORDERED = re.compile(r"\b(?:vector|deque|array|span|list|map|set)\s*<")
RANGE_FOR = re.compile(r"\bfor\s*\([^;{}()]*?:\s*([A-Za-z_][\w.>-]*)\s*\)")


def strip_comments(text):
    """Comments and string literals become blanks; line numbers stay."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"', re.S)
    return pattern.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def names_declared(text, container):
    """Names of variables and members whose type is such a container (nesting respected)."""
    names = set()
    for match in container.finditer(text):
        depth, at = 1, match.end()
        while depth and at < len(text):
            depth += {"<": 1, ">": -1}.get(text[at], 0)
            at += 1
        name = re.match(r"\s*&?\s*([A-Za-z_]\w*)\s*[;={(,)]", text[at:])
        if name:
            names.add(name.group(1))
    return names


def sources(root, *folders):
    for folder in folders:
        for path in sorted((root / folder).rglob("*")):
            if path.suffix in (".hpp", ".cpp") and path.is_file() and "node_modules" not in path.parts:
                yield path


def check_floors(root, found):
    for path in sources(root, "src"):
        room = path.relative_to(root / "src").parts[0]
        if room not in FLOORS:
            found(path, 1, f"room '{room}' has no floor; add it to tests/lint/lint.py and docs/architecture.md")
            continue
        text = path.read_text(errors="replace")
        for match in INCLUDE.finditer(text):
            other = match.group(1).split("/")[0]
            if other == room or other not in FLOORS:
                continue
            if FLOORS[other] >= FLOORS[room]:
                kind = "a sibling" if FLOORS[other] == FLOORS[room] else "a higher floor"
                found(path, line_of(text, match.start()), f"includes {match.group(1)}: {kind}")


def check_consensus(root, found):
    paths = list(sources(root, "src/consensus"))
    unordered = set()
    texts = {path: strip_comments(path.read_text(errors="replace")) for path in paths}
    for text in texts.values():
        unordered |= names_declared(text, UNORDERED)
    # A name that stands for an ordered container elsewhere tells nothing.
    for text in texts.values():
        unordered -= names_declared(text, ORDERED)
    for path, text in texts.items():
        raw = path.read_text(errors="replace")
        for pattern, why in FORBIDDEN_IN_CONSENSUS:
            # Includes in quotes are blanked in `text`.
            for match in re.finditer(pattern, raw if "include" in pattern else text):
                found(path, line_of(text, match.start()), f"'{match.group().strip()}': {why}")
        for match in RANGE_FOR.finditer(text):
            if re.split(r"\.|->", match.group(1))[-1] in unordered:
                found(path, line_of(text, match.start()),
                      f"iterates over the unordered container '{match.group(1)}': its order is not the same everywhere")


def cmake_texts(root, folder):
    return {path: path.read_text() for path in sorted((root / folder).rglob("CMakeLists.txt"))
            if "node_modules" not in path.parts}


def check_registered(root, found):
    tests = "\n".join(cmake_texts(root, "tests").values())
    for path in sorted((root / "tests").rglob("*")):
        is_test = path.name.endswith(("_test.cpp", "_test.py", "_test.sh", "_test.js")) or path.suffix == ".scn"
        if is_test and "node_modules" not in path.parts and not re.search(rf"(?<![\w-]){re.escape(path.name)}", tests):
            found(path, 1, "this test is registered in no CMakeLists.txt: nobody runs it")
    for cmake, text in {**cmake_texts(root, "src"), **cmake_texts(root, "bench"), **cmake_texts(root, "tests")}.items():
        for match in re.finditer(r"file\s*\(\s*GLOB", text, re.I):
            found(cmake, line_of(text, match.start()), "globs hide what is built; name the files")
    for path in sources(root, "src"):
        if path.suffix == ".cpp":
            room = root / "src" / path.relative_to(root / "src").parts[0]
            listed = "\n".join(cmake_texts(root, room.relative_to(root)).values())
            if str(path.relative_to(room)) not in listed:
                found(path, 1, "this file is in no CMakeLists.txt: nobody compiles it")


def run(root):
    findings = []

    def found(path, line, what):
        findings.append(f"{path.relative_to(root)}:{line}: {what}")

    check_floors(root, found)
    check_consensus(root, found)
    check_registered(root, found)
    return findings


def self_test():
    """Each rule must see the fault that it is there for, and nothing else."""
    files = {
        "src/base/CMakeLists.txt": "bft_room(base SOURCES a.cpp)",
        "src/base/a.cpp": '#include "wire/x.hpp"\n',
        "src/base/forgotten.cpp": "",
        "src/consensus/e.hpp": "#include <thread>\nstd::unordered_map<int, std::vector<int>> pool_;\n"
                               "// double steady_clock\nvoid f() { for (auto& x : pool_) {} for (auto& y : list_) {} }\n"
                               "auto t = std::chrono::steady_clock::now();\n",
        "src/crypto/k.hpp": '#include "usig/u.hpp"\n#include "base/b.hpp"\n#include "crypto/l.hpp"\n',
        "tests/unit/CMakeLists.txt": "bft_test(a SOURCES a_test.cpp)\nfile(GLOB x *.cpp)",
        "tests/unit/a_test.cpp": "", "tests/unit/b_test.cpp": "", "tests/scenario/s.scn": "",
    }
    expected = [
        "src/base/a.cpp:1: includes wire/x.hpp: a higher floor",
        "src/crypto/k.hpp:1: includes usig/u.hpp: a sibling",
        "src/consensus/e.hpp:1: '#include <thread>'",
        "src/consensus/e.hpp:5: 'steady_clock'",
        "src/consensus/e.hpp:4: iterates over the unordered container 'pool_'",
        "tests/scenario/s.scn:1: this test is registered",
        "tests/unit/b_test.cpp:1: this test is registered",
        "tests/unit/CMakeLists.txt:2: globs",
        "src/base/forgotten.cpp:1: this file is in no",
    ]
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        findings = run(root)
    missing = [e for e in expected if not any(f.startswith(e) for f in findings)]
    surplus = [f for f in findings if not any(f.startswith(e) for e in expected)]
    for line in missing:
        print(f"lint self-test: not found: {line}")
    for line in surplus:
        print(f"lint self-test: wrongly found: {line}")
    return 1 if missing or surplus else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    findings = run(ROOT)
    print("\n".join(findings) if findings else "lint: clean")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
