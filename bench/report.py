#!/usr/bin/env python3
"""Tables of what bench/run.sh measured, beside what was wanted: report.md and results.csv.

    bench/report.py RESULTS [--docs FOLDER]

With --docs the tables and figures replace what stands between the two marks of FOLDER/benchmarks.md, and the figures
of FOLDER/images/bench.
"""
import argparse
import csv
import io
import json
import pathlib
import shutil
import sys
from contextlib import redirect_stdout

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "cluster")]
import growth_table  # noqa: E402
import stages  # noqa: E402
import thesis_table  # noqa: E402
import tpcc_table  # noqa: E402

BEGIN, END = "<!-- bench/run.sh --docs: begin -->", "<!-- bench/run.sh --docs: end -->"
FIGURES = [("throughput-groups", "Throughput against groups (thesis, figure 5.3)"),
           ("stages", "Time per stage (thesis, figure 5.4)"),
           ("speed-up", "Speed-up against its bound (thesis, figure 5.5)"),
           ("throughput-clients", "Throughput against clients (thesis, figure 5.6)"),
           ("latency-clients", "Latency against clients (thesis, figure 5.7)"),
           ("latency-distribution", "Distribution of latencies (thesis, figures 5.8 and 5.9)"),
           ("elastic", "Groups that come and go with the load"),
           ("cpu-tpcc", "TPC-C: CPU time per transaction"),
           ("growth", "What a request costs as the cluster grows"),
           ("growth-real", "The same on real processes")]


def load(file):
    return json.loads(file.read_text()) if file.exists() else None


