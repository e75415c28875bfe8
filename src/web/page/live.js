// The cluster as its hosts describe themselves: nothing here is confirmed by anybody, and the page says so.

import { element } from './confirmed.js';

const PERIOD_MS = 1000;
const PATIENCE_MS = 3000;
const LATENCIES = 100; // of the last so many transactions

function mean(list) {
  return (list.reduce((sum, value) => sum + value, 0) / list.length).toFixed(1);
}

/** Mean milliseconds of each stage between two words of a host; a stage in which nothing happened keeps what it had. */
export function stageMeans(before, now, old = {}) {
  const means = { ...old };
  for (const [name, { count, sum_us: sum }] of Object.entries(now ?? {})) {
    const { count: was = 0, sum_us: summed = 0 } = before?.[name] ?? {};
    // Fewer than before: the daemon has started again.
    if (count > was) means[name] = (sum - summed) / (count - was) / 1000;
    else if (count < was && count > 0) means[name] = sum / count / 1000;
  }
  return means;
}

async function ask(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(PATIENCE_MS), cache: 'no-store', credentials: 'omit' });
  if (!response.ok) throw new Error(`status ${response.status}`);
  return response.json();
}

class Host {
  constructor(host, primaries) {
    this.primaries = primaries; // names, by number
    this.name = host.name;
    this.http = host.http;
    this.executed = 0;
    this.rate = 0;
    this.order = []; // ms from the slot's time, by the primary's clock, to this host's word
    this.behind = []; // ms after the first host that said the same
  }

  spoke(orderMs, behindMs) {
    for (const [list, value] of [[this.order, orderMs], [this.behind, behindMs]]) {
      list.push(value);
      if (list.length > LATENCIES) list.shift();
    }
  }

  async look() {
    const before = { at: this.at, executed: this.executed, stages: this.status?.stages };
    try {
      this.status = await ask(`${this.http}/v1/status`);
      this.at = performance.now();
      this.executed = this.status.voter?.executed ?? 0;
      this.rate = before.at ? Math.max(0, ((this.executed - before.executed) * 1000) / (this.at - before.at)) : 0;
      this.stages = stageMeans(before.stages, this.status.stages, this.stages);
      this.trouble = undefined;
    } catch {
      this.status = this.at = undefined;
      this.trouble = 'does not answer';
    }
  }

  row(accusedBy) {
    const { status } = this;
    const groups = (status?.replicas ?? []).map((r) => `${r.group}: view ${r.view} (${this.primaries[r.leader] ?? r.leader}), committed ${r.committed}, executed ${r.executed}`);
    const stages = Object.entries(this.stages ?? {}).map(([name, ms]) => `${name} ${ms.toFixed(1)}`).join(' · ');
    const latency = this.order.length === 0 ? '' : `order to answer ${mean(this.order)} ms\nbehind the first ${mean(this.behind)} ms`;
    const state = !status ? this.trouble : status.ready ? 'ready' : 'not ready';
    const troubled = accusedBy.length > 0;
    return element('tr', { 'data-host': this.name, class: !status ? 'down' : troubled ? 'differs' : '' },
      element('td', {}, this.name), element('td', {}, state), element('td', { class: 'lines' }, groups.join('\n')),
      element('td', {}, status ? `${Math.round(this.rate)}/s` : ''), element('td', {}, status ? String(this.executed) : ''),
      element('td', { class: 'lines' }, latency, latency && stages ? '\n' : '', element('span', { class: 'stages' }, stages && `stages: ${stages} ms`)),
      element('td', {}, troubled ? `differs, say ${accusedBy.join(', ')}` : ''));
  }
}

export class Live {
  #seen = new Map(); // transaction -> when it was first heard of

  /** Fills `hosts` (a table's body) and `events` (a list) for ever. */
  constructor(manifest, hosts, events) {
    this.hosts = new Map([...manifest.hosts.values()].filter((host) => host.http).map((host) => [host.name, new Host(host, manifest.document.primaries.map((primary) => primary.host))]));
    this.box = hosts;
    this.events = events;
    this.#watch();
  }

  async #watch() {
    const all = [...this.hosts.values()];
    for (;;) {
      await Promise.all(all.map((host) => host.look()));
      const accusers = (name) => all.filter((other) => other.name !== name && other.status?.disagreements?.[name] > 0).map((other) => other.name);
      // One host alone may be the liar: what it says of others is shown with its name.
      this.box.replaceChildren(...all.map((host) => host.row(accusers(host.name))));
      await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    }
  }

  /** An unsigned event of EventFeed. */
  heard(host, event) {
    if (event.type !== 'commits') return;
    for (const t of event.transactions) {
      const name = `${event.group} ${t.slot} ${t.index}`;
      const first = !this.#seen.has(name);
      if (first) this.#seen.set(name, performance.now());
      this.hosts.get(host)?.spoke(Math.max(0, Date.now() - Number(t.ts_ms)), performance.now() - this.#seen.get(name));
      if (this.#seen.size > 10000) this.#seen.delete(this.#seen.keys().next().value);
      if (first) this.#show(host, event.group, t);
    }
  }

  #show(host, group, t) {
    this.events.prepend(element('li', {}, `group ${group}, order number ${t.slot}/${t.index}: client ${t.client}, ${t.outcome}${t.code ? ` ${t.code}` : ''} (first said by ${host})`));
    while (this.events.childElementCount > 12) this.events.lastElementChild.remove();
  }
}
