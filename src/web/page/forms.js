// A form for each procedure of the application, made from the manifest's catalog.

import { FormatError } from '../client/bft-client.js';
import { element } from './confirmed.js';

// So that a first click does something sensible.
const EXAMPLES = {
  create_account: { branch: 1, account: 1, owner: 'ann', opening: '100.00' },
  send_payment: { branch: 1, account: 1, to_branch: 2, to_account: 1, amount: '12.50', memo: 'tea' },
  query_account: { branch: 1, account: 1 },
  statement: { branch: 1, account: 1, lines: 10 },
  branch_totals: { branch: 1 },
  new_order: { w_id: 1, d_id: 1, c_id: 1, lines: '[[1, 1, 5], [2, 1, 3]]' },
  payment: { w_id: 1, d_id: 1, c_w_id: 1, c_d_id: 1, c_id: 1, c_last: '', amount: '10.00' },
  order_status: { w_id: 1, d_id: 1, c_id: 1, c_last: '' },
  delivery: { w_id: 1, o_carrier_id: 1 },
  stock_level: { w_id: 1, d_id: 1, threshold: 15 },
};

function field(procedure, parameter) {
  const example = EXAMPLES[procedure]?.[parameter.name] ?? '';
  const input = element('input', { name: parameter.name, value: String(example), autocomplete: 'off', ...(parameter.type === 'integer' ? { inputmode: 'numeric' } : {}) });
  const hint = { rows: `rows of ${parameter.columns?.map(({ name }) => name).join(', ')}`, decimal: `${parameter.scale} digits behind the point` };
  return element('label', { title: hint[parameter.type] ?? parameter.type }, parameter.name, input);
}

/** Values of a form as BftClient.call() wants them. Throws FormatError. */
export function valuesOf(form, procedure) {
  return procedure.parameters.map((parameter) => {
    const text = form.elements.namedItem(parameter.name).value;
    if (parameter.nullable && text === '') return null;
    if (parameter.type !== 'rows') return parameter.type === 'string' ? text : text.trim();
    try {
      return JSON.parse(text);
    } catch {
      throw new FormatError(`${parameter.name}: rows are written as [[1, 2], [3, 4]]`);
    }
  });
}

/** `send(procedure's name, values)` is called on submit; it shows what went wrong before that, too. */
export function procedureForm(procedure, send) {
  return element('form', {
    class: 'bft-form',
    'data-procedure': procedure.name,
    onsubmit: (event) => {
      event.preventDefault();
      send(procedure.name, () => valuesOf(event.target, procedure));
    },
  }, element('h3', {}, procedure.name.replaceAll('_', ' '), procedure.read_only ? element('small', {}, ' reads') : ''),
  ...procedure.parameters.map((parameter) => field(procedure.name, parameter)),
  element('button', { type: 'submit' }, 'Send to all replicas'));
}
