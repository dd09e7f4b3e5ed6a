/** The exchange that was negotiated. */
import type { Exchange, ExchangeContext, ServerKeys } from './exchange.ts';
import { DirectClientExchange, GroupedClientExchange, PoolClientExchange } from './exchange_client.ts';
import { serverExchange } from './exchange_server.ts';
import { kexMethod } from './kex.ts';

/** `keys`: those of the server; undefined for a client. */
export function startExchange(context: ExchangeContext, keys: ServerKeys | undefined): Exchange {
  const method = kexMethod(context.negotiated.kex);
  if (keys !== undefined) return serverExchange(context, keys, method);
  switch (method.kind) {
    case 'direct':
      return new DirectClientExchange(context, method);
    case 'pool':
      return new PoolClientExchange(context, method);
    case 'grouped':
      return new GroupedClientExchange(context, method);
  }
}
