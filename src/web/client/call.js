// Arguments as the catalog wants them, and the partitions that a call touches.

import { FormatError } from './bytes.js';

/** `text` with exactly `scale` digits behind the point: the only form in which a decimal is accepted. */
export function canonicalDecimal(value, precision, scale) {
  const match = /^(-?)0*(\d+?)(?:\.(\d+))?$/.exec(typeof value === 'number' ? value.toString() : value);
  const part = (match?.[3] ?? '').replace(/0+$/, '');
  if (!match || part.length > scale) throw new FormatError(`'${value}' is no number with ${scale} digits behind the point`);
  const whole = match[2];
  if ((whole === '0' ? 0 : whole.length) + scale > precision) throw new FormatError(`'${value}' has too many digits`);
  const zero = whole === '0' && part === '';
  return `${match[1] && !zero ? '-' : ''}${whole}${scale > 0 ? `.${part.padEnd(scale, '0')}` : ''}`;
}

function integer(parameter, value) {
  let number;
  try {
    number = BigInt(typeof value === 'string' && !/^-?\d+$/.test(value) ? NaN : value);
  } catch {
    throw new FormatError(`${parameter.name}: '${value}' is no whole number`);
  }
  const low = BigInt(parameter.low ?? '-9223372036854775808');
  const high = BigInt(parameter.high ?? '9223372036854775807');
  if (number < low || number > high) throw new FormatError(`${parameter.name}: ${number} is not from ${low} to ${high}`);
  return number;
}

function convert(parameter, value) {
  if (value === null || value === undefined) {
    if (!parameter.nullable) throw new FormatError(`${parameter.name}: a value is missing`);
    return null;
  }
  if (parameter.type === 'integer') return integer(parameter, value);
  if (parameter.type === 'decimal') {
    if (typeof value !== 'string' && typeof value !== 'number') throw new FormatError(`${parameter.name}: no number`);
    return canonicalDecimal(value, parameter.precision, parameter.scale);
  }
  if (parameter.type === 'rows') return rows(parameter, value);
  if (typeof value !== 'string') throw new FormatError(`${parameter.name}: no text`);
  if ([...value].length > parameter.max) throw new FormatError(`${parameter.name}: more than ${parameter.max} characters`);
  return value;
}

function rows(parameter, value) {
  if (!Array.isArray(value) || value.length > parameter.max_rows)
    throw new FormatError(`${parameter.name}: not a list of at most ${parameter.max_rows} rows`);
  return value.map((row) => {
    if (!Array.isArray(row) || row.length !== parameter.columns.length)
      throw new FormatError(`${parameter.name}: a row has ${parameter.columns.length} values`);
    return row.map((cell, i) => convert(parameter.columns[i], cell));
  });
}

/**
 * What is sent for `procedure` with `args`, a list in the catalog's order or an object by name: converted values, the
 * home partition, all partitions sorted, and whether it only reads. Throws FormatError: nothing has been sent then.
 */
export function prepareCall(manifest, procedure, args) {
  const found = manifest.procedures.get(procedure);
  if (!found) throw new FormatError(`the application has no procedure '${procedure}'`);
  if (!Array.isArray(args)) {
    const unknown = Object.keys(args).find((name) => !found.parameters.some((p) => p.name === name));
    if (unknown !== undefined) throw new FormatError(`${procedure} has no parameter '${unknown}'`);
    args = found.parameters.map((parameter) => args[parameter.name]);
  }
  if (args.length !== found.parameters.length)
    throw new FormatError(`${procedure} takes ${found.parameters.length} arguments, not ${args.length}`);
  const values = found.parameters.map((parameter, i) => convert(parameter, args[i]));
  const touched = found.partitions.flatMap(({ parameter, column }) =>
    column === undefined ? [values[parameter]] : values[parameter].map((row) => row[column]));
  if (touched.length === 0) throw new FormatError(`${procedure}: no argument names a partition`);
  const parts = [...new Set(touched.map(Number))].sort((a, b) => a - b);
  const home = Number(touched[0]);
  const group = manifest.owners.get(home);
  if (group === undefined) throw new FormatError(`partition ${home} does not exist`);
  const missing = parts.find((partition) => !manifest.owners.has(partition));
  if (missing !== undefined) throw new FormatError(`partition ${missing} does not exist`);
  return { procedure, values, home, parts, group, readOnly: found.read_only };
}
