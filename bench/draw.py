#!/usr/bin/env python3
"""Draws what bench/run.sh measured: figures 5.3 to 5.9 of the CloudBFT thesis beside the thesis's own values, where the
whole system's CPU goes, how the cost grows, and groups that come and go with the load.

    bench/draw.py RESULTS [--into FOLDER]

RESULTS is what bench/run.sh left; what is missing there is not drawn. Needs python3-matplotlib.
"""
import argparse
import json
import pathlib
import sys

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "cluster")]
import growth_table  # noqa: E402
import stages  # noqa: E402
import thesis_table  # noqa: E402
import tpcc_table  # noqa: E402

import matplotlib  # noqa: E402

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.hashsalt": "bftnode", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "figure.figsize": (6.4, 3.8), "axes.grid": True, "axes.axisbelow": True, "grid.alpha": 0.3, "axes.titlesize": 10,
    "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False, "legend.fontsize": 8,
    "figure.facecolor": "white"})
import matplotlib.pyplot as plt  # noqa: E402

# From the thesis's text (sections 5.2 to 5.4): speed-up at five groups, transactions a minute of one group, p95 in ms at
# 1,000 a minute, a page, and what signing and verifying took of a transaction with the 50-ms TPM.
THESIS = {"speed_up": (5, 4.2), "one_group": 200, "p95": (1000, 870), "page": 200, "total": 389, "signatures": 115}
COLOURS = ["#1b6ca8", "#d1603d", "#4f9d69", "#8d5a97", "#c9a227", "#555555", "#4aa3a2", "#a83254"]
GREY = "#999999"


def rate(run):
    return run["per_second"] * 60


def save(figure, into, name):
    figure.tight_layout()
    figure.savefig(into / f"{name}.svg", metadata={"Date": None}, bbox_inches="tight")
    plt.close(figure)
    print(into / f"{name}.svg")


def throughput_against_groups(runs, clients, into):
    counts = sorted(g for system, g, c in runs if system == "groups" and c == clients)
    figure, axes = plt.subplots()
    width = 0.38
    for shift, system, colour, label in ((-width / 2, "unreplicated", "#bbbbbb", "unreplicated page servers"),
                                         (width / 2, "groups", COLOURS[0], "groups of three replicas")):
        bars = axes.bar([g + shift for g in counts], [rate(runs[system, g, clients]) for g in counts], width,
                        color=colour, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=7, padding=4)
    axes.axhline(THESIS["one_group"], color=COLOURS[1], linestyle=":", label="the thesis's one group")
    ideal = 60_000 / THESIS["page"]
    axes.plot(counts, [g * ideal for g in counts], "_", color="black", markersize=26, label="bound: a page takes 200 ms")
    axes.set(xlabel="groups, or unreplicated servers", ylabel="transactions a minute", xticks=counts,
             title=f"Throughput against groups, {clients} clients (thesis, figure 5.3)")
    axes.legend(loc="upper left")
    save(figure, into, "throughput-groups")

    figure, axes = plt.subplots()
    first = rate(runs["groups", counts[0], clients]) / counts[0]
    axes.plot(counts, counts, color=GREY, linestyle="--", label="bound")
    axes.plot(counts, [rate(runs["groups", g, clients]) / first for g in counts], "o-", color=COLOURS[0], label="measured")
    axes.plot(*[[value] for value in THESIS["speed_up"]], "s", color=COLOURS[1], label="thesis: 4.2 at five groups")
    axes.set(xlabel="groups", ylabel="speed-up against one group", xticks=counts,
             title="Speed-up against its bound (thesis, figure 5.5)")
    axes.legend()
    save(figure, into, "speed-up")


def against_clients(runs, into):
    groups = sorted({g for system, g, _ in runs if system == "groups"})
    figure, axes = plt.subplots()
    second, latency = plt.subplots()
    for number, g in enumerate(groups):
        clients = sorted(c for system, count, c in runs if system == "groups" and count == g)
        label = f"{g} group{'s' if g > 1 else ''}"
        axes.plot(clients, [rate(runs["groups", g, c]) for c in clients], "o-", color=COLOURS[number], label=label,
                  markersize=4)
        latency.plot(clients, [runs["groups", g, c]["latency_us"]["mean"] / 1000 for c in clients], "o-",
                     color=COLOURS[number], label=label, markersize=4)
    for one in (axes, latency):
        one.set(xlabel="clients, each with one call under way")
        one.legend()
    axes.axhline(THESIS["one_group"], color=COLOURS[1], linestyle=":", linewidth=1)
    axes.annotate("thesis, one group", (axes.get_xlim()[1], THESIS["one_group"]), ha="right", va="bottom", fontsize=7,
                  color=COLOURS[1])
    axes.set(ylabel="transactions a minute", ylim=(0, None), title="Throughput against clients (thesis, figure 5.6)")
    latency.axhline(THESIS["page"], color=GREY, linestyle="--", linewidth=1)
    latency.annotate("one page", (latency.get_xlim()[1], THESIS["page"]), ha="right", va="bottom", fontsize=7, color=GREY)
    latency.set(ylabel="mean latency, ms", ylim=(0, None), title="Latency against clients (thesis, figure 5.7)")
    save(figure, into, "throughput-clients")
    save(second, into, "latency-clients")


