"""What all provisioners share: one JSON request on standard input, one JSON answer on standard output.

docs/provisioning.md is the contract; anything that keeps to it is a provisioner, in whatever language.
"""
import json
import os
import re
import subprocess
import sys

VERSION = 1
REQUEST_BYTES_MAX = 1 << 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}\Z")
STATES = ("running", "starting", "stopped", "absent")


class Refused(Exception):
    """The request is not understood, or asks for what this provisioner does not do: repeating it is in vain."""


class Failed(Exception):
    """It did not work this time."""


class Settings:
    """What the request's `settings` say. Whatever nobody has asked for is refused at the end."""

    def __init__(self, values):
        if not isinstance(values, dict):
            raise Refused("settings must be an object")
        self.values, self.known = values, set()

    def take(self, name, kind=str, default=None, required=False):
        self.known.add(name)
        value = self.values.get(name, default)
        if value is None and required:
            raise Refused(f"settings.{name} is missing")
        if value is not None and (not isinstance(value, kind) or isinstance(value, bool) and kind is not bool):
            raise Refused(f"settings.{name} must be of type {kind.__name__}")
        return value

    def words(self, name):
        values = self.take(name, list, [])
        if not all(isinstance(value, str) for value in values):
            raise Refused(f"settings.{name} must be a list of strings")
        return values

    def folder(self, name, **how):
        value = self.take(name, **how)
        if value is not None and not os.path.isabs(value):
            raise Refused(f"settings.{name} must be an absolute path")
        return value

    def done(self):
        if unknown := sorted(set(self.values) - self.known):
            raise Refused(f"unknown settings: {', '.join(unknown)}")


def command(words, patience, quiet=False):
    """The standard output of a command that must succeed within `patience` seconds."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=patience, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise Failed(f"{words[0]} is not installed") from None
    except subprocess.TimeoutExpired:
        raise Failed(f"{words[0]} did not end within {patience} s") from None
    if done.returncode != 0 and not quiet:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise Failed(f"{words[0]}: {lines[-1] if lines else f'status {done.returncode}'}")
    return done.stdout


def read_request(actions):
    text = sys.stdin.buffer.read(REQUEST_BYTES_MAX + 1)
    if len(text) > REQUEST_BYTES_MAX:
        raise Refused(f"a request has at most {REQUEST_BYTES_MAX} bytes")
    try:
        request = json.loads(text)
    except ValueError as wrong:
        raise Refused(f"the request is not JSON: {wrong}") from None
    if not isinstance(request, dict):
        raise Refused("the request must be an object")
    if unknown := sorted(set(request) - {"version", "action", "cluster", "host", "settings"}):
        raise Refused(f"unknown fields: {', '.join(unknown)}")
    if request.get("version") != VERSION:
        raise Refused(f"this provisioner speaks version {VERSION}")
    if request.get("action") not in ("describe", *actions):
        raise Refused(f"no action is called {request.get('action')!r}")
    for field in ("cluster", "host") if request["action"] != "describe" else ():
        if not isinstance(request.get(field), str) or not NAME.match(request[field]):
            raise Refused(f"{field} must be a name: letters, digits, '-' and '_'")
    return request


def answer(fields):
    json.dump({"version": VERSION, **fields}, sys.stdout)
    sys.stdout.write("\n")


def serve(name, words, actions):
    """`actions`: {"start": function(request, settings) -> {"state", "changed", ...}}. Returns the exit status."""
    try:
        request = read_request(actions)
        if request["action"] == "describe":
            answer({"ok": True, "provisioner": name, "what": words, "actions": ["describe", *actions]})
            return 0
        result = actions[request["action"]](request, Settings(request.get("settings", {})))
        assert result["state"] in STATES
        answer({"ok": True, "host": request["host"], **result})
        return 0
    except Refused as wrong:
        answer({"ok": False, "again": False, "error": str(wrong)})
        return 2
    except (Failed, OSError) as wrong:
        answer({"ok": False, "again": True, "error": str(wrong)})
        return 1