class Report:
    def __init__(self, results):
        self.results = results
        self.rows = []  # of results.csv: part, run, figure, value
        self.text = []

    def say(self, line=""):
        self.text.append(line)

    def note(self, part, run, figure, value):
        self.rows.append((part, run, figure, f"{value:.6g}"))

    def conditions(self, part):
        found = load(self.results / "conditions" / f"{part}.json")
        if found:
            self.say(f"Commit {found['commit']}, {found['date']} UTC, {found['cores']} cores of {found['cpu']}, "
                     f"{found['memory_gib']} GiB, MariaDB {found['mariadb']}, load before it {found['load']}"
                     + (", quick profile." if found.get("profile") else "."))
            self.say()

    def goals(self):
        """The two tables of what was wanted: figure, reference, goal, measured, met, command."""
        rows = [*self.ordering_goals(), None, *self.system_goals()]
        if not any(row and row[3] for row in rows):
            return
        head = "| figure | reference | goal | measured | met | command |\n|---|---|---|---|---|---|"
        self.say("### What was wanted\n\nOrdering alone:\n\n" + head)
        for row in rows:
            if row is None:
                self.say("\nWhole system:\n\n" + head)
                continue
            what, reference, goal, measured, met, command = row
            verdict = "-" if met is None else "yes" if met else "**no**"
            self.say(f"| {what} | {reference} | {goal} | {measured or 'not measured'} | {verdict} | `{command}` |")
        self.say()

    def ordering_goals(self):
        run = {name: load(self.results / "ordering" / f"{name}.json") for name in
               ("saturated-0", "saturated-1024", "alone", "alone-no-disk", "alone-hmac-no-disk", "tpm-50", "tpm-50-alone")}

        def row(what, reference, goal, name, command, measure, reached):
            value = measure(run[name]) if run[name] else None
            return (what, reference, goal, value and value[0], None if value is None or reached is None else reached(value[1]),
                    f"bench/cluster/ordering.sh {command}")

        def cpu(one):
            return f"{growth_table.nodes_cpu(one):.1f} us", growth_table.nodes_cpu(one)

        def p50(one):
            return f"{one['latency_us']['p50'] / 1000:.2f} ms", one["latency_us"]["p50"] / 1000

        def per_second(one):
            return f"{one['per_second']:,.0f}", one["per_second"]

        def share(one):
            if not run["saturated-0"]:
                return per_second(one)[0] + "/s", 0
            value = one["per_second"] / run["saturated-0"]["per_second"]
            return f"{value:.2f} ({one['per_second'] * 60:,.0f} a minute)", value

        saturated = "--clients 4 --outstanding 1024"
        one = "--clients 1 --outstanding 1"
        yield row("CPU per request, all nodes, saturated, 0 B", "libhotstuff 18-30 us, Damysus 24-31, PBFT 36-43, BFT-SMaRt 117-187, minbft 3,400",
                  "<= 10 us", "saturated-0", saturated, cpu, lambda v: v <= 10)
        yield row("the same, 1-KB operations", "-", "-", "saturated-1024", "--clients 4 --outstanding 512 --bytes 1024", cpu, None)
        yield row("requests/s, all on 2 cores", "libhotstuff 33,000-43,000, Damysus 34,000-38,000, PBFT 15,000-22,000", ">= 80,000",
                  "saturated-0", saturated, per_second, lambda v: v >= 80000)
        yield row("p50, one request at a time, swtpm", "PBFT 0.4-0.5 ms without signatures, Damysus 2.3, minbft 3.5-4, BFT-SMaRt 3.7, libhotstuff 5.5",
                  "<= 1.5 ms", "alone", one, p50, lambda v: v <= 1.5)
        yield row("the same on a disk that syncs at once", "-", "<= 1.5 ms", "alone-no-disk", f"{one} --dir /dev/shm/o", p50, lambda v: v <= 1.5)
        yield row("the same with HMAC counters", "-", "<= 0.5 ms", "alone-hmac-no-disk", f"{one} --software-usig --dir /dev/shm/o", p50,
                  lambda v: v <= 0.5)
        yield row("every TPM operation 50 ms: share of our own rate", "thesis: 1,200 a minute", ">= 0.5", "tpm-50",
                  f"{saturated} --tpm-delay-ms 50", share, lambda v: v >= 0.5)
        yield row("the same, p50 at light load", "-", "<= 250 ms", "tpm-50-alone", f"{one} --tpm-delay-ms 50", p50, lambda v: v <= 250)

    def system_goals(self):
        values = {part: {what: value for what, value, _ in tpcc_table.ratios(tpcc_table.read(self.results / part))}
                  for part in ("tpcc", "tpcc-256")}

        def ratio(what, words, reference, goal, reached):
            for part, more in (("tpcc", ""), ("tpcc-256", " --clients 256")):
                value = next((v for name, v in values[part].items() if name.startswith(what)), None)
                yield ("the same, 256 clients" if more else words, reference, goal, None if value is None else f"{value:.2f}",
                       None if value is None else reached(value), "bench/cluster/tpcc.sh" + more)

        yield from ratio("CPU of our processes", "CPU of our processes / of the three databases, per transaction",
                         "thesis: 115 ms of 389 ms", "<= 0.06", lambda v: v <= 0.06)
        yield from ratio("transactions per CPU second", "transactions per CPU second of one database / unreplicated by CALL", "1.0",
                         ">= 0.95 plain, >= 1.6 with batch forms", lambda v: v >= 1.6)
        for way in ("text", "prepared"):
            yield from ratio(f"transactions/s of everything / {tpcc_table.WAYS[way]}",
                             f"transactions/s of everything / unreplicated, {way}", "1.0", ">= 1.0", lambda v: v >= 1)
        runs = thesis_table.read(self.results / "thesis")
        counts = sorted(g for system, g, c in runs if system == "groups" and c == 15)
        rates = {key: run["per_second"] for key, run in runs.items()}
        overhead = speed_up = None
        if counts and all(("unreplicated", g, 15) in rates for g in counts):
            overhead = max(1 - rates["groups", g, 15] / rates["unreplicated", g, 15] for g in counts)
            speed_up = rates["groups", counts[-1], 15] / rates["groups", counts[0], 15] * counts[0]
        yield ("the thesis's experiment: overhead, the worst of 1 to 5 groups", "4-16 %", "<= 2 %",
               overhead is not None and f"{100 * overhead:+.1f} %", None if overhead is None else overhead <= 0.02, "bench/cluster/thesis.sh")
        yield ("its speed-up at five groups", "4.2", ">= 4.9", speed_up is not None and f"{speed_up:.2f}",
               None if speed_up is None else speed_up >= 4.9, "bench/cluster/thesis.sh")
        for workers in (4, 1):
            run = thesis_table.read(self.results / f"thesis-paced-{workers}").get(("groups", 5, 15))
            p95 = run and run["latency_us"]["p95"] / 1000
            yield (f"its p95 at 1,000 a minute, {workers} page{'s' if workers > 1 else ''} at once per replica", "870 ms", "<= 260 ms",
                   p95 and f"{p95:.0f} ms", p95 and p95 <= 260,
                   "bench/run.sh --only paced")
        real = growth_table.read_real(self.results / "growth")
        slow = sorted((int(name.rsplit("-", 1)[1]), pair) for name, pair in real.items() if name.startswith("slow-tpm-"))
        per_second = [run["per_second"] for _, (run, _) in slow]
        primary = [print_["daemons"]["primary1"]["cpu_us_per_request"] for _, (_, print_) in slow if print_]
        growing = all(later > earlier for earlier, later in zip(per_second, per_second[1:]))
        text = (f"{', '.join(f'{v:,.0f}' for v in per_second)}/s; primary's CPU {', '.join(f'{v:.1f}' for v in primary)} us" if slow else None)
        yield ("1 to 5 groups on hosts of their own, ordering alone, TPMs of 50 ms, 256 requests under way for each", "-",
               "rate grows, primary's CPU constant", text,
               (growing and max(primary) <= 1.2 * min(primary)) if primary else None, "bench/growth.sh")

    def ordering(self):
        folder = self.results / "ordering"
        runs = {file.stem: load(file) for file in sorted(folder.glob("*.json")) if "." not in file.stem}
        if not runs:
            return
        self.say("### Ordering alone\n")
        self.conditions("ordering")
        self.say("| run | requests/s | p50 ms | p99 ms | CPU us per request, all nodes | daemons | TPMs | USIG services | clients | failed |")
        self.say("|---|---|---|---|---|---|---|---|---|---|")
        for name, run in runs.items():
            cpu, latency = run["cpu_us_per_request"], run["latency_us"]
            values = [growth_table.nodes_cpu(run), cpu.get("daemon", 0), cpu.get("tpm", 0), cpu.get("usig", 0), cpu["clients"]]
            self.say(f"| {name} | {run['per_second']:.0f} | {latency['p50'] / 1000:.2f} | {latency['p99'] / 1000:.2f} | "
                     + " | ".join(f"{value:.1f}" for value in values) + f" | {run['failed']} |")
            self.note("ordering", name, "requests_per_second", run["per_second"])
            for figure in ("p50", "p95", "p99"):
                self.note("ordering", name, f"{figure}_us", latency[figure])
            self.note("ordering", name, "cpu_us_per_request", values[0])
        if "saturated-0" in runs and "tpm-50" in runs:
            share = runs["tpm-50"]["per_second"] / runs["saturated-0"]["per_second"]
            self.say(f"\nWith TPMs that take 50 ms: {share:.2f} of the rate without (goal: 0.5).")
            self.note("ordering", "tpm-50", "share_of_rate", share)
        self.say()

    def tpcc(self):
        found = tpcc_table.read(self.results / "tpcc")
        if not found:
            return
        self.say("### TPC-C\n")
        self.conditions("tpcc")
        for part, clients in (("tpcc", 64), ("tpcc-256", 256)):
            found = tpcc_table.read(self.results / part)
            if not found:
                continue
            self.say(f"{clients} clients, 5 warehouses:\n")
            self.say(captured(tpcc_table.print_tables, found))
            for way, figures in found.items():
                for figure, value in figures.items():
                    self.note(part, way, figure, value)
            for what, value, _ in tpcc_table.ratios(found):
                self.note(part, "ratio", what, value)

    def thesis(self):
        runs = thesis_table.read(self.results / "thesis")
        if not runs:
            return
        self.say("### The thesis's experiment\n")
        self.conditions("thesis")
        self.say(captured(thesis_table.print_tables, runs, 200).strip() + "\n")
        for (system, groups, clients), run in runs.items():
            self.note("thesis", f"{system}.{groups}.{clients}", "per_minute", run["per_second"] * 60)
            self.note("thesis", f"{system}.{groups}.{clients}", "p95_us", run["latency_us"]["p95"])
        paced = [(workers, thesis_table.read(self.results / f"thesis-paced-{workers}").get(("groups", 5, 15)))
                 for workers in (1, 4)]
        if any(run for _, run in paced):
            self.conditions("paced")
            self.say("15 clients with 1,000 calls a minute between them, five groups; latency from when a call was due:\n")
            self.say("| pages at once, per replica | a minute | p50 ms | p95 ms | p95 / page (goal 1.3; thesis 4.35) |\n|---|---|---|---|---|")
            for workers, run in paced:
                if run:
                    p50, p95 = (run["latency_us"][name] / 1000 for name in ("p50", "p95"))
                    self.say(f"| {workers} | {run['per_second'] * 60:.0f} | {p50:.0f} | {p95:.0f} | {p95 / 200:.2f} |")
                    self.note("thesis", f"paced.{workers}", "p95_us", run["latency_us"]["p95"])
            self.say()

    def elastic(self):
        run = load(self.results / "elastic" / "elastic.json")
        if not run:
            return
        known = [pause for pause in run["pauses_ms"] if pause is not None]
        still, waited = (max((pause[n] for pause in known), default=0) for n in (0, 1))
        over = sum(row["p95_ms"] > run["target_ms"] for row in run["rows"]) / len(run["rows"])
        self.say("### Groups that come and go with the load\n")
        self.conditions("elastic")
        steps = ", ".join(f"{clients} for {seconds} s" for clients, seconds in run["profile"])
        self.say(f"Terminals: {steps}; {run['calls']} transactions, none failed, lost or twice. Groups that serve: "
                 f"{' -> '.join(map(str, run['groups']))}. What moved stood still for {still:.0f} ms at most, and calls waited for that {waited:.0f} ms at "
                 f"most ({len(known)} changes); p95 was over its target of {run['target_ms']:.0f} ms in {100 * over:.0f} % of the time.\n")
        self.note("elastic", "demo", "still_max_ms", still)
        self.note("elastic", "demo", "waited_max_ms", waited)
        self.note("elastic", "demo", "share_over_target", over)

    def stages(self):
        runs = [(name, file) for name, file in
                (("ordering, saturated", self.results / "ordering/saturated-0.status.json"),
                 ("ordering, one at a time", self.results / "ordering/alone.status.json"),
                 ("TPC-C", self.results / "tpcc/status.1.json"),
                 ("thesis, 5 groups", self.results / "thesis/groups.5.15.status")) if file.exists()]
        found = [(name, stages.read(file)) for name, file in runs]
        found = [(name, values) for name, values in found if values]
        if not found:
            return
        self.say("### Time per stage\n\nMeans in ms over all hosts (docs/operations.md says from where to where):\n")
        self.say("| stage | " + " | ".join(name for name, _ in found) + " |\n|---" + "|---" * len(found) + "|")
        for stage in stages.ORDER:
            if any(stage in values for _, values in found):
                self.say(f"| {stage} | " + " | ".join(f"{values[stage][1]:.2f}" if stage in values else "-"
                                                      for _, values in found) + " |")
        for name, values in found:
            for stage, (_, mean) in values.items():
                self.note("stages", name, f"{stage}_ms", mean)
        self.say()

    def micro(self):
        lines = []
        for name in ("codec", "digests", "signatures", "usig", "engines"):
            found = load(self.results / "micro" / f"{name}.json")
            for one in (found or {}).get("benchmarks", []):
                if one.get("error_occurred"):
                    continue
                unit = {"ns": 1e-3, "us": 1, "ms": 1e3, "s": 1e6}[one["time_unit"]]
                own_clock = "manual_time" in one["name"]  # then CPU time has the whole cluster's
                us = one["real_time" if own_clock else "cpu_time"] * unit
                lines.append((name, one["name"].replace("/manual_time", "").replace("/real_time", ""), us))
                self.note("micro", one["name"], "us", us)
        if not lines:
            return
        self.say("### Micro-benchmarks\n")
        self.conditions("micro")
        self.say("| | us of CPU | | us of CPU |\n|---|---|---|---|")
        half = (len(lines) + 1) // 2
        for left, right in zip(lines[:half], lines[half:] + [None]):
            cells = [f"{left[0]}: {left[1]} | {left[2]:.3g}", f"{right[0]}: {right[1]} | {right[2]:.3g}" if right else " | "]
            self.say("| " + " | ".join(cells) + " |")
        self.say("\nThe number behind a name is the requests in a frame or slot, the bytes, or the leaves.\n")

    def growth(self):
        folder = self.results / "growth"
        model, real = growth_table.read_model(folder), growth_table.read_real(folder)
        if not model and not real:
            return
        self.say("### How the cost grows\n")
        self.conditions("growth")
        self.say(captured(growth_table.print_tables, model, real).strip() + "\n")
        for name, rows in model.items():
            for row in rows:
                for figure in ("frames", "frame_bytes", "cpu_us", "leader_host_us"):
                    self.note("growth", f"{name}={row[growth_table.KEYS[name]]:.0f}", figure, row[figure])
        for name, (run, _) in real.items():
            self.note("growth", name, "requests_per_second", run["per_second"])
            self.note("growth", name, "cpu_us_per_request", growth_table.nodes_cpu(run))