def histogram(axes, run, colour, label, width):
    """From quantiles: each step of the curve holds the same share of the calls."""
    curve = [value / 1000 for value in run["latency_curve_us"]]
    axes.hist(curve, bins=[width * i for i in range(int(curve[-1] / width) + 2)], weights=[100 / len(curve)] * len(curve), color=colour, alpha=0.6, label=label)
    return curve


def distribution(runs, into):
    """`runs`: [(label, run)]"""
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.4, 4.4))
    width = max(run["latency_us"]["p99"] for _, run in runs) / 1000 / 40
    for number, (label, run) in enumerate(runs):
        colour = COLOURS[(0, 2, 3)[number]]
        curve = histogram(left, run, colour, label, width)
        shares = [100 * i / (len(curve) - 1) for i in range(len(curve))]
        p95 = run["latency_us"]["p95"] / 1000
        right.plot(curve, shares, color=colour, label=f"{label}: 95 % within {p95:.0f} ms")
    right.plot([THESIS["p95"][1]], [95], "s", color=COLOURS[1],
               label=f"thesis: 95 % within {THESIS['p95'][1]} ms at {THESIS['p95'][0]} a minute")
    right.axvline(THESIS["page"], color=GREY, linestyle="--", linewidth=1)
    left.axvline(THESIS["page"], color=GREY, linestyle="--", linewidth=1, label="one page")
    left.set(xlabel="latency, ms", ylabel="% of calls", title="Latencies (thesis, figure 5.8)", xlim=(0, None))
    right.set(xlabel="latency, ms", ylabel="% of calls", title="Cumulative (thesis, figure 5.9)", ylim=(0, 100),
              xlim=(0, None))
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    right.legend(loc="upper center", bbox_to_anchor=(0.5, -0.15))
    save(figure, into, "latency-distribution")


def time_per_stage(found, into):
    """`found`: [(name, {stage: (count, mean ms)})]"""
    figure, axes = plt.subplots(figsize=(7.4, 6.0 if len(found) > 2 else 4.8))
    shown = [stage for stage in stages.ORDER if any(stage in values for _, values in found)]
    height = 0.8 / len(found)
    for number, (name, values) in enumerate(found):
        places = [row + (number - (len(found) - 1) / 2) * height for row in range(len(shown))]
        means = [values[stage][1] if stage in values else 0 for stage in shown]
        bars = axes.barh(places, means, height * 0.92, color=COLOURS[number], label=name)
        axes.bar_label(bars, [(f"{mean:.0f}" if mean >= 100 else f"{mean:.2g}") if mean else "" for mean in means],
                       fontsize=7, padding=2)
    axes.axvline(THESIS["signatures"], color=COLOURS[5], linestyle=":", linewidth=1,
                 label="the thesis: signing and verifying take 115 ms of a transaction's 389")
    axes.set(yticks=range(len(shown)), yticklabels=shown, xlabel="mean, ms (logarithmic)", xscale="log",
             title="Mean time per stage (thesis, figure 5.4)")
    axes.set_xlim(right=axes.get_xlim()[1] * 3)
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.45, -0.12), ncol=2)
    save(figure, into, "stages")


def cpu(found, into):
    figure, axes = plt.subplots(figsize=(7, 3.2))
    ways = list(found)
    left = [0.0] * len(ways)
    for number, (role, word) in enumerate([("database", "databases"), ("daemon", "daemons"), ("usig", "USIG services"),
                                           ("tpm", "TPM emulators"), ("driver", "clients")]):
        values = [found[way].get(role, 0) for way in ways]
        axes.barh([tpcc_table.WAYS[way] for way in ways], values, left=left, color=COLOURS[number], label=word)
        left = [a + b for a, b in zip(left, values)]
    for row, total in enumerate(left):
        axes.annotate(f"{total:.0f}", (total, row), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set(xlabel="CPU, microseconds per transaction", title="TPC-C: where the CPU time goes",
             xlim=(0, max(left) * 1.12))
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.2), ncol=5)
    save(figure, into, "cpu-tpcc")


