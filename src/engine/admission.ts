/** What one task holds of the run's limits. The order and meaning of the limits are written in `limits.ts`. */
import type { ConnectPhase } from '../transport/transport.ts';
import type { Loan } from './lending.ts';
import type { AddressSlots, Slots, Waiter } from './limits.ts';
import { PENALTY_MS } from './retry.ts';
import type { TaskRun } from './task_run.ts';

/** What the task is about to do; `open`: perform its job on an authenticated connection. */
export type Step = ConnectPhase | 'open';

export class Admission implements Waiter {
  waitNext: Waiter | null = null;
  waitPrev: Waiter | null = null;
  waitIn: Slots | null = null;
  readonly #run: TaskRun;
  readonly #owner: { admitted(): void };
  #step: Step = 'dns';
  #place: 'held' | 'resting' | 'lent' | 'none' = 'held';
  /** Of a place that is lent because the host is silent, while it is. */
  #loan: Loan | undefined = undefined;
  #handshake: 'none' | 'held' | 'lent' = 'none';
  /** Kept between attempts, so that what the address taught is not forgotten. */
  #address: AddressSlots | undefined;
  #addressHeld = false;

  /** For a task that has its place already. `owner.admitted` is called when a wait is over. */
  constructor(run: TaskRun, owner: { admitted(): void }) {
    this.#run = run;
    this.#owner = owner;
  }

  get holdsPlace(): boolean {
    return this.#place === 'held';
  }

  get holdsHandshake(): boolean {
    return this.#handshake === 'held';
  }

  /** Takes what `step` needs; false: the task waits until `admitted`, or `leave`. */
  admit(step: Step, address?: string): boolean {
    this.#step = step;
    if (step === 'connect') {
      if (address !== undefined) this.#moveTo(address);
      this.#run.adapter?.reached(address);
    }
    return this.#proceed();
  }

  /** The queue's side: the slot that was waited for is taken. */
  granted(): void {
    if (this.#step === 'connect') {
      this.#addressHeld = true;
      this.rouse();
    } else if (this.#place === 'lent') this.#place = 'held';
    else this.#handshake = 'held';
    if (this.#proceed()) this.#owner.admitted();
  }

  /** Stops waiting. */
  leave(): void {
    this.waitIn?.leave(this);
    this.rouse();
  }

  /** The host is silent: the place goes to the next task. False: too many are lent, ask again later. */
  lendPlace(): boolean {
    return this.#lendPlace('silent');
  }

  /** The task waits for its next attempt, and needs no place meanwhile. False: too many are lent, ask again later. */
  backOff(): boolean {
    const loan = this.#loan;
    this.#loan = undefined;
    this.attemptOver();
    if (loan === undefined) return this.#lendPlace('waits');
    this.#loan = this.#run.lending.goesOn();
    return true;
  }

  /** It waits for what others hold: its address, a place at a jump host. They may have its place meanwhile. */
  rest(): void {
    if (this.#place !== 'held') return;
    this.#place = 'resting';
    this.#run.places.rest();
  }

  /** It does not wait for that any more. */
  rouse(): void {
    if (this.#place === 'resting') this.#place = this.#run.places.rouse() ? 'held' : 'lent';
  }

  /** The peer is silent in its handshake or login, and costs no CPU: another may have the slot. */
  lendHandshake(): void {
    if (this.#handshake !== 'held') return;
    this.#handshake = 'lent';
    this.#run.handshakes.release();
  }

  /**
   * The peer hung up before its identification; `says` whether that is a penalty, `label` names it where no address is known.
   * True: it is one.
   */
  throttled(label: string, says: 'no' | 'perhaps' | 'yes'): boolean {
    const address = this.#address;
    address?.throttled();
    const penalty = says === 'yes' || (says === 'perhaps' && address?.refusesAll === true);
    if (penalty) address?.penalised(PENALTY_MS);
    const limit = penalty ? 'PerSourcePenalties' : 'MaxStartups';
    this.#run.bottleneck.noteThrottle(address?.address ?? label, address?.throttles ?? 1, limit);
    return penalty;
  }

  /** The peer hung up, or reset the connection. True: its address had not done so before, as far as is known. */
  cutOff(attempt: number): boolean {
    const address = this.#address;
    if (address === undefined) return attempt === 1;
    address.cutOffs += 1;
    return address.cutOffs === 1;
  }

  /** The connection is authenticated: what limits making it is given back. */
  authenticated(): void {
    const address = this.#address;
    this.attemptOver();
    address?.succeeded();
    this.#forgetAddress();
  }

  /** The attempt ended; the place and the memory of the address stay. */
  attemptOver(): void {
    this.leave();
    if (this.#loan !== undefined) this.#run.lending.ended();
    this.#loan = undefined;
    if (this.#handshake === 'held') this.#run.handshakes.release();
    this.#handshake = 'none';
    if (this.#addressHeld) {
      this.#addressHeld = false;
      this.#address?.release();
    }
  }

  /** The task ended: everything is given back. */
  release(): void {
    this.attemptOver();
    this.#forgetAddress();
    if (this.#place === 'held') this.#run.places.release();
    this.#place = 'none';
  }

  #lendPlace(why: 'silent' | 'waits'): boolean {
    if (this.#place !== 'held') return true;
    this.#loan = this.#run.lending.take(why);
    if (this.#loan === undefined) return false;
    this.#place = 'lent';
    this.#run.places.release();
    this.#run.placeLent();
    return true;
  }

  #proceed(): boolean {
    switch (this.#step) {
      case 'dns':
        return true;
      case 'connect':
        return this.#takeAddress();
      case 'handshake':
      case 'auth':
        return this.#takePlace() && this.#takeHandshake();
      case 'open':
        return this.#takePlace();
    }
  }

  #takeAddress(): boolean {
    if (this.#address === undefined || this.#addressHeld) return true;
    this.#addressHeld = this.#address.take(this);
    if (!this.#addressHeld) this.rest();
    return this.#addressHeld;
  }

  #takePlace(): boolean {
    if (this.#place !== 'lent') return true;
    if (this.#loan !== undefined) this.#run.lending.answered(this.#loan);
    this.#loan = undefined;
    if (!this.#run.places.take(this)) return false;
    this.#place = 'held';
    return true;
  }

  #takeHandshake(): boolean {
    if (this.#handshake !== 'none') return true;
    if (!this.#run.handshakes.take(this)) return false;
    this.#handshake = 'held';
    return true;
  }

  /** An attempt counts at one address, the last it went to: racing addresses of one host follow each other. */
  #moveTo(address: string): void {
    if (this.#address?.address === address) return;
    if (this.#addressHeld) this.#address?.release();
    this.#addressHeld = false;
    this.#forgetAddress();
    this.#address = this.#run.addresses.refer(address);
  }

  #forgetAddress(): void {
    if (this.#address === undefined) return;
    this.#run.addresses.drop(this.#address);
    this.#address = undefined;
  }
}
