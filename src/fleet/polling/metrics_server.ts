/** The endpoint that metrics are read from: one page, no more. */
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { MyriadError } from '../../contracts/errors.ts';
import type { MetricsPlace } from './options.ts';

/** Readers at once. */
const MOST_CONNECTIONS = 32;
/** For a whole request; one who sends nothing is hung up on. */
const REQUEST_MS = 10_000;
const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

export class MetricsServer implements AsyncDisposable {
  /** Where it is read. */
  readonly url: string;
  readonly #server: Server;

  private constructor(server: Server) {
    const { address, port, family } = server.address() as AddressInfo;
    this.url = `http://${family === 'IPv6' ? `[${address}]` : address}:${port}/metrics`;
    this.#server = server;
  }

  /** Throws `usage` where nothing can listen there. */
  static async open({ address, port }: MetricsPlace, text: () => string): Promise<MetricsServer> {
    // An import would cost every start 30 ms: it reads all names of the module, and some of them load fetch.
    const { createServer } = process.getBuiltinModule('node:http');
    const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
      const { method = '', url = '' } = request;
      if (url.split('?', 1)[0] !== '/metrics') return void response.writeHead(404).end('metrics are at /metrics\n');
      if (method !== 'GET' && method !== 'HEAD') return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
      response.writeHead(200, { 'content-type': CONTENT_TYPE }).end(method === 'HEAD' ? '' : text());
    });
    server.maxConnections = MOST_CONNECTIONS;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => {
        const why = cause.code === 'EADDRINUSE' ? 'something listens there already' : (cause.code ?? cause.message);
        reject(new MyriadError('usage', `metrics: cannot listen on ${address} port ${port}: ${why}`, { cause }));
      });
      server.listen({ host: address, port, exclusive: true }, resolve);
    });
    // It is there for the run, and keeps no process by itself.
    server.unref();
    return new MetricsServer(server);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#server.close(() => resolve());
    this.#server.closeAllConnections();
    await promise;
  }
}