def growth(model, into):
    names = [name for name in ("groups", "faults", "bytes", "crowd") if model.get(name)]
    figure, all_axes = plt.subplots(2, 2, figsize=(9.4, 6.4))
    words = {"groups": "groups", "faults": "f", "bytes": "bytes of an operation", "crowd": "requests that share a slot"}
    for axes, name in zip(all_axes.flat, names):
        rows = model[name]
        key = growth_table.KEYS[name]
        places = [max(row[key], 16) if name == "bytes" else row[key] for row in rows]
        axes.plot(places, [row["cpu_us"] for row in rows], "o-", color=COLOURS[0], markersize=4, label="CPU, all hosts")
        axes.plot(places, [row["leader_host_us"] for row in rows], "o-", color=COLOURS[1], markersize=4,
                  label="CPU, leading host")
        if name == "groups" and "groups-databases" in model:
            with_databases = model["groups-databases"]
            axes.plot([row[key] for row in with_databases], [row["cpu_us"] for row in with_databases], "o--",
                      color=COLOURS[2], markersize=4, label="CPU, all, with databases")
        axes.set(xlabel=words[name], ylabel="us per request")
        other = axes.twinx()
        other.plot(places, [row["frame_bytes"] for row in rows], "s:", color=GREY, markersize=3, label="bytes sent")
        other.set(ylabel="bytes per request")
        other.grid(False)
        other.spines["right"].set_visible(True)
        if name in ("bytes", "crowd"):
            axes.set(xscale="log", yscale="log")
            other.set(yscale="log")
        else:
            axes.set_xticks(places)
            axes.set_ylim(bottom=0)
            other.set_ylim(bottom=0)
        if axes is all_axes.flat[0]:
            handles = [each.get_legend_handles_labels() for each in (axes, other)]
            figure.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="lower center", ncol=4,
                          bbox_to_anchor=(0.5, -0.04))
    for axes in all_axes.flat[len(names):]:
        axes.set_visible(False)
    figure.suptitle("What a request costs as the cluster grows (engines, codec, signatures; without certificates)",
                    fontsize=10)
    save(figure, into, "growth")


def growth_real(real, into):
    families = [("f", "f", None), ("bytes", "bytes of an operation", "log"), ("slow-tpm", "groups, TPMs that take 50 ms", None)]
    figure, all_axes = plt.subplots(1, 3, figsize=(10.4, 3.4))
    for axes, (family, word, scale) in zip(all_axes, families):
        points = sorted((int(name.rsplit("-", 1)[1]), pair) for name, pair in real.items()
                        if name.rsplit("-", 1)[0] == family)
        if not points:
            axes.set_visible(False)
            continue
        places = [max(x, 16) if scale else x for x, _ in points]
        axes.plot(places, [run["per_second"] / 1000 for _, (run, _) in points], "o-", color=COLOURS[0], markersize=4,
                  label="thousand requests/s")
        axes.set(xlabel=word, ylabel="thousand requests/s", ylim=(0, None))
        other = axes.twinx()
        other.plot(places, [growth_table.nodes_cpu(run) for _, (run, _) in points], "s--", color=COLOURS[1], markersize=4,
                   label="CPU us, all nodes")
        if family == "slow-tpm":
            other.plot(places, [print_["daemons"].get("primary1", {}).get("cpu_us_per_request", 0) if print_ else 0
                                for _, (_, print_) in points], "s:", color=COLOURS[2], markersize=4,
                       label="CPU us, primary")
        other.set(ylabel="us per request", ylim=(0, None))
        other.grid(False)
        other.spines["right"].set_visible(True)
        if scale:
            axes.set_xscale(scale)
        else:
            axes.set_xticks(places)
        handles = [each.get_legend_handles_labels() for each in (axes, other)]
        axes.legend(handles[0][0] + handles[1][0], handles[0][1] + handles[1][1], loc="best", fontsize=7)
    figure.suptitle("The same on real processes, all on this machine's cores", fontsize=10)
    save(figure, into, "growth-real")


