// Calls and results of the catalog, and the content of a request: docs/http.md, section "A request".

import { FormatError, bytesText, concat, digestOf, sized, textBytes, toU64, u16, u32, u8 } from './bytes.js';

const NULL = 0;
const INTEGER = 1;
const TEXT = 2;
const ROWS = 3;

function i64(value) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigInt64(0, value);
  return out;
}

function encodeValue(value) {
  if (value === null) return u8(NULL);
  if (typeof value === 'bigint') return concat([u8(INTEGER), i64(value)]);
  const text = textBytes(value);
  return concat([u8(TEXT), u32(text.length), text]);
}

function encodeArgument(argument) {
  if (!Array.isArray(argument)) return encodeValue(argument);
  const columns = argument.length === 0 ? 0 : argument[0].length;
  return concat([u8(ROWS), u16(columns), u32(argument.length), ...argument.flat().map(encodeValue)]);
}

/** Arguments as prepareCall() makes them. */
export function encodeCall(procedure, values) {
  const name = textBytes(procedure);
  return concat([u8(1), u32(name.length), name, u16(values.length), ...values.map(encodeArgument)]);
}

class Reader {
  constructor(bytes) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = 0;
  }

  take(size) {
    if (this.at + size > this.bytes.length) throw new FormatError('the encoding ends too early');
    this.at += size;
    return this.at - size;
  }

  u8() { return this.view.getUint8(this.take(1)); }
  u16() { return this.view.getUint16(this.take(2)); }
  u32() { return this.view.getUint32(this.take(4)); }
  i64() { return this.view.getBigInt64(this.take(8)); }

  text() {
    const size = this.u32();
    const from = this.take(size);
    return bytesText(this.bytes.subarray(from, from + size));
  }

  value(tag = this.u8()) {
    if (tag === NULL) return null;
    if (tag === INTEGER) {
      const number = this.i64();
      return Number.isSafeInteger(Number(number)) ? Number(number) : number;
    }
    if (tag === TEXT) return this.text();
    throw new FormatError(`a value of kind ${tag}`);
  }

  rows(columns, count) {
    // Every value takes a byte at least: a count beyond the bytes that are there is a lie.
    if (columns * count > this.bytes.length - this.at) throw new FormatError('more rows than bytes');
    return Array.from({ length: count }, () => Array.from({ length: columns }, () => this.value()));
  }

  end() {
    if (this.at !== this.bytes.length) throw new FormatError('bytes behind the end');
  }
}

/** Result sets, each a list of rows. Integers beyond 2^53 come as BigInt. */
export function decodeResult(bytes) {
  if (bytes.length === 0) return [];
  const in_ = new Reader(bytes);
  if (in_.u8() !== 1) throw new FormatError('a result of another format');
  const count = in_.u32();
  if (count > 64) throw new FormatError('too many result sets');
  const sets = [];
  for (let i = 0; i < count; ++i) {
    const columns = in_.u32();
    if (columns === 0 || columns > 256) throw new FormatError('a result set of no or too many columns');
    sets.push(in_.rows(columns, in_.u32()));
  }
  in_.end();
  return sets;
}

export function decodeCall(bytes) {
  const in_ = new Reader(bytes);
  if (in_.u8() !== 1) throw new FormatError('a call of another format');
  const procedure = in_.text();
  const count = in_.u16();
  const args = [];
  for (let i = 0; i < count; ++i) {
    const tag = in_.u8();
    if (tag === ROWS) {
      const columns = in_.u16();
      args.push(in_.rows(columns, in_.u32()));
    } else {
      args.push(in_.value(tag));
    }
  }
  in_.end();
  return { procedure, args };
}

function varint(value) {
  const out = [];
  for (let rest = toU64(value); ; rest >>= 7n) {
    if (rest < 128n) return Uint8Array.from([...out, Number(rest)]);
    out.push(Number(rest & 127n) | 128);
  }
}

function varintField(number, value) {
  return toU64(value) === 0n ? new Uint8Array() : concat([u8(number << 3), varint(value)]);
}

function bytesField(number, bytes) {
  return bytes.length === 0 ? bytes : concat([u8((number << 3) | 2), varint(bytes.length), bytes]);
}

/** RequestContent of proto/bftnode/wire.proto: what `raw` holds. */
export function encodeRequest({ client, home, cseq, ackLow, parts, readOnly, op }) {
  return concat([
    varintField(1, client), varintField(2, home), varintField(3, cseq), varintField(4, ackLow),
    bytesField(5, concat(parts.map(varint))), varintField(6, readOnly ? 1 : 0), bytesField(7, op),
  ]);
}

class ContentReader {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }

  get more() { return this.at < this.bytes.length; }

  varint() {
    let value = 0n;
    for (let shift = 0n; shift < 64n; shift += 7n) {
      if (!this.more) break;
      const byte = this.bytes[this.at++];
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new FormatError('a number without an end');
  }

  block() {
    const size = Number(this.varint());
    if (size > this.bytes.length - this.at) throw new FormatError('the request ends too early');
    this.at += size;
    return this.bytes.slice(this.at - size, this.at);
  }
}

/** The reverse, for receipts. */
export function decodeRequest(raw) {
  const out = { client: 0n, home: 0, cseq: 0n, ackLow: 0n, parts: [], readOnly: false, op: new Uint8Array() };
  const in_ = new ContentReader(raw);
  while (in_.more) {
    const tag = Number(in_.varint());
    if (tag === 0x08) out.client = in_.varint();
    else if (tag === 0x10) out.home = Number(in_.varint());
    else if (tag === 0x18) out.cseq = in_.varint();
    else if (tag === 0x20) out.ackLow = in_.varint();
    else if (tag === 0x2a) {
      const packed = new ContentReader(in_.block());
      while (packed.more) out.parts.push(Number(packed.varint()));
    } else if (tag === 0x30) out.readOnly = in_.varint() !== 0n;
    else if (tag === 0x3a) out.op = in_.block();
    else if (tag === 0x40) out.key = in_.varint();
    else throw new FormatError('a request with an unknown field');
  }
  return out;
}

export function requestDigest(raw) {
  return digestOf('req', sized(raw));
}
