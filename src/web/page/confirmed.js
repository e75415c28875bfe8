// Shows what a cluster confirmed: the result or page, the badge that says by whom, and an alarm when replicas differ.
// Nothing of a result reaches the document before f+1 replicas have signed the same.

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name === 'class') node.className = value;
    else if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  node.append(...children.filter((child) => child !== undefined));
  return node;
}

function table(rows) {
  return element('table', { class: 'bft-rows' }, ...rows.map((row) =>
    element('tr', {}, ...row.map((value) => element('td', {}, value === null ? 'NULL' : String(value))))));
}

/** A page of replicas: without scripts, forms or an origin of its own. */
function sandboxed(html) {
  const frame = element('iframe', { class: 'bft-page', sandbox: '', title: 'confirmed page' });
  frame.srcdoc = html;
  return frame;
}

function names(entries) {
  return entries.map(({ host, ms }) => `${host} (${ms} ms)`).join(', ');
}

function badge(confirmation, report) {
  const outcome = { ok: '', aborted: ` Aborted by the application, code ${confirmation.code}.`, duplicate: ' It had been executed before.' };
  return element('p', { class: report.differed.length > 0 ? 'bft-badge bft-differs' : 'bft-badge', 'data-confirmed': report.confirmedBy.length },
    element('strong', {}, `confirmed by ${report.confirmedBy.length} of ${report.of}`),
    ` ${names(report.confirmedBy)}. Order number ${confirmation.slot}/${confirmation.index}.${outcome[confirmation.outcome]}`,
    ...(report.silent.length > 0 ? [element('span', { class: 'bft-silent' }, ` Silent: ${report.silent.map(({ host, why }) => `${host} (${why})`).join(', ')}.`)] : []));
}

function evidence(title, reply) {
  return element('details', {}, element('summary', {}, title), element('pre', {}, JSON.stringify(reply, null, 2)));
}

/** Both signed replies: the one that was confirmed and the one that differs. */
function alarm(report, receipt) {
  if (report.differed.length === 0) return undefined;
  return element('div', { class: 'bft-alarm', role: 'alert' },
    element('strong', {}, 'Replicas differ: '), report.differed.map(({ host, why }) => `${host} ${why}`).join('; '),
    ...(receipt ? [evidence(`what ${report.needed} or more replicas signed`, receipt)] : []),
    ...report.differed.filter(({ reply }) => reply).map(({ host, reply }) => evidence(`what ${host} answered`, reply)));
}

function save(name, content) {
  const link = element('a', { href: URL.createObjectURL(new Blob([content], { type: 'application/json' })), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function showConfirmation(box, confirmation, report) {
  const receipt = confirmation.receipt();
  box.replaceChildren(...[
    badge(confirmation, report),
    alarm(report, receipt),
    confirmation.html !== undefined ? sandboxed(confirmation.html) : element('div', { class: 'bft-result' }, ...(confirmation.sets ?? []).map(table)),
    element('button', { type: 'button', class: 'bft-receipt', onclick: () => save(`receipt-${confirmation.slot}-${confirmation.index}.json`, JSON.stringify(receipt, null, 2)) }, 'Save receipt'),
  ].filter(Boolean));
}

function showFailure(box, error) {
  const title = { disagreement: 'Not confirmed: the replicas do not agree', refused: 'Refused', stale_manifest: 'Your manifest is stale', timeout: 'Not confirmed' };
  box.replaceChildren(...[
    element('p', { class: 'bft-failed', role: 'alert', 'data-kind': error.kind ?? 'error' },
      element('strong', {}, `${title[error.kind] ?? 'Not sent'}. `), error.message, '.'),
    error.report && alarm(error.report),
    error.report && error.report.silent.length > 0
      ? element('p', { class: 'bft-silent' }, `Silent: ${error.report.silent.map(({ host, why }) => `${host} (${why})`).join(', ')}`) : undefined,
  ].filter(Boolean));
}

const latest = new WeakMap(); // box -> the call that it shows

/** Shows what becomes of `calling`, a promise of BftClient.call() or page(), in the element `box`. */
export async function showCall(box, calling) {
  // Whatever becomes known of an earlier call does not replace what is shown of a later one.
  const mine = () => latest.get(box) === calling;
  latest.set(box, calling);
  box.classList.add('bft-box');
  box.replaceChildren(element('p', { class: 'bft-pending' }, 'Waiting for equal answers...'));
  let confirmation;
  try {
    confirmation = await calling;
  } catch (error) {
    if (mine()) showFailure(box, error);
    return undefined;
  }
  if (mine()) showConfirmation(box, confirmation, confirmation);
  // Later voices change the badge, or raise the alarm.
  confirmation.settled.then((report) => mine() && showConfirmation(box, confirmation, report));
  return confirmation;
}

/** A checked receipt (verifyReceipt). */
export function showReceipt(box, checked) {
  box.classList.add('bft-box');
  box.replaceChildren(...[
    element('p', { class: checked.valid ? 'bft-badge' : 'bft-failed', 'data-valid': checked.valid },
      element('strong', {}, checked.valid ? 'A good receipt' : 'Not a good receipt'),
      checked.valid ? `, signed by ${checked.hosts.join(', ')}. ` : '. ', checked.problems.join('. ')),
    checked.call && element('p', {}, `${checked.call.procedure}(${checked.call.args.map((arg) => JSON.stringify(arg)).join(', ')})`),
    checked.html !== undefined ? sandboxed(checked.html) : checked.sets && element('div', { class: 'bft-result' }, ...checked.sets.map(table)),
  ].filter(Boolean));
}

export { element };