def elastic(run, into):
    """What bench/elastic.py wrote: a load that rises and falls, and the groups that come and go with it."""
    figure, (load, latency, groups, owners) = plt.subplots(
        4, 1, sharex=True, figsize=(8, 8.2), gridspec_kw={"height_ratios": [3, 3, 2, 2.4]})
    rows = run["rows"]
    time = [row["seconds"] for row in rows]
    end = time[-1] + (time[1] - time[0])
    load.step(time + [end], [row["clients"] for row in rows] + [rows[-1]["clients"]], where="post", color=GREY,
              label="offered: terminals, each with one call under way")
    load.plot(time, [row["per_second"] for row in rows], color=COLOURS[0], label="throughput, transactions a second")
    load.set(ylim=(0, None), title="Groups that come and go with the load")
    latency.plot(time, [row["p95_ms"] for row in rows], color=COLOURS[1], label="p95, ms")
    latency.axhline(run["target_ms"], color=COLOURS[5], linestyle=":", label="its target")
    latency.set(ylim=(0, None))
    changes = [0, *(decision["at"] for decision in run["decisions"]), end]
    groups.step(changes, run["groups"] + run["groups"][-1:], where="post", color=COLOURS[2], label="groups that serve")
    groups.set(ylim=(0, max(run["groups"]) + 0.5), yticks=range(0, max(run["groups"]) + 1))
    known = set()
    for partition in range(1, run["partitions"] + 1):
        owner, since = 1, 0
        for at, group in [(d["at"], d["moves"].get(str(partition))) for d in run["decisions"]] + [(end, None)]:
            if group is None and at != end:
                continue
            owners.barh(partition, at - since, left=since, height=0.8, color=COLOURS[owner - 1],
                        label=None if owner in known else f"group {owner}")
            known.add(owner)
            owner, since = group, at
    owners.set(yticks=range(1, run["partitions"] + 1), ylabel="partition", xlabel="seconds", xlim=(0, end))
    owners.invert_yaxis()
    owners.grid(visible=False)
    handles = sorted(zip(*reversed(owners.get_legend_handles_labels())), key=lambda each: each[0])
    owners.legend([handle for _, handle in handles], [label for label, _ in handles], loc="upper center",
                  bbox_to_anchor=(0.5, -0.25), ncol=len(handles))
    for axes in (load, latency, groups):
        axes.set_ylim(top=1.25 * axes.get_ylim()[1])
        axes.legend(loc="upper right")
    save(figure, into, "elastic")


def draw_thesis(results, into):
    runs = thesis_table.read(results / "thesis")
    if not any(system == "groups" for system, _, _ in runs):
        return False
    clients = {c for system, _, c in runs if system == "groups"}
    most = max(clients, key=lambda c: (sum(1 for _, _, other in runs if other == c), c))
    throughput_against_groups(runs, 15 if 15 in clients else most, into)
    if len(clients) > 1:
        against_clients(runs, into)
    groups = max(g for system, g, _ in runs if system == "groups")
    shown = 11 if ("groups", groups, 11) in runs else most
    distributions = [(f"{shown} clients without pause", runs["groups", groups, shown])]
    for workers in (1, 4):
        paced = thesis_table.read(results / f"thesis-paced-{workers}").get(("groups", 5, 15))
        if paced:
            distributions.append((f"1,000 a minute, {workers} page{'s' if workers > 1 else ''} at once", paced))
    distribution(distributions, into)
    return True


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=pathlib.Path)
    options.add_argument("--into", type=pathlib.Path, help="RESULTS by default")
    arguments = options.parse_args()
    results = arguments.results
    into = arguments.into or results
    into.mkdir(parents=True, exist_ok=True)
    drawn = draw_thesis(results, into)
    if found := tpcc_table.read(results / "tpcc"):
        drawn = True
        cpu(found, into)
    files = [("ordering, saturated", "ordering/saturated-0.status.json"), ("ordering, one at a time", "ordering/alone.status.json"),
             ("TPC-C", "tpcc/status.1.json"), ("thesis, 5 groups", "thesis/groups.5.15.status")]
    by_run = [(name, stages.read(results / file)) for name, file in files if (results / file).exists()]
    if by_run := [(name, values) for name, values in by_run if values]:
        drawn = True
        time_per_stage(by_run, into)
    if model := growth_table.read_model(results / "growth"):
        drawn = True
        growth(model, into)
    if real := growth_table.read_real(results / "growth"):
        drawn = True
        growth_real(real, into)
    # By itself when deploy/demo.sh measured it, among others when bench/run.sh did.
    for file in (results / "elastic.json", results / "elastic" / "elastic.json"):
        if file.exists():
            drawn = True
            elastic(json.loads(file.read_text()), into)
    if not drawn:
        print(f"draw.py: nothing to draw in {results}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
