/** A simulated fleet in which every fault occurs, to be asked for by name. */
import { FAULT_NAMES, type FaultName } from '../../src/simulator/faults.ts';
import { type SimulatedFleet, simulate } from '../kit/fleet.ts';
import { reach } from './command.ts';

export type Kind = FaultName | 'good';

export interface MixedFleet extends AsyncDisposable {
  readonly simulated: SimulatedFleet;
  /** Options that reach any of its hosts. */
  readonly reach: readonly string[];
  /** Every host, in order. */
  readonly labels: readonly string[];
  /** `-w SET` of one host of each of these kinds, all different, in this order. */
  pick(...kinds: readonly Kind[]): string[];
  /** The commands that hosts were asked to run, as `ADDRESS COMMAND`. */
  readonly commands: readonly string[];
}

/** With this seed every fault has a host among so few. */
const HOSTS = 48;
const SEED = 38;

/** A third of its hosts is good. */
export async function mixedFleet(): Promise<MixedFleet> {
  const faults = Object.fromEntries(FAULT_NAMES.map((name) => [name, 0.66 / FAULT_NAMES.length]));
  const commands: string[] = [];
  const onCommand = (address: string, command: string) => void commands.push(`${address} ${command}`);
  const simulated = await simulate({ hosts: HOSTS, faults, seed: SEED, onCommand });
  const labels = [...simulated.simulator.labels()];
  const kinds = labels.map((_, index): Kind => simulated.simulator.fault(index) ?? 'good');
  return {
    simulated,
    reach: reach(simulated),
    labels,
    commands,
    pick(...wanted) {
      const left = [...kinds.entries()];
      const picked = wanted.map((kind) => {
        const at = left.findIndex(([, candidate]) => candidate === kind);
        if (at < 0) throw new Error(`not enough hosts of kind ${kind} among ${HOSTS}`);
        return labels[left.splice(at, 1)[0]![0]]!;
      });
      return ['-w', picked.join(',')];
    },
    [Symbol.asyncDispose]: () => simulated[Symbol.asyncDispose](),
  };
}
