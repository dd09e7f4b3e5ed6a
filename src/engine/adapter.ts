/** Feeds the controller of a run with what happens in it, and puts its limits to use. */
import type { Outcome } from '../contracts/outcome.ts';
import { TimerEntry, type TimerOwner } from '../util/timer_wheel.ts';
import { Controller } from './adaptive.ts';
import { isCutOff, localLimitOf } from './retry.ts';
import type { Adapting, TaskRun } from './task_run.ts';

/** Four looks a second: a second of logins is told apart from the next, and a look costs next to nothing. */
const LOOK_MS = 250;

/** The run's side. */
export interface AdaptedRun extends TaskRun {
  readonly inProgress: number;
  /** Tasks that have ended so far. */
  readonly endedTasks: number;
  /** There may be room now where there was none. */
  roomier(): void;
}

export class Adapter implements Adapting, TimerOwner {
  readonly #run: AdaptedRun;
  readonly #controller: Controller;
  readonly #busyMs: () => number;
  readonly #look = new TimerEntry(this);
  readonly #nextStart = new TimerEntry(this);
  #lookedAt: number;
  #busyAt: number;

  /** `busyMs`: how long the loop has been computing so far. */
  constructor(run: AdaptedRun, busyMs: () => number) {
    const now = run.clock.now();
    const { limits } = run.request;
    this.#run = run;
    // A program that runs here and a look at keys log in nowhere: there is nothing to be careful of.
    const free = (run.transport.name === 'local' || run.transport.name === 'scan') && limits.adapt?.rate === 'ramp';
    const adapted = free ? { ...limits, adapt: { ...limits.adapt, rate: undefined } } : limits;
    this.#controller = new Controller(adapted, now);
    this.#busyMs = busyMs;
    this.#lookedAt = now;
    this.#busyAt = busyMs();
    if (limits.adapt !== undefined) run.wheel.arm(this.#look, LOOK_MS);
  }

  get connections(): number {
    return this.#controller.connections;
  }

  /** Whether a task may start that has `room` in all else; where only the rate forbids it, the run hears when it may. */
  allows(room: boolean): boolean {
    const { bottleneck, clock, stages, wheel } = this.#run;
    const crowded = room && stages.connecting >= this.#controller.connecting;
    const waitMs = room && !crowded ? this.#controller.waitMs(clock.now()) : 0;
    bottleneck.connecting.set(crowded);
    bottleneck.rate.set(waitMs > 0);
    if (waitMs > 0 && !this.#nextStart.armed) wheel.arm(this.#nextStart, waitMs);
    return room && !crowded && waitMs === 0;
  }

  tries(): void {
    this.#controller.tries(this.#run.clock.now());
  }

  triesAgain(): void {
    this.#controller.triesAgain(this.#run.clock.now());
  }

  reached(address: string | undefined): void {
    if (this.#controller.reached(address, this.#run.clock.now())) this.#run.roomier();
  }

  reused(): void {
    this.#controller.reused();
  }

  loggedIn(ms: number): void {
    this.#controller.loggedIn(ms);
  }

  failed(outcome: Outcome, news: boolean): void {
    const { inProgress, clock } = this.#run;
    if (news && outcome.kind === 'refused' && outcome.what === 'session') this.#controller.refusedSession();
    if (outcome.kind !== 'unreachable') return;
    if (outcome.cause === 'local-limit') {
      this.#controller.ranOut(localLimitOf(outcome.message), inProgress, clock.now());
    } else if (news && isCutOff(outcome)) this.#controller.cutOff();
  }

  expired(entry: TimerEntry): void {
    if (entry === this.#look) this.#lookAt();
    else this.#run.roomier();
  }

  /** The run is over. */
  close(): void {
    this.#run.wheel.cancel(this.#look);
    this.#run.wheel.cancel(this.#nextStart);
  }

  #lookAt(): void {
    const { clock, wheel, places, handshakes, bottleneck, stages, endedTasks } = this.#run;
    const controller = this.#controller;
    const now = clock.now();
    const busy = this.#busyMs();
    const ms = now - this.#lookedAt;
    controller.tick(now, {
      lateMs: ms - LOOK_MS,
      load: ms > 0 ? (busy - this.#busyAt) / ms : 0,
      wantsPlaces: bottleneck.fanout.blocked > 0 || bottleneck.places.blocked > 0,
      wantsHandshakes: bottleneck.handshakes.blocked > 0,
      handshaking: stages.handshaking,
      running: stages.running,
      ended: endedTasks,
    });
    this.#lookedAt = now;
    this.#busyAt = busy;
    bottleneck.adapted(controller.cause, controller.rateText);
    wheel.arm(this.#look, LOOK_MS, now);
    if (handshakes.limit !== controller.handshakes) handshakes.setLimit(controller.handshakes);
    if (places.limit !== controller.fanout) places.setLimit(controller.fanout);
    this.#run.roomier();
  }
}
