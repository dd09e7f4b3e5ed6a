/** A plan over a list of hosts, each several times where asked: the usual plan. */
import { MyriadError } from '../contracts/errors.ts';
import type { Host, Target } from '../contracts/task.ts';
import type { Plan } from './plan.ts';

/** Hosts by their place: a host set by arithmetic, or a list. */
export interface HostList {
  readonly count: number;
  /** The host at `i`, 0 ≤ i < count. */
  at(i: number): Host;
}

/** All hosts in their order, then all again: index = (iteration − 1) × hosts + host. Iterations count from 1. */
export class HostPlan implements Plan {
  readonly count: number;
  readonly hosts: number;
  readonly #list: HostList;

  /** Throws MyriadError `usage` where `repeat` is no whole number from 1 on. */
  constructor(list: HostList, repeat = 1) {
    if (!Number.isSafeInteger(repeat) || repeat < 1) {
      throw new MyriadError('usage', `repeat must be a whole number from 1 on, not ${repeat}`);
    }
    this.#list = list;
    this.hosts = list.count;
    this.count = list.count * repeat;
    if (!Number.isSafeInteger(this.count)) {
      throw new MyriadError('usage', `repeat ${repeat} of ${list.count} hosts makes more tasks than can be counted`);
    }
  }

  at(index: number): Target {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`no task ${index} in a plan of ${this.count}`);
    const round = Math.floor(index / this.hosts);
    const { label, name, user, port, identity } = this.#list.at(index - round * this.hosts);
    return { label, name, user, port, identity, index, iteration: round + 1 };
  }
}
