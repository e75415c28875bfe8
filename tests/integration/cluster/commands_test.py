#!/usr/bin/env python3
"""Each command of bftctl, and each command below it: --help, an exit status that it explains, a man page, completion."""
import gzip
import pathlib
import re
import shutil
import tempfile
import unittest

import harness


def commands_of(words):
    """The commands below `words`, as --help lists them."""
    text = harness.run(harness.BFTCTL, *words, "--help").stdout
    found = re.search(r"^Subcommands:\n(.*?)\n\n", text, re.S | re.M)
    return re.findall(r"^  ([a-z-]+)  ", found[1], re.M) if found else []


def all_commands():
    for name in commands_of([]):
        yield [name]
        for below in commands_of([name]):
            yield [name, below]


class Commands(unittest.TestCase):
    def test_help_and_exit_status(self):
        names = [" ".join(words) for words in all_commands()]
        self.assertGreater(len(names), 18, names)
        for words in all_commands():
            with self.subTest(command=words):
                done = harness.run(harness.BFTCTL, *words, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn("Usage: bftctl " + " ".join(words), done.stdout)
                self.assertRegex(done.stdout, r"[Ee]xit status")
                self.assertIn("bftctl " + words[0], done.stdout.split("Options:")[1], "an example")
                for bad in (["--no-such-option"], [] if words[0] != "generate" else ["no-such-thing"]):
                    wrong = harness.run(harness.BFTCTL, *words, *bad)
                    self.assertEqual(wrong.returncode, 2, bad)
                    self.assertNotEqual(wrong.stderr, "")

    def test_a_place_that_is_none(self):
        for words in all_commands():
            if "PLACE" not in harness.run(harness.BFTCTL, *words, "--help").stdout.split("\n\n")[0]:
                continue
            with self.subTest(command=words):
                more = {"log-level": ["info"], "snapshot restore": ["/nowhere.snapshot"],
                        "controller": ["--client", "no-client", "--key", "no-key"]}.get(" ".join(words), [])
                done = harness.run(harness.BFTCTL, *words, *more, "/nowhere/at/all")
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn("/nowhere", done.stderr)

    @unittest.skipUnless(shutil.which("help2man"), "no help2man (Debian package)")
    def test_man_pages(self):
        with tempfile.TemporaryDirectory() as folder:
            harness.run("bash", "-c", f"cd {harness.ROOT} && deploy/packages/documents.sh {harness.BFTCTL.parent} {folder} 1",
                        check=True, env={"SOURCE_DATE_EPOCH": "0"})
            for words in all_commands():
                with self.subTest(command=words):
                    page = pathlib.Path(folder) / "man-bftctl" / ("bftctl-" + "-".join(words) + ".1.gz")
                    text = gzip.open(page, "rt").read()
                    self.assertIn(".SH OPTIONS", text.upper())

    def test_completion(self):
        script = ("source deploy/completion/bftctl.bash; PATH={path}:$PATH; COMP_WORDS=({words}); COMP_CWORD={at}; _bftctl; "
                  'printf "%s\\n" "${{COMPREPLY[@]}}"')
        def complete(*words):
            line = " ".join(f'"{word}"' for word in words)
            done = harness.run("bash", "-c", f"cd {harness.ROOT}; " + script.format(
                path=harness.BFTCTL.parent, words=line, at=len(words) - 1), check=True)
            return done.stdout.split()
        self.assertEqual(complete("bftctl", "snap"), ["snapshot"])
        self.assertEqual(complete("bftctl", "snapshot", ""), ["save", "verify", "restore"])
        self.assertEqual(complete("bftctl", "snapshot", "save", "--ou"), ["--out"])
        self.assertEqual(complete("bftctl", "enroll", "--tpm-c"), ["--tpm-ca"])


if __name__ == "__main__":
    harness.main()
