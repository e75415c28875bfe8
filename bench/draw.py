#!/usr/bin/env python3
"""Draws what bench/run.sh measured: figures 5.3 to 5.9 of the CloudBFT thesis, and where the whole system's CPU goes.

    bench/draw.py RESULTS [--into FOLDER]

RESULTS holds the folders `thesis` and `tpcc` of bench/run.sh; what is missing is not drawn. Needs python3-matplotlib.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "cluster"))
import thesis_table  # noqa: E402
import tpcc_table  # noqa: E402

import matplotlib  # noqa: E402

matplotlib.use("svg")
matplotlib.rcParams.update({"svg.hashsalt": "bftnode", "figure.figsize": (6, 3.6), "axes.grid": True,
                            "grid.alpha": 0.3, "font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
import matplotlib.pyplot as plt  # noqa: E402

# From the thesis's text (sections 5.2 to 5.4).
THESIS = {"speed_up": (5, 4.2), "one_group": 200, "p95": (1000, 870)}
COLOURS = ["#1b6ca8", "#d1603d", "#4f9d69", "#8d5a97", "#c9a227", "#555555"]


def rate(run):
    return run["per_second"] * 60


def save(figure, into, name):
    figure.tight_layout()
    figure.savefig(into / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)
    print(into / f"{name}.svg")


def throughput_against_groups(runs, clients, into):
    counts = sorted(g for system, g, c in runs if system == "groups" and c == clients)
    figure, axes = plt.subplots()
    width = 0.38
    axes.bar([g - width / 2 for g in counts], [rate(runs["unreplicated", g, clients]) for g in counts], width,
             color="#bbbbbb", label="unreplicated servers")
    axes.bar([g + width / 2 for g in counts], [rate(runs["groups", g, clients]) for g in counts], width,
             color=COLOURS[0], label="groups of three replicas")
    axes.axhline(THESIS["one_group"], color=COLOURS[1], linestyle=":", label="the thesis's one group")
    axes.set(xlabel="groups, or unreplicated servers", ylabel="transactions a minute",
             title=f"Throughput, {clients} clients (thesis, figure 5.3)", xticks=counts)
    axes.legend()
    save(figure, into, "throughput-groups")

    figure, axes = plt.subplots()
    first = rate(runs["groups", counts[0], clients]) / counts[0]
    axes.plot(counts, counts, color="#999999", linestyle="--", label="bound")
    axes.plot(counts, [rate(runs["groups", g, clients]) / first for g in counts], "o-", color=COLOURS[0], label="measured")
    axes.plot(*[[value] for value in THESIS["speed_up"]], "s", color=COLOURS[1], label="thesis")
    axes.set(xlabel="groups", ylabel="speed-up", title="Speed-up against its bound (thesis, figure 5.5)", xticks=counts)
    axes.legend()
    save(figure, into, "speed-up")


def against_clients(runs, into):
    groups = sorted({g for system, g, _ in runs if system == "groups"})
    figure, axes = plt.subplots()
    second, latency = plt.subplots()
    for number, g in enumerate(groups):
        clients = sorted(c for system, count, c in runs if system == "groups" and count == g)
        rates = [rate(runs["groups", g, c]) for c in clients]
        axes.plot(clients, rates, "o-", color=COLOURS[number], label=f"{g} group{'s' if g > 1 else ''}")
        latency.plot(rates, [runs["groups", g, c]["latency_us"]["mean"] / 1000 for c in clients], "o-",
                     color=COLOURS[number], label=f"{g} group{'s' if g > 1 else ''}")
    axes.set(xlabel="clients", ylabel="transactions a minute", title="Throughput against clients (thesis, figure 5.6)")
    latency.set(xlabel="transactions a minute", ylabel="mean latency, ms",
                title="Latency against throughput (thesis, figure 5.7)")
    axes.legend()
    latency.legend()
    save(figure, into, "throughput-clients")
    save(second, into, "latency-throughput")


def distribution(run, what, into):
    curve = [value / 1000 for value in run["latency_curve_us"]]
    shares = [100 * i / (len(curve) - 1) for i in range(len(curve))]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
    left.hist(curve, bins=30, weights=[100 / len(curve)] * len(curve), color=COLOURS[0])
    left.set(xlabel="latency, ms", ylabel="% of requests", title="Latencies (thesis, figure 5.8)")
    right.plot(curve, shares, color=COLOURS[0], label=what)
    p95 = run["latency_us"]["p95"] / 1000
    right.plot([0, p95, p95], [95, 95, 0], color="#999999", linestyle=":", label=f"95 % within {p95:.0f} ms")
    right.axvline(THESIS["p95"][1], color=COLOURS[1], linestyle=":", label=f"thesis: {THESIS['p95'][1]} ms")
    right.set(xlabel="latency, ms", ylabel="% of requests", title="Cumulative (thesis, figure 5.9)", ylim=(0, 100))
    right.legend()
    save(figure, into, "latency-distribution")


def cpu(found, into):
    figure, axes = plt.subplots(figsize=(6.5, 3.2))
    ways = list(found)
    left = [0.0] * len(ways)
    for number, (role, word) in enumerate([("database", "databases"), ("daemon", "daemons"), ("tpm", "TPM emulators"),
                                           ("driver", "clients")]):
        values = [found[way].get(role, 0) for way in ways]
        axes.barh([tpcc_table.WAYS[way] for way in ways], values, left=left, color=COLOURS[number], label=word)
        left = [a + b for a, b in zip(left, values)]
    axes.set(xlabel="CPU, microseconds per transaction", title="TPC-C: where the CPU time goes")
    axes.invert_yaxis()
    axes.legend()
    save(figure, into, "cpu-tpcc")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=pathlib.Path)
    options.add_argument("--into", type=pathlib.Path, help="RESULTS by default")
    arguments = options.parse_args()
    into = arguments.into or arguments.results
    into.mkdir(parents=True, exist_ok=True)
    drawn = False
    if runs := thesis_table.read(arguments.results / "thesis"):
        drawn = True
        clients = {c for system, _, c in runs if system == "groups"}
        most = max(clients, key=lambda c: (sum(1 for _, _, other in runs if other == c), c))
        throughput_against_groups(runs, 15 if 15 in clients else most, into)
        if len(clients) > 1:
            against_clients(runs, into)
        groups = max(g for system, g, _ in runs if system == "groups")
        shown = 11 if ("groups", groups, 11) in runs else most
        distribution(runs["groups", groups, shown], f"{groups} groups, {shown} clients", into)
    if found := tpcc_table.read(arguments.results / "tpcc"):
        drawn = True
        cpu(found, into)
    if not drawn:
        print(f"draw.py: no results in {arguments.results}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
