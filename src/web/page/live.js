// The cluster as its hosts describe themselves: nothing here is confirmed by anybody, and the page says so.

import { element } from './confirmed.js';

const PERIOD_MS = 1000;
const PATIENCE_MS = 3000;

async function ask(url, as = 'json') {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store', credentials: 'omit' });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response[as]();
}

/** Sums and counts of the stages' histograms in Prometheus text: stage -> {sum, count}. */
export function stageTimes(text) {
  const stages = new Map();
  for (const line of text.split('\n')) {
    const match = /^(bft\w*_seconds)_(sum|count)(\{[^}]*\})? ([0-9.eE+-]+)$/.exec(line);
    if (!match) continue;
    const [, family, part, labels = '', value] = match;
    const name = family.replace(/^bft(node)?_/, '').replace(/_seconds$/, '') + labels.replaceAll('"', '');
    const stage = stages.get(name) ?? { sum: 0, count: 0 };
    stage[part] += Number(value);
    stages.set(name, stage);
  }
  return stages;
}

class Host {
  constructor(host) {
    this.name = host.name;
    this.http = host.http;
    this.executed = 0;
    this.rate = 0;
    this.stages = new Map();
    this.latency = new Map();
  }

  async look() {
    const before = { at: this.at, executed: this.executed };
    try {
      this.status = await ask(`${this.http}/v1/status`);
      this.at = performance.now();
      this.executed = this.status.voter?.executed ?? 0;
      this.rate = before.at ? Math.max(0, ((this.executed - before.executed) * 1000) / (this.at - before.at)) : 0;
      this.trouble = undefined;
    } catch {
      this.status = this.at = undefined;
      this.trouble = 'does not answer';
      return;
    }
    try {
      this.#measure(stageTimes(await ask(`${this.http}/metrics`, 'text')));
    } catch {
      this.latency.clear(); // a front may keep its metrics to itself
    }
  }

  /** Mean of what happened since the last look. */
  #measure(stages) {
    for (const [name, { sum, count }] of stages) {
      const old = this.stages.get(name);
      if (old && count > old.count) this.latency.set(name, ((sum - old.sum) * 1000) / (count - old.count));
    }
    this.stages = stages;
  }

  row(accusedBy) {
    const { status } = this;
    const groups = (status?.replicas ?? []).map((r) => `${r.group}: view ${r.view}, committed ${r.committed}, executed ${r.executed}`);
    const latency = [...this.latency].slice(0, 8).map(([name, ms]) => `${name} ${ms.toFixed(1)} ms`);
    const state = !status ? this.trouble : status.ready ? 'ready' : 'not ready';
    const troubled = accusedBy.length > 0;
    return element('tr', { 'data-host': this.name, class: !status ? 'down' : troubled ? 'differs' : '' },
      element('td', {}, this.name), element('td', {}, state), element('td', { class: 'lines' }, groups.join('\n')),
      element('td', {}, status ? `${Math.round(this.rate)}/s` : ''), element('td', {}, status ? String(this.executed) : ''),
      element('td', { class: 'lines' }, latency.join('\n')),
      element('td', {}, troubled ? `differs, say ${accusedBy.join(', ')}` : ''));
  }
}

/** Fills `box` (a table's body) for ever. */
export async function showLive(box, manifest) {
  const hosts = [...manifest.hosts.values()].filter((host) => host.http).map((host) => new Host(host));
  for (;;) {
    await Promise.all(hosts.map((host) => host.look()));
    const accusers = (name) => hosts.filter((other) => other.name !== name && other.status?.disagreements?.[name] > 0).map((other) => other.name);
    // One host alone may be the liar: what it says of others is shown with its name.
    box.replaceChildren(...hosts.map((host) => host.row(accusers(host.name))));
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
  }
}

/** The latest transactions of all groups, as the first host tells them. */
export function showEvents(box, feedEvent) {
  const seen = new Set();
  return (host, event) => {
    if (event.type !== 'commits') return;
    for (const t of event.transactions.slice(-8)) {
      const name = `${event.group} ${t.slot} ${t.index}`;
      if (seen.has(name)) continue;
      seen.add(name);
      if (seen.size > 1000) seen.clear();
      box.prepend(element('li', {}, `group ${event.group}, order number ${t.slot}/${t.index}: client ${t.client}, ${t.outcome}${t.code ? ` ${t.code}` : ''} (first said by ${host})`));
      while (box.childElementCount > 12) box.lastElementChild.remove();
    }
    feedEvent?.(host, event);
  };
}
