// Bytes, their texts, and the digests of docs/http.md, section "Notation".

const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder('utf-8', { fatal: true });

/** Bytes that are not what they have to be: bad input of a peer or a file. */
export class FormatError extends Error {
  name = 'FormatError';
}

export function concat(parts) {
  let size = 0;
  for (const part of parts) size += part.length;
  const out = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

export function equalBytes(a, b) {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

const HEX = Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0'));

export function toHex(bytes) {
  let out = '';
  for (const byte of bytes) out += HEX[byte];
  return out;
}

/** Lower-case hexadecimal of exactly `size` bytes, when `size` is given. */
export function fromHex(text, size) {
  if (typeof text !== 'string' || text.length % 2 !== 0 || !/^[0-9a-f]*$/.test(text))
    throw new FormatError('not lower-case hexadecimal');
  if (size !== undefined && text.length !== 2 * size) throw new FormatError(`not ${size} bytes`);
  const out = new Uint8Array(text.length / 2);
  for (let i = 0; i < out.length; ++i) out[i] = parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return out;
}

export function toBase64Url(bytes) {
  let binary = '';
  for (let i = 0; i < bytes.length; i += 8192)
    binary += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

export function fromBase64Url(text) {
  if (typeof text !== 'string' || !/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1)
    throw new FormatError('not base64url without padding');
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const out = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  if (toBase64Url(out) !== text) throw new FormatError('not the one base64url form');
  return out;
}

export function textBytes(text) {
  return utf8.encode(text);
}

export function bytesText(bytes) {
  try {
    return fromUtf8.decode(bytes);
  } catch {
    throw new FormatError('not UTF-8');
  }
}

export function u8(value) {
  return Uint8Array.of(value);
}

export function u16(value) {
  return Uint8Array.of(value >> 8, value & 255);
}

export function u32(value) {
  if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
    throw new FormatError(`${value} is no 32-bit number`);
  return Uint8Array.of(value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255);
}

/** A BigInt, a safe integer, or the decimal text of docs/openapi.yaml. */
export function toU64(value) {
  if (typeof value === 'string' && !/^(0|[1-9][0-9]{0,19})$/.test(value))
    throw new FormatError('not a 64-bit number in decimal');
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new FormatError('not a whole number');
  if (!['string', 'number', 'bigint'].includes(typeof value)) throw new FormatError('not a number');
  const number = BigInt(value);
  if (number < 0n || number > 0xffffffffffffffffn) throw new FormatError('not a 64-bit number');
  return number;
}

export function u64(value) {
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, toU64(value));
  return out;
}

/** A field of variable length: its length first. */
export function sized(bytes) {
  return concat([u64(bytes.length), bytes]);
}

export function sizedText(text) {
  return sized(textBytes(text));
}

let hash = async (bytes) => new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

/** A faster SHA-256 than WebCrypto's, which costs a thread change per call: bytes to bytes, or to a promise of them. */
export function useSha256(implementation) {
  hash = implementation;
}

/** H(tag, fields...): a promise of 32 bytes, or the bytes. */
export function digestOf(tag, ...fields) {
  return hash(concat([sizedText(tag), ...fields]));
}

export const ZERO_DIGEST = new Uint8Array(32);