def captured(function, *arguments):
    text = io.StringIO()
    with redirect_stdout(text):
        function(*arguments)
    return text.getvalue()


def put_into(docs, results, text):
    page = docs / "benchmarks.md"
    old = page.read_text()
    if BEGIN not in old or END not in old:
        raise SystemExit(f"report.py: {page} lacks the line '{BEGIN}' or '{END}'")
    images = docs / "images" / "bench"
    images.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, title in FIGURES:
        if (results / f"{name}.svg").exists():
            shutil.copy(results / f"{name}.svg", images / f"{name}.svg")
            lines += [f"![{title}](images/bench/{name}.svg)", ""]
    before, rest = old.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n\n{text.strip()}\n\n### Figures\n\n" + "\n".join(lines) + f"\n{END}{after}")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("results", type=pathlib.Path)
    options.add_argument("--docs", type=pathlib.Path)
    arguments = options.parse_args()
    report = Report(arguments.results)
    for part in (report.goals, report.ordering, report.tpcc, report.thesis, report.elastic, report.stages, report.growth, report.micro):
        part()
    if not report.text:
        print(f"report.py: no results in {arguments.results}", file=sys.stderr)
        return 1
    text = "\n".join(report.text) + "\n"
    (arguments.results / "report.md").write_text("# Results of bench/run.sh\n\n" + text)
    with (arguments.results / "results.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("part", "run", "figure", "value"))
        writer.writerows(report.rows)
    if arguments.docs:
        put_into(arguments.docs, arguments.results, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
