// Serves the browser's side on loopback, with a cluster's manifest: the client's own machine.
import fs from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json' };

/** `document()`: the manifest at the time of the request. Resolves to {url, close}. */
export async function serveSite(folder, document) {
  const server = http.createServer(async (request, response) => {
    const name = new URL(request.url, 'http://x').pathname;
    if (name === '/cluster.json') return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document()));
    try {
      const file = path.join(folder, path.normalize(name.endsWith('/') ? `${name}index.html` : name));
      const body = await fs.readFile(file);
      return response.writeHead(200, { 'content-type': TYPES[path.extname(file)] ?? 'application/octet-stream' }).end(body);
    } catch {
      return response.writeHead(404).end();
    }
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => new Promise((resolve) => { server.closeAllConnections(); server.close(resolve); }) };
}
