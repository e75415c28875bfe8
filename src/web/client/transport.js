// One HTTP exchange with one replica. What it answers is hostile until it is verified: bounded in size and time.

const ANSWER_MAX = 8 * 1024 * 1024;

export class TransportError extends Error {
  name = 'TransportError';
}

async function boundedText(response, max) {
  const reader = response.body?.getReader();
  if (!reader) return '';
  const decoder = new TextDecoder();
  let text = '';
  for (let size = 0; ; ) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    size += value.length;
    if (size > max) {
      await reader.cancel();
      throw new TransportError(`answered with more than ${max} bytes`);
    }
    text += decoder.decode(value, { stream: true });
  }
}

/** {status, body}: the parsed JSON. Throws TransportError when there is none in time. `inFlight`: for whoever ends them all. */
export async function exchange(fetchFn, url, body, { timeoutMs, inFlight }) {
  const own = new AbortController();
  const timer = setTimeout(() => own.abort(), timeoutMs);
  inFlight?.add(own);
  try {
    const response = await fetchFn(url, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body, headers: { 'content-type': 'application/json' } }),
      signal: own.signal,
      cache: 'no-store',
      credentials: 'omit',
      redirect: 'error',
    });
    return { status: response.status, body: JSON.parse(await boundedText(response, ANSWER_MAX)) };
  } catch (error) {
    if (error instanceof TransportError) throw error;
    if (own.signal.aborted) throw new TransportError(`did not answer within ${timeoutMs} ms`);
    throw new TransportError(error instanceof SyntaxError ? 'answered with something that is no JSON' : 'is not reachable');
  } finally {
    clearTimeout(timer);
    inFlight?.delete(own);
  }
}
