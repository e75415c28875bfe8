#!/usr/bin/env python3
"""Where transactions spend their time, from the documents of `bftctl status --json` (docs/operations.md, "Latency").

    bench/stages.py FILE        a table: stage, count, mean; over all hosts
"""
import json
import pathlib
import sys

ORDER = ["receive", "verify", "order", "sign", "commit", "commit_db", "execute", "vote", "render", "reply"]


def documents(value):
    """Every host's document, however the file nests them."""
    if isinstance(value, dict):
        if isinstance(value.get("stages"), dict):
            yield value
        else:
            for each in value.values():
                yield from documents(each)
    elif isinstance(value, list):
        for each in value:
            yield from documents(each)


def read(file):
    """{stage: (count, mean in ms)}, in the order of ORDER."""
    sums = {}
    text = pathlib.Path(file).read_text()
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):  # one document, or one after the other
        while at < len(text) and text[at].isspace():
            at += 1
        if at == len(text):
            break
        value, at = decoder.raw_decode(text, at)
        for document in documents(value):
            for stage, figures in document["stages"].items():
                count, total = sums.get(stage, (0, 0))
                sums[stage] = (count + figures["count"], total + figures["sum_us"])
    return {stage: (sums[stage][0], sums[stage][1] / sums[stage][0] / 1000)
            for stage in ORDER if stage in sums and sums[stage][0]}


def main():
    if len(sys.argv) != 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if len(sys.argv) == 2 else 2
    print("| stage | count | mean ms |\n|---|---|---|")
    for stage, (count, mean) in read(sys.argv[1]).items():
        print(f"| {stage} | {count} | {mean:.3f} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
